"""In which form code refers to a trained model, and where two forms meet. Part of the rule `version-unnormalised`.

WHOLE is `owner/name:hash`, as a training's `output.version` is, COMPOSED the same put together by the code; BARE the
hash alone; MODEL `owner/name` without one; TRAINER what did the training, which a training's own `version` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import WAITED_FOR, ColumnUse, Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching, visible
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    line_of,
    live_statements,
    module_of,
    names_in,
    place,
    provider_behind,
    trace,
)
from portraitist.audit.rules.syntax import STAND_IN

WHOLE, COMPOSED, BARE = "owner/name:hash", "model:version", "a bare hash"
MODEL, TRAINER = "owner/name", "the trainer's model or version"
_STEPS = 4
"""How many variables a value is followed through."""
_PASS = {"String", "str", "trim", "strip", "toString", "cast"}


@dataclass(frozen=True, slots=True)
class Form:
    """One form that a value may have, and the expression that gives it."""

    kind: str
    node: ir.Node


def composite(text: ir.Tmpl) -> tuple[ir.Node, ir.Node] | None:
    """The two holes of `{a}:{b}`, when a text is just that, or that behind an owner: `{owner}/{a}:{b}`."""
    parts = text.parts
    tail = parts[-3:]
    if len(tail) < 3 or not isinstance(tail[1], ir.Lit) or tail[1].value != ":":
        return None
    before = "".join(str(each.value) if isinstance(each, ir.Lit) else "x" for each in parts[:-3])
    if (before and not re.fullmatch(r"[\w.-]+/", before)) or any(
        isinstance(tail[each], ir.Lit) for each in (0, 2)
    ):
        return None
    return tail[0], tail[2]


def forms(ctx: Context, module: Module, node: ir.Node | None, depth: int = 0) -> list[Form]:
    """The forms that an expression may have, by where its value comes from; none where that is not known.

    A value that is asked for a colon, or cut at one, is taken for what came out of that.
    """
    if node is None or depth > _STEPS:
        return []
    if isinstance(node, ir.Bin) and node.op in STAND_IN:
        return [each for side in node.children() for each in forms(ctx, module, side, depth)]
    if isinstance(node, ir.Cond):
        if ":" in names_in(node.test):
            return []
        return [each for side in (node.then, node.other) for each in forms(ctx, module, side, depth)]
    if isinstance(node, ir.Tmpl):
        if len(node.parts) == 1:
            return forms(ctx, module, node.parts[0], depth)
        return [Form(COMPOSED, node)] if composite(node) else []
    if isinstance(node, ir.Name):
        return _of_variable(ctx, module, node, depth)
    if isinstance(node, ir.Call):
        given = node.func.obj if isinstance(node.func, ir.Attr) and not node.args else None
        if last_name(node.func) in _PASS:
            return forms(ctx, module, given or next(iter(node.args), None), depth)
    kind = _spelled(ctx, module, node)
    return [Form(kind, node)] if kind else []


def _of_variable(ctx: Context, module: Module, name: ir.Name, depth: int) -> list[Form]:
    bindings = reaching(module, name)
    if _asks_for_colon(name):
        return []
    out: list[Form] = []
    for each in bindings:
        if each.value is None or each.kind != "assign" or each.node.line > name.line:
            continue
        if each.keys:
            key = each.keys[-1]
            owner = each.keys[-2] if len(each.keys) > 1 else last_name(each.value)
            kind = _kind(str(owner), str(key)) if isinstance(key, str) else ""
            kind = kind or (_told(each.value, str(key)) if len(each.keys) == 1 else "")
            out.extend([Form(kind, each.node)] if kind else [])
        else:
            out.extend(forms(ctx, module, each.value, depth + 1))
    return out


def _asks_for_colon(name: ir.Name) -> bool:
    """Whether a function looks for a colon in a variable: what is done about it is its own affair."""
    func = name.within
    for each in ir.find(func, ir.Lit) if func is not None else ():
        if each.value == ":" and not isinstance(each.parent, ir.Tmpl):
            around = next((one for one in ir.ancestors(each) if isinstance(one, ir.Call | ir.Bin)), None)
            if around is not None and any(one.id == name.id for one in ir.find(around, ir.Name)):
                return True
    return False


def _told(answer: ir.Node, key: str) -> str:
    """The trainer, where `model` or `version` is taken of a webhook's body beside `output`."""
    if key not in {"model", "version"}:
        return ""
    assign = answer.parent
    beside = names_in(assign.target) if isinstance(assign, ir.Assign) else set()
    parsed = "json" in ir.dotted(answer) or re.search(r"(^|\.)(body|payload|event)$", ir.dotted(answer))
    return TRAINER if parsed and {"output", "status"} <= beside else ""


def _spelled(ctx: Context, module: Module, node: ir.Node) -> str:
    """The form that a member has by its own name and that of what it is taken of."""
    if isinstance(node, ir.Index):
        cut = node.obj
        if isinstance(cut, ir.Call) and last_name(cut.func) in {"split", "rsplit", "partition", "rpartition"}:
            at = ir.text_of(cut.args[0]) if cut.args else ""
            whole = isinstance(node.key, ir.Lit) and node.key.value == 0
            return "" if at != ":" else MODEL if whole else BARE
        key, obj = ir.text_of(node.key), node.obj
    elif isinstance(node, ir.Attr):
        key, obj = node.name, node.obj
    elif isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name in {"get", "pop"}:
        cut = node.func.obj
        if node.func.name == "pop" and isinstance(cut, ir.Call) and last_name(cut.func) == "split":
            return BARE if cut.args and ir.text_of(cut.args[0]) == ":" else ""
        key, obj = ir.text_of(node.args[0]) if node.args else None, cut
    else:
        return ""
    if key is None:
        return ""
    kind = _kind(_owner(module, obj), key)
    if not kind and key in {"version", "model"}:
        behind = provider_behind(ctx, module, obj, helpers=True)
        if behind is not None and "training" in behind.api.lower():
            return TRAINER
    return kind


