"""Sections 4 to 6: the training flow, the weights logic and the generation flow, from flow facts."""

from __future__ import annotations

import json
import re

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement, sent_fields
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.values import fold
from portraitist.audit.model import Fact, Place
from portraitist.audit.report.claims import Block, Citations, Row, Section, at, cite, code, several
from portraitist.audit.report.watching import watch_rows

_UNKNOWN = "<unknown>"
_SHAPE = '{"status":"succeeded","output":{"version":"<owner>/<name>:<64 hex>","weights":"<url>"}}'


def training(ctx: Context, cites: Citations) -> Section:
    """Section 4: start, what is stored at once, where it is watched, where the result is stored."""
    flows = [each for each in ctx.flows if each.call.purpose == "training"]
    starts = [_flow_row(each, cites) for each in flows]
    dead = _without_flow(ctx, "training", flows)
    stored = [row for flow in flows for row in _stored_rows(ctx, flow)]
    return Section(
        "4) TRAINING FLOW",
        330,
        [
            Block(
                ["1. Start (entry → … → provider):"],
                [*starts, *dead],
                1.2,
                "No call that starts a training was found.",
            ),
            Block(
                ["2. Stored at once:"],
                list(dict.fromkeys(stored)),
                1.2,
                "2. Stored at once: nothing resolved." if flows else "",
            ),
            Block(
                ["3. Watched by:"],
                watch_rows(ctx, cites, "training"),
                1.0,
                "3. Watched by: no polling and no webhook found." if flows else "",
            ),
            Block(
                ["4. Result stored:"],
                _result_rows(ctx, cites, flows),
                1.2,
                "4. Result stored: no write of a model column found." if flows else "",
            ),
        ],
    )


def _flow_row(flow: Flow, cites: Citations) -> Row:
    steps = " → ".join(at(each) for each in flow.steps[:7])
    more = f" (+{len(flow.steps) - 7})" if len(flow.steps) > 7 else ""
    token = flow.call.api.rpartition(".")[2] if flow.call.sdk else ""
    end = flow.steps[-1]
    holds = cites.holds(end, token)
    cited = tuple((each, "") for each in flow.steps[:7])
    return Row(
        f"- {code(flow.entry)} → {code(flow.call.api)}: {steps}{more}",
        (*cited, (end, token if holds else "")),
    )


def _without_flow(ctx: Context, purpose: str, flows: list[Flow]) -> list[Row]:
    """Calls that nothing reaches: named as dead or by their role."""
    reached = {each.call for each in flows}
    rows: list[Row] = []
    for call in ctx.calls:
        if call.purpose != purpose or call in reached:
            continue
        role = ctx.role_at(call.module, call.call)
        if role in {"test", "doc", "generated"}:
            continue
        place = Place(call.module.path, call.call.line)
        why = role if role != "src" else "no route, job or script found"
        rows.append(Row(f"- not on a flow ({why}): {code(call.api)} {at(place)}", ((place, ""),)))
    return rows


def _stored_rows(ctx: Context, flow: Flow) -> list[Row]:
    """Writes in the functions of a flow, with example values built from folded ones only."""
    rows: list[Row] = []
    for statement in _writes_in(ctx, set(flow.funcs)):
        example = json.dumps(_example(statement), ensure_ascii=False)
        place = Place(statement.module.path, statement.line)
        rows.append(Row(f"- {code(statement.table, 60)} {at(place)}: {code(example, 260)}", ((place, ""),)))
    return rows


def _writes_in(ctx: Context, funcs: set[ir.Func]) -> list[Statement]:
    found: list[Statement] = []
    direct = dict.fromkeys(funcs, True)
    for func in funcs:
        for call in ir.find(func, ir.Call):
            for target in ctx.program.functions_called(call):
                if isinstance(target.node, ir.Func):
                    direct.setdefault(target.node, True)
    for each in ctx.statements:
        if each.kind == "write" and each.func in direct and each.columns:
            found.append(each)
    return found


def _example(statement: Statement) -> dict[str, object]:
    made: dict[str, object] = {}
    for use in statement.columns[:8]:
        value = fold(use.value) if use.value is not None else None
        known_null = use.value is not None and value is None and getattr(use.value, "value", 1) is None
        made[use.column] = None if known_null else (_UNKNOWN if value is None else value)
    return made


