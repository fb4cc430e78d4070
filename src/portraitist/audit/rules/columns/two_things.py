"""Part of the rule on overloaded ids: one name for two things, as a single place says it.

Where two places fill one column with different things is in `models`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    line_of,
    live_statements,
    module_of,
    provider_behind,
)
from portraitist.audit.rules.gravity import BARELY

_OF_MODEL = re.compile(r"^(replicate_|trained_|lora_|custom_)?model_(id|version|path|ref)$")
_SPELT = re.compile(r"model_?(id|version|path|ref)\b[\"']?\s*[:=]\s*[\w.?]*training", re.I)
_MAY_HOLD = re.compile(r"lora|weights|model|version|url", re.I)
_OF_TRAINING = re.compile(r"^(replicate_|training_)?(training_?(job_?)?)id$", re.I)


def two_things(ctx: Context) -> Iterator[Finding]:
    """A column that gets weights or else a version, a model's name for a training's id, an id in a result's column."""
    yield from _either(ctx)
    yield from _misnamed(ctx)
    yield from _ids_as_results(ctx)


def _either(ctx: Context) -> Iterator[Finding]:
    """`loraUrl: output.weights || output.version`, and the same as two branches."""
    filled: dict[tuple[ir.Func | None, str, str], dict[str, ColumnUse]] = {}
    taken = {each.path for each in ctx.of("weights.source")}
    for statement in live_statements(ctx, "write") if taken else ():
        for use in statement.columns:
            if use.path not in taken or use.node is None or not _MAY_HOLD.search(use.column):
                continue
            parts = _parts_of(module_of(ctx, use), use.node)
            own = filled.setdefault((statement.func, statement.table, use.column), {})
            for part in parts:
                own.setdefault(part, use)
            if len(parts) < 2 and len(own) < 2:
                continue
            first = min(own.values(), key=lambda each: each.line)
            made = [each.node.line for each in _made_of(module_of(ctx, use), use.node)]
            key = f"{statement.table}.{use.column}"
            message = (
                f"{key} gets the address of the weights, or a version where there is none: two things in one"
            )
            yield finding("id-overloaded", module_of(ctx, use), line_of(use), message, key=key, weight=40,
                          line=min(first.line if first.path == use.path else use.line, use.line, *made), end=use.line,
                          evidence=[Place(first.path, first.line)])  # fmt: skip
            own.clear()


def _made_of(module: Module, node: ir.Node) -> list[Binding]:
    """Where the variables of a value were set to a result in the same function."""
    found = (
        each
        for name in ir.find(node, ir.Name)
        for each in reaching(module, name)
        if each.value and not each.keys
    )
    return [each for each in found if each.node.within is node.within and _parts_of(module, each.value)]


def _parts_of(module: Module, node: ir.Node | None, depth: int = 0) -> set[str]:
    """Which of a training's results a value may be: `weights`, `version`."""
    if isinstance(node, ir.Bin) and node.op == "or" and node.right is not None:
        return _parts_of(module, node.left, depth) | _parts_of(module, node.right, depth)
    if isinstance(node, ir.Cond):
        return _parts_of(module, node.then, depth) | _parts_of(module, node.other, depth)
    if isinstance(node, ir.Attr | ir.Index) and last_name(node) in {"weights", "version"}:
        return {last_name(node)} if re.search(r"output|result", ir.dotted(node), re.I) else set()
    if isinstance(node, ir.Name) and depth < 2:
        made = (each.value for each in reaching(module, node) if each.value is not None and not each.keys)
        return {part for each in made for part in _parts_of(module, each, depth + 1)}
    return set()


def _misnamed(ctx: Context) -> Iterator[Finding]:
    """`modelId: answer.trainingId` in what is sent or stored."""
    trains = any(each.purpose == "training" or "training" in each.api.lower() for each in ctx.calls)
    for module in (each for each in ctx.live if trains and _SPELT.search(each.file.text)):
        seen: set[ir.Func | None] = set()
        for prop in module.all(ir.Prop):
            given = prop.value
            named = prop.key is not None and _OF_MODEL.match(snake(prop.key))
            if not named or not isinstance(given, ir.Attr) or not _is_training(given) or prop.within in seen:
                continue
            if _is_handed(prop) and ctx.role_at(module, prop) in LIVE_ROLES:
                seen.add(prop.within)
                message = f"{prop.key} is given the id of a training here, not of a model"
                yield finding("id-overloaded", module, prop, message, key=f"named {prop.key}", weight=BARELY)


def _ids_as_results(ctx: Context) -> Iterator[Finding]:
    """`videoUrl: prediction.id`: the id of work under way in the column that later holds what it made."""
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            column = snake(use.column)
            if use.node is None or not _RESULT.search(column) or not _is_id_of_work(ctx, use):
                continue
            key = f"{statement.table}.{use.column}"
            message = f"{key} is named for a result and gets the id of the work here"
            yield finding(
                "id-overloaded", module_of(ctx, use), line_of(use), message, key=f"{key} id", weight=BARELY
            )


_RESULT = re.compile(
    r"(^|_)(url|uri|output|result|image|images|photo|picture|video|audio|music|file|link|src)$"
)
_WORK_ID = re.compile(r"^(replicate_)?(prediction|training|job|task|request)_?id$", re.I)


def _is_id_of_work(ctx: Context, use: ColumnUse) -> bool:
    """Whether a value is plainly an id: `predictionId`, `prediction.id` of what the provider answered."""
    if not isinstance(use.node, ir.Name | ir.Attr) or not ctx.calls:
        return False
    name = last_name(use.node)
    if name == "id":
        behind = provider_behind(ctx, module_of(ctx, use), use.node, helpers=True)
        return behind is not None and behind.creates
    return bool(_WORK_ID.match(snake(name)))


def _is_training(node: ir.Attr) -> bool:
    """`answer.trainingId`, `training.id`; a mere `trainingId` may be an id of the repository's own."""
    return bool(_OF_TRAINING.match(node.name)) or (node.name == "id" and last_name(node.obj) == "training")


def _is_handed(prop: ir.Prop) -> bool:
    """Whether an entry is part of what a call is given: no answer to the browser, no condition."""
    for each in ir.ancestors(prop):
        if isinstance(each, ir.Func | ir.Return | ir.Assign):
            return False
        if isinstance(each, ir.Prop) and each.key in {"where", "filter", "select"}:
            return False
        if isinstance(each, ir.Call):
            return last_name(each.func) not in {
                "json",
                "log",
                "info",
                "warn",
                "error",
                "debug",
                "send",
                "jsonify",
            }
    return False