def _owner(module: Module, obj: ir.Node) -> str:
    """What a member is taken of: `output` also for a variable that `….output` was put into, or `.get("output")`."""
    if isinstance(obj, ir.Call) and last_name(obj.func) == "get" and obj.args:
        return ir.text_of(obj.args[0]) or ""
    if isinstance(obj, ir.Bin):
        return _owner(module, obj.left)
    name = last_name(obj)
    if isinstance(obj, ir.Name) and name != "output":
        found = module.lookup(name, obj)
        for each in visible(found[1], obj) if found else ():
            if each.value is not None and not each.keys and each.kind == "assign":
                inner = each.value.left if isinstance(each.value, ir.Bin) else each.value
                if not isinstance(inner, ir.Name) and _owner(module, inner) == "output":
                    return "output"
    return name


def _kind(owner: str, key: str) -> str:
    if owner == "output" and key == "version":
        return WHOLE
    if owner == "output" and key == "model":
        return MODEL
    if re.match(r"latest_?version$", owner, re.I) and key == "id":
        return BARE
    return MODEL if key == "destination" else ""


def joined_twice(ctx: Context) -> Iterator[Finding]:
    """`{model}:{version}` of a version that already is `owner/name:hash`."""
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair is None or ctx.role_at(module, text) not in LIVE_ROLES:
                continue
            whole = next((each for each in forms(ctx, module, pair[1]) if each.kind == WHOLE), None)
            if whole is not None:
                message = (
                    "output.version is owner/name:hash already, and a model's name is put in front of it"
                )
                yield finding("version-unnormalised", module, whole.node, message, key="joined", weight=60,
                              evidence=[Place(module.path, text.line)])  # fmt: skip


def forms_mixed(ctx: Context) -> Iterator[Finding]:
    """A column, or one expression, that gets a reference in one form here and in another there."""
    seen: dict[str, list[tuple[Form, ColumnUse]]] = {}
    told: set[ir.Node] = set()
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            given = forms(ctx, module_of(ctx, use), use.node)
            said = _mixed(given)
            if said:
                told |= {each.node for each in given}
                key = f"{statement.table}.{use.column}"
                node = line_of(use)
                yield finding(
                    "version-unnormalised",
                    module_of(ctx, use),
                    node,
                    f"{key} gets {said}",
                    key=key,
                    weight=56,
                )
            seen.setdefault(f"{statement.table}.{snake(use.column)}", []).extend(
                (each, use) for each in given
            )
    for key, uses in sorted(seen.items()):
        whole = [use for each, use in uses if each.kind == WHOLE]
        bare = [use for each, use in uses if each.kind == BARE]
        if whole and bare and not any(each is one for each in whole for one in bare):
            use = whole[0]
            message = f"{key} gets {WHOLE} here and {BARE} elsewhere"
            node = line_of(use)
            yield finding("version-unnormalised", module_of(ctx, use), node, message, key=key, weight=56,
                          evidence=[Place(bare[0].path, bare[0].line)])  # fmt: skip
    yield from _chains(ctx, told)


def _mixed(given: list[Form]) -> str:
    kinds = list(dict.fromkeys(each.kind for each in given if each.kind != COMPOSED))
    if WHOLE in kinds and len(kinds) > 1:
        other = next(each for each in kinds if each != WHOLE)
        return f"{WHOLE} or {other}, whichever is there"
    return ""


def _chains(ctx: Context, told: set[ir.Node]) -> Iterator[Finding]:
    """`output.version or output.model or destination`, wherever the value goes."""
    for module in (each for each in ctx.live if "version" in each.file.words):
        for chain in module.all(ir.Bin):
            outer = isinstance(chain.parent, ir.Bin) and chain.parent.op == chain.op
            if outer or chain.op not in STAND_IN or not _VERSION & names_in(chain):
                continue
            given = forms(ctx, module, chain) if ctx.role_at(module, chain) in LIVE_ROLES else []
            said = _mixed(given)
            if said and told.isdisjoint(each.node for each in given):
                yield finding(
                    "version-unnormalised", module, chain, f"the model is {said}", key="chain", weight=52
                )


_VERSION = {"version"}


def run_bare(ctx: Context) -> Iterator[Finding]:
    """`replicate.run(row.column)` of a column that only ever gets a hash, where a model's name must stand."""
    calls = [each for each in ctx.creates() if each.sdk and each.api in WAITED_FOR]
    written: dict[str, list[tuple[str, ColumnUse]]] = {}
    for statement in live_statements(ctx, "write") if calls else ():
        for use in statement.columns:
            kinds = {each.kind for each in forms(ctx, module_of(ctx, use), use.node)}
            if kinds:
                written.setdefault(snake(use.column), []).extend((each, use) for each in sorted(kinds))
    for call in calls:
        for where, part in trace(ctx, call.module, call.call.args[0] if call.call.args else None):
            given = written.get(snake(part.name), []) if isinstance(part, ir.Attr) else []
            if given and all(kind in {BARE, TRAINER} for kind, _ in given) and not _in_composite(part):
                use = given[0][1]
                message = f"{ir.dotted(part)} gets a bare hash where it is written and is run as owner/name"
                yield finding("version-unnormalised", where, part, message, key=last_name(part), weight=58,
                              evidence=[Place(use.path, use.line), place(call)])  # fmt: skip


def _in_composite(part: ir.Node) -> bool:
    return any(isinstance(each, ir.Tmpl) and len(each.parts) > 1 for each in ir.ancestors(part))