def _result_rows(ctx: Context, cites: Citations, flows: list[Flow]) -> list[Row]:
    """Writes of model columns, with the source expression; the provider's own shape is labelled as such."""
    rows: list[Row] = []
    for statement in ctx.statements:
        if statement.kind != "write" or statement.module.role not in {"src", "script"}:
            continue
        uses = [each for each in statement.columns if snake(each.column) in ctx.words.model_columns]
        for use in uses if any(_about_models(ctx, statement, each) for each in uses) else []:
            source = _source_of(ctx, use) if use.node is not None else _outside(use.value)
            place = Place(use.path, use.line)
            text = f"- {code(statement.table + '.' + use.column, 70)} ← {code(source or _UNKNOWN, 70)} {at(place)}"
            rows.append(Row(text, ((place, use.column if cites.holds(place, use.column) else ""),)))
    rows.sort(key=lambda row: "output" not in row.text.partition("←")[2])
    if rows:
        rows.insert(0, Row(f"- provider shape, not from this code: `{_SHAPE}`"))
    return list(dict.fromkeys(rows))


def _about_models(ctx: Context, statement: Statement, use: ColumnUse) -> bool:
    """Whether a column with a common name (`version`, `model_id`) is one of a table that keeps models or trainings."""
    if snake(use.column) not in {"version", "model_id", "version_id"}:
        return True
    known = {snake(each) for each in columns_of(ctx, statement.table)}
    others = (ctx.words.model_columns | {"training_id", "training_status", "trigger_word"}) - {
        snake(use.column),
        "model_id",
    }
    return bool(known & others) or not known


def _source_of(ctx: Context, use: ColumnUse) -> str:
    """The expression that a column gets, seen through local names: `training.output.version`."""
    module, node = ctx.program.modules[use.path], use.node
    for _ in range(4):
        if isinstance(node, ir.Bin) and node.op == "or":
            node = node.left
        values = [each.value for each in bindings_of(module, node) if each.kind == "assign" and not each.keys]
        if len(values) != 1 or values[0] is None or not ir.dotted(values[0]):
            break
        node = values[0]
    shown = ir.dotted(node) if node is not None else ""
    key = ir.text_of(node.args[0]) if isinstance(node, ir.Call) and node.args else None
    return f"{shown}({key!r})" if shown.endswith(".get") and key else shown


def _outside(value: object) -> str:
    name = getattr(value, "name", "")
    shown = name if name else fold(value)  # type: ignore[arg-type]
    return str(shown) if shown is not None else ""


def weights(ctx: Context, cites: Citations) -> Section:
    """Section 5: sources, built addresses, requests, and which identifier each path uses."""
    rows = _kind_rows(ctx, "weights.source", cites)
    urls = _kind_rows(ctx, "weights.url", cites)
    used = _kind_rows(ctx, "weights.consumer", cites)
    requests = [row for each in ctx.calls if (row := _identifier_row(ctx, each)) is not None]
    return Section("5) WEIGHTS EXTRACTION LOGIC", 200, [
        Block(["Taken from an answer:"], rows, 1.0),
        Block(["Built as an address:"], urls, 0.8),
        Block(["Requests, by what they are given:"], requests, 1.2),
        Block(["Sent with a generation:"], used, 0.8, "No generation is sent weights by name."),
        Block(["Runs during generation:"], _generation_identifiers(ctx), 1.0, "No generation call was found."),
    ])  # fmt: skip


def _kind_rows(ctx: Context, kind: str, cites: Citations) -> list[Row]:
    """The facts of one kind, those of a field in one file in one row."""
    found: dict[tuple[str, str, str], list[tuple[Place, str]]] = {}
    for each in ctx.of(kind):
        if each.role in {"src", "script", "dead"}:
            found.setdefault((each.key, each.role, each.path), []).append(cite(each, cites))
    return [
        Row(
            f"- {code(key)}{'' if role == 'src' else f' ({role})'} {several([place for place, _ in cited], 6)}",
            tuple(dict.fromkeys(cited)),
        )
        for (key, role, _), cited in found.items()
    ]


def _identifier_row(ctx: Context, call: ProviderCall) -> Row | None:
    name = call.api.lower()
    if (call.purpose != "status" and "version" not in name) or ctx.role_at(call.module, call.call) not in {
        "src",
        "script",
    }:
        return None
    if call.creates or not re.search(r"training|versions", name):
        return None
    kind = "training id" if "training" in name else "model path and version"
    place = Place(call.module.path, call.call.line)
    return Row(f"- {code(call.api)} uses the {kind}: {at(place)}", ((place, ""),))


