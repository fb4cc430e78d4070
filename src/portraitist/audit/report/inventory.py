"""Sections 1 to 3: file inventory, duplicates and conflicts, data model map."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Fact, Finding, Place
from portraitist.audit.report.claims import Block, Citations, Row, Section, at, cite, code, several

ASKED_FILES = (
    "server/model-training-service.ts",
    "server/generation-completion-monitor.ts",
    "server/unified-generation-service.ts",
    "server/generation-validator.ts",
    "server/image-storage-service.ts",
    "server/maya-chat-preview-service.ts",
    "server/routes/maya-ai-routes.ts",
    "server/routes/*training*.ts",
    "server/routes/*generation*.ts",
    "server/replicate*.ts",
    "server/storage.*",
    "server/agents/personalities/**",
    "shared/types/GenerateImageParams.ts",
    "shared/schema.ts",
)
"""The files that the seed lists by name; those that are absent are reported absent."""

_PURPOSE = {
    "training": "starts training",
    "generation": "generates",
    "status": "asks for status",
    "model": "manages models",
    "other": "calls the provider",
}
_SUBJECT = re.compile(r"train|generat|replicate|lora|flux|prediction|maya|image|photo|model", re.I)


def inventory(ctx: Context, findings: list[Finding], cites: Citations) -> Section:
    """Section 1: one row for each relevant file, most relevant first."""
    by_path: dict[str, list[Fact]] = {}
    for each in (each for each in ctx.facts if not each.also):
        by_path.setdefault(each.path, []).append(each)
    ranked = sorted(by_path, key=lambda path: (-_weight(ctx, path, by_path[path]), path))
    worst: dict[str, Finding] = {}
    for finding in findings:
        worst.setdefault(finding.path, finding)
    rows = [
        _file_row(ctx, path, by_path[path], worst.get(path), cites)
        for path in ranked
        if _weight(ctx, path, by_path[path]) > 0
    ]
    head = ["| path | purpose | key exports | replicate | risk |", "|---|---|---|---|---|"]
    paths = sorted(each.path for each in ctx.tree.files)
    absent = [each for each in ASKED_FILES if not fnmatch.filter(paths, each)]
    missing = (
        [Row("Absent of the listed files: " + ", ".join(code(each) for each in absent) + ".")]
        if absent
        else []
    )
    return Section("1) FILE INVENTORY", 420, [
        Block(head, rows, 5.0, "No file touches training or generation."), Block([], missing, 0.6)
    ])  # fmt: skip


def _weight(ctx: Context, path: str, facts: list[Fact]) -> int:
    """Touches the provider > writes tracked columns > on a flow > duplicate or backup of such > the rest (0)."""
    kinds = {each.kind for each in facts}
    weight = 0
    if kinds & {"replicate.call", "http"}:
        weight += 1000
    if any(
        each.kind in {"db.write", "db.null"}
        and snake(each.key.rpartition(".")[2]) in ctx.words.tracked_columns
        for each in facts
    ):
        weight += 300
    if "flow" in kinds:
        weight += 200
    if "file.touches_replicate" in kinds:
        weight += 100
    if kinds & {"weights.source", "weights.url", "webhook", "table.column"} and weight:
        weight += 30
    if "table" in kinds and _SUBJECT.search(" ".join(each.key for each in facts if each.kind == "table")):
        weight += 80
    role = next((each.role for each in facts if each.kind == "file.role"), "src")
    if role in {"backup", "removed"}:
        weight = weight // 2 + (120 if _SUBJECT.search(PurePosixPath(path).name) else 0)
    return {"test": weight // 20, "doc": 0, "generated": 0, "dead": weight // 2}.get(role, weight)


def _file_row(ctx: Context, path: str, facts: list[Fact], finding: Finding | None, cites: Citations) -> Row:
    purposes = _purposes(ctx, path, facts, cites)
    role = next((each.role for each in facts if each.kind == "file.role"), "src")
    shown = "; ".join(text for text, _ in purposes[:3]) or "-"
    if role != "src":
        shown = f"({role}) {shown}"
    exports = (
        ", ".join(code(each.key, 40) for each in facts if each.kind == "export" and each.key != "default")
        or "-"
    )
    exports = ", ".join(exports.split(", ")[:4])
    touches = (
        "Y"
        if any(each.kind in {"file.touches_replicate", "replicate.call", "http"} for each in facts)
        else "N"
    )
    risk = finding.rule if finding else "-"
    text = f"| {code(path, 120)} | {shown} | {exports} | {touches} | {risk} |"
    return Row(text, tuple(cited for _, cited in purposes[:3]))


def _purposes(
    ctx: Context, path: str, facts: list[Fact], cites: Citations
) -> list[tuple[str, tuple[Place, str]]]:
    made: dict[str, tuple[str, tuple[Place, str]]] = {}
    for call in ctx.calls:
        if call.module.path == path:
            fact = next(
                each for each in facts if each.kind in {"replicate.call", "http"} and each.key == call.api
            )
            place, token = cite(fact, cites)
            made.setdefault(call.purpose, (f"{_PURPOSE[call.purpose]} :{place.line}", (place, token)))
    for kind, word in (
        ("table", "defines"),
        ("db.write", "writes"),
        ("route", "serves"),
        ("webhook", "webhook"),
    ):
        found = [each for each in facts if each.kind == kind]
        if found:
            place, token = cite(found[0], cites)
            name = found[0].key.partition(".")[0] if kind != "route" else found[0].key
            made.setdefault(kind, (f"{word} {code(name, 60)} :{place.line}", (place, token)))
    for each in facts if not made else []:
        for place in each.evidence if each.kind == "file.touches_replicate" else ():
            made["other"] = (f"names the provider :{place.line}", (place, ""))
    order = ["training", "generation", "status", "model", "other", "table", "db.write", "webhook", "route"]
    return [made[each] for each in order if each in made]


def duplicates(ctx: Context, cites: Citations) -> Section:
    """Section 2: similar files, functions of one name, fields with several writers, routes, blocks."""
    touching = {each.path for each in ctx.of("file.touches_replicate", "replicate.call", "http")}

    def rank(fact: Fact) -> tuple[int, int, str]:
        places = [fact.place, *fact.evidence]
        return (-sum(each.path in touching for each in places), -len(places), fact.key)

    tracked = [
        each
        for each in ctx.of("dup.field_writers")
        if snake(each.key.rpartition(".")[2]) in ctx.words.tracked_columns
    ]
    functions = sorted((each for each in ctx.of("dup.function") if _relevant(each, touching)), key=rank)
    blocks = sorted(ctx.of("dup.block"), key=lambda each: (-(each.end_line - each.line), each.path))
    return Section(
        "2) DUPLICATES & CONFLICTS",
        260,
        [
            Block(["Similar files:"], list(_similar_files(ctx, touching)), 1.0),
            Block(
                ["Functions defined more than once:"], [_duplicate(each, cites) for each in functions], 2.0
            ),
            Block(
                ["Fields written from several places:"],
                [_duplicate(each, cites) for each in sorted(tracked, key=rank)],
                2.0,
            ),
            Block(
                ["Routes registered twice:"],
                [_duplicate(each, cites) for each in sorted(ctx.of("dup.route"), key=rank)],
                1.0,
            ),
            Block(["Copied blocks:"], [_duplicate(each, cites) for each in blocks], 0.7),
            Block(
                ["Definitions that differ:"],
                [_duplicate(each, cites) for each in ctx.of("table.type_conflict")],
                0.7,
            ),
        ],
    )


def _relevant(fact: Fact, touching: set[str]) -> bool:
    places = [fact.place, *fact.evidence]
    return any(each.path in touching for each in places) or bool(_SUBJECT.search(fact.key))


def _duplicate(fact: Fact, cites: Citations) -> Row:
    place, token = cite(fact, cites)
    places = [place, *fact.evidence]
    name = (
        ""
        if fact.kind == "dup.block"
        else fact.key.rpartition(".")[2]
        if fact.kind == "dup.function"
        else token
    )
    checked = tuple((each, name if fact.kind == "dup.function" else "") for each in places[1:])
    return Row(f"- {code(fact.key, 60)}: {several(places, 6)}", ((place, token), *checked))


def _similar_files(ctx: Context, touching: set[str]) -> Iterable[Row]:
    groups: dict[str, list[str]] = {}
    for file in ctx.tree.files:
        if file.language in {"javascript", "python"} and file.role not in {"test", "generated", "doc"}:
            groups.setdefault(_stem(file.path), []).append(file.path)
    for stem, paths in sorted(
        groups.items(), key=lambda item: (-sum(path in touching for path in item[1]), item[0])
    ):
        interesting = any(path in touching for path in paths) or _SUBJECT.search(stem)
        if (
            len(paths) > 1
            and interesting
            and stem not in {"index", "route", "page", "layout", "types", "utils", "image", "images"}
        ):
            yield Row("- " + ", ".join(at(Place(each, 1)) for each in paths[:6]))


def _stem(path: str) -> str:
    name = PurePosixPath(path).name.partition(".")[0].lower()
    name = re.sub(
        r"[-_ ]?(old|bak|backup|copy|new|v?\d+|final|fixed|simple|enhanced|optimi[sz]ed|unified|refactored|temp)$",
        "",
        name,
    )
    return re.sub(r"[-_ ]", "", name)


def data_model(ctx: Context, cites: Citations) -> Section:
    """Section 3: tables with their key fields, writers and readers."""
    uses: dict[str, dict[str, list[Fact]]] = {}
    for each in ctx.of(
        "db.write", "db.read", "db.delete", "table", "table.column", "table.missing_column", "db.null"
    ):
        table, _, _column = each.key.partition(".")
        uses.setdefault(table, {}).setdefault(each.kind, []).append(each)
    rows = sorted(uses, key=lambda table: (-_table_weight(ctx, uses[table]), table))
    head = ["| table | key fields | who writes | who reads |", "|---|---|---|---|"]
    made = [
        _table_row(ctx, table, uses[table], cites) for table in rows if _table_weight(ctx, uses[table]) > 0
    ]
    tracked = [_tracked_row(column, uses, cites) for column in _ASKED]
    missing = [
        Row(f"- {code(each.key)} has no definition: {at(cite(each, cites)[0])}", (cite(each, cites),))
        for each in ctx.of("table.missing_column") if each.role in {"src", "script"}
    ]  # fmt: skip
    return Section(
        "3) DATA MODEL MAP",
        320,
        [
            Block(head, made, 4.0, "No table is read or written."),
            Block(
                ["Tracked fields:"],
                [each for each in tracked if each],
                1.6,
                "Tracked fields: none of the asked names occurs.",
            ),
            Block(["Columns used and not defined:"], missing, 0.8),
        ],
    )


_ASKED = (
    "trigger_word",
    "replicate_model_id",
    "replicate_version_id",
    "lora_weights_url",
    "training_status",
    "training_progress",
    "trained_model_path",
)


def _tracked_row(column: str, uses: dict[str, dict[str, list[Fact]]], cites: Citations) -> Row | None:
    """Writers and readers of one of the columns that the seed names."""
    places: list[tuple[Place, str]] = []
    for kinds in uses.values():
        for kind in ("db.write", "db.read"):
            for each in kinds.get(kind, []):
                if snake(each.key.rpartition(".")[2]) == column and each.role in {"src", "script"}:
                    places.append(cite(each, cites))
    if not places:
        return None
    return Row(
        f"- {code(column)}: {several([place for place, _ in places], 5)}", tuple(dict.fromkeys(places))
    )


def _table_weight(ctx: Context, kinds: dict[str, list[Fact]]) -> int:
    columns = {snake(each.key.rpartition(".")[2]) for kind in kinds.values() for each in kind}
    tracked = len(
        columns
        & (ctx.words.tracked_columns | ctx.words.picture_columns)
        - {"status", "url", "output", "version", "image", "images"}
    )
    used = sum(len(kinds.get(kind, [])) for kind in ("db.write", "db.read", "db.delete"))
    return tracked * 20 + min(used, 15) if used or tracked else 0


def _table_row(ctx: Context, table: str, kinds: dict[str, list[Fact]], cites: Citations) -> Row:
    columns: dict[str, None] = {}
    for kind in ("db.write", "table.column", "db.read"):
        for each in kinds.get(kind, []):
            if "." in each.key:
                columns.setdefault(each.key.partition(".")[2])
    chosen = sorted(
        columns, key=lambda name: (snake(name) not in ctx.words.tracked_columns, list(columns).index(name))
    )[:7]
    writers = [
        cite(each, cites)
        for each in _first_each_scope(kinds.get("db.write", []) + kinds.get("db.delete", []))
    ]
    readers = [cite(each, cites) for each in _first_each_scope(kinds.get("db.read", []))]
    fields = " ".join(code(each, 40) for each in chosen) or "unknown"
    written = several([place for place, _ in writers]) or "-"
    read = several([place for place, _ in readers]) or "-"
    defined = [each.place for each in kinds.get("table", [])[:1]]
    named = f"{code(table, 60)} {at(defined[0])}" if defined and not (writers or readers) else code(table, 60)
    text = f"| {named} | {fields} | {written} | {read} |"
    return Row(text, (*writers[:4], *readers[:4], *((each, "") for each in defined)))


def _first_each_scope(facts: list[Fact]) -> list[Fact]:
    found: dict[tuple[str, str], Fact] = {}
    for each in facts:
        if each.role in {"src", "script"}:
            found.setdefault((each.path, each.scope or str(each.line)), each)
    return list(found.values())