def _generation_identifiers(ctx: Context) -> list[Row]:
    rows: list[Row] = []
    for call in ctx.creates():
        if call.purpose != "generation":
            continue
        fields = call.fields("version", "model")
        shown = fold(fields[0].value) if fields else (fold(call.model) if call.model is not None else None)
        place = Place(call.module.path, call.call.line)
        named = f"{fields[0].key} = " if fields else ""
        rows.append(
            Row(f"- {at(place)}: {named}{code(shown if shown is not None else _UNKNOWN)}", ((place, ""),))
        )
    return rows


def generation(ctx: Context, cites: Citations) -> Section:
    """Section 6: endpoint to payload, defaults and presets, and where pictures are kept."""
    flows = [each for each in ctx.flows if each.call.purpose == "generation"]
    rows = [_flow_row(each, cites) for each in flows]
    payloads = [
        row for call in dict.fromkeys(each.call for each in flows) for row in _payload_rows(call, cites)
    ]
    kept = [_persist_row(each, cites) for each in _kept(ctx)]
    return Section(
        "6) GENERATION FLOW",
        380,
        [
            Block(
                ["Endpoint → service → provider:"],
                [*rows, *_without_flow(ctx, "generation", flows)],
                1.6,
                "No call that generates was found.",
            ),
            Block(
                ["Checked before:"],
                _guard_rows(flows),
                0.6,
                "Checked before: no check found on these routes." if flows else "",
            ),
            Block(["Keys sent (`=` literal, `…` merged preset):"], payloads, 2.0),
            Block(["Watched by:"], watch_rows(ctx, cites, "generation") if flows else [], 0.5),
            Block(["Pictures kept:"], kept, 1.0, "Pictures kept: no storage found." if flows else ""),
        ],
    )


def _guard_rows(flows: list[Flow]) -> list[Row]:
    """One row for each guard, with the places where it stands."""
    found: dict[str, list[Place]] = {}
    for flow in flows:
        for name, place in flow.route.guarded_by[:1] if flow.route is not None else []:
            found.setdefault(name, []).append(place)
    return [
        Row(f"- {code(name)}: {several(places, 6)}", tuple((each, "") for each in dict.fromkeys(places)))
        for name, places in found.items()
    ]


def _kept(ctx: Context) -> list[Fact]:
    """What stores pictures: on a flow first, then beside the provider; other storing only where there is neither."""
    spans = [
        (ctx.program.module_of[each].path, each.line, each.end) for flow in ctx.flows for each in flow.funcs
    ]
    touching = {each.path for each in ctx.of("file.touches_replicate", "replicate.call", "http", "webhook")}

    def distance(fact: Fact) -> int:
        on_flow = any(path == fact.path and first <= fact.line <= last for path, first, last in spans)
        return 0 if on_flow else 1 if fact.path in touching else 2

    found = sorted((each for each in ctx.of("persist") if each.role in {"src", "script"}), key=distance)
    return [each for each in found if distance(each) < 2] or found


def _payload_rows(call: ProviderCall, cites: Citations) -> list[Row]:
    place = Place(call.module.path, call.call.line)
    shown: list[str] = []
    cited: list[tuple[Place, str]] = [(place, "")]
    for each in sent_fields(call.options):
        value = fold(each.value)
        literal = (
            value is not None
            and not isinstance(value, list)
            and "{" not in str(value)
            and len(str(value)) < 40
        )
        where = f":{each.line}" if each.path == call.module.path else f" {each.path}:{each.line}"
        name = f"…{each.key}" if each.spread else each.key
        shown.append(code(f"{name}{f'={value}' if literal else ''}{where}", 110).replace(" ", "\u00a0"))
        spot = Place(each.path, each.line)
        if cites.holds(spot, each.key):
            cited.append((spot, each.key))
    if not shown:
        return [Row(f"- {at(place)}: body not resolved", ((place, ""),))]
    rows = [Row(f"- {at(place)}: " + ", ".join(shown[:14]), tuple(cited[:15]))]
    if len(shown) > 14:
        rows.append(Row(f"- {at(place)}, further: " + ", ".join(shown[14:30]), tuple(cited[:1])))
    return rows


def _persist_row(fact: Fact, cites: Citations) -> Row:
    place, token = cite(fact, cites)
    where = f" in {code(fact.scope)}" if fact.scope else ""
    return Row(f"- {code(fact.value or fact.key)}{where} {at(place)}", ((place, token),))
