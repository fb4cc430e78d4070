"""Risks in how models, trainings and their columns are kept.

What each rule on columns is together; most parts of them stand in files of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, Text, fold, is_null, render
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    line_of,
    live_statements,
    module_of,
    place,
    provider_behind,
    runs_in_browser,
    trace,
)
from portraitist.audit.rules.by_name import results_by_name
from portraitist.audit.rules.columns.lost_models import lost_models
from portraitist.audit.rules.columns.other_things import other_things
from portraitist.audit.rules.columns.retrained import overwritten
from portraitist.audit.rules.columns.spellings import spelled_twice
from portraitist.audit.rules.columns.two_things import two_things
from portraitist.audit.rules.columns.unfound import never_found
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.last_request import left_for_the_next
from portraitist.audit.rules.references import COMPOSED, MODEL, WHOLE, forms
from portraitist.audit.rules.shared_state import shared_state

_TRAINING_ID = re.compile(
    r"(training\w*|prediction\w*)\.id$|(^|\.)(training|prediction)_?(job_?)?id$|replicate_?training_?id$",
    re.I,
)
_MODEL_PATH = re.compile(
    r"output\.(version|model)|destination|model_?(path|name|version)|split|trained_?model|model(\.|_?)url$",
    re.I,
)


def clears_working_model(ctx: Context) -> Iterator[Finding]:
    """NULL written to a model column in a function on the way to starting a training.

    Checks live updates only. Cannot know whether a later statement restores the value. Also a result that is written
    to the rows of one name (`by_name`), NULL beside a state that says that a training runs, whoever trains, what is
    deleted before a training or cleared when one fails (`lost_models`), and the id or destination of a training that
    has just begun, written over what the last one made (`retrained`).
    """
    yield from results_by_name(ctx)
    yield from overwritten(ctx)
    yield from _cleared_while_queued(ctx)
    yield from lost_models(ctx)
    for call in ctx.creates():
        if call.purpose != "training":
            continue
        funcs = {func for flow in ctx.flows if flow.call is call for func in flow.funcs}
        for statement in live_statements(ctx, "write"):
            for use in statement.columns:
                if (
                    statement.insert
                    or not _is_emptied(use)
                    or snake(use.column) not in ctx.words.model_columns
                ):
                    continue
                module = module_of(ctx, use)
                writer = module.function_at(use.line)
                if writer in funcs or _called_from(ctx, writer, funcs):
                    key = f"{statement.table}.{use.column}"
                    message = f"{key} is set to NULL while a training starts; if that fails, no model is left"
                    yield finding(
                        "clears-working-model",
                        module,
                        line_of(use),
                        message,
                        key=key,
                        weight=100,
                        evidence=[place(call)],
                    )


_RUNS = {"processing", "training", "queued", "pending", "starting", "running", "in_progress", "retraining"}


def _cleared_while_queued(ctx: Context) -> Iterator[Finding]:
    """One update that sets a model column to NULL and a state, of a training or a model, to one that still runs.

    One that only takes rows of a certain state is left out: those may be the ones whose model is gone.
    """
    trainings = {each.func for each in ctx.creates() if each.purpose == "training"}
    for statement in live_statements(ctx, "write"):
        runs = [
            each
            for each in statement.columns
            if re.search(r"train|lora|model|(^|_)(status|state)$", snake(each.column))
            and isinstance(each.value, Known)
            and str(each.value.value).lower() in _RUNS
        ]
        claims = any(re.search(r"status|state", each, re.I) for each in statement.where)
        made = statement.insert or any(re.match(r"created", each.column) for each in statement.columns)
        if not runs or claims or made or statement.func in trainings:
            continue
        for use in statement.columns:
            if _is_emptied(use) and _names_model(ctx, use.column):
                key = f"{statement.table}.{use.column}"
                state = fold(runs[0].value)
                message = (
                    f"{key} is set to NULL as the state becomes {state}; if that fails, no model is left"
                )
                node = line_of(use)
                yield finding("clears-working-model", module_of(ctx, use), node, message, key=key, weight=98)
                break


def _is_emptied(use: ColumnUse) -> bool:
    """Whether a column is set to NULL or to an empty text."""
    return is_null(use.value) or (isinstance(use.value, Known) and use.value.value == "")


def _names_model(ctx: Context, column: str) -> bool:
    name = snake(column)
    return (
        name in ctx.words.model_columns
        or re.search(r"(lora|weights|model)_(version|url|path)$", name) is not None
    )


def _called_from(ctx: Context, func: ir.Func | None, callers: set[ir.Func]) -> bool:
    sites = ctx.program.callers.get(func, []) if func is not None else []
    return any(ir.enclosing(each.call, ir.Func) in callers for each in sites)


def id_overloaded(ctx: Context) -> Iterator[Finding]:
    """One column that receives a training id in one place and a model path in another.

    Checks where written values come from. Columns written through unknown helpers are not judged. What a single place
    says of two things under one name is in `two_things`.
    """
    yield from two_things(ctx)
    seen: dict[str, dict[str, tuple[Statement, ColumnUse]]] = {}
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            kind = _id_kind(ctx, use)
            if kind:
                seen.setdefault(f"{statement.table}.{use.column}", {}).setdefault(kind, (statement, use))
    run = _run_columns(ctx)
    for key, kinds in sorted(seen.items()):
        column = snake(key.partition(".")[2])
        named = re.search(r"training|prediction|job", column) is not None
        if set(kinds) == {"training"} and column in run and not named:
            use = kinds["training"][1]
            message = f"{key} gets a training id here and is run as a model elsewhere"
            yield finding("id-overloaded", module_of(ctx, use), line_of(use), message, key=key,
                          weight=95, evidence=[run[column]])  # fmt: skip
        if len(kinds) == 2:
            first, second = kinds["training"][1], kinds["model"][1]
            module = module_of(ctx, first)
            message = f"{key} holds a training id here and a model path elsewhere"
            yield finding("id-overloaded", module, line_of(first), message, key=key, weight=95,
                          evidence=[Place(second.path, second.line)])  # fmt: skip
            message = f"{key} holds a model path here and a training id elsewhere"
            yield finding("id-overloaded", module_of(ctx, second), line_of(second), message, key=f"{key} model",
                          weight=BARELY, evidence=[Place(first.path, first.line)])  # fmt: skip


def _run_columns(ctx: Context) -> dict[str, Place]:
    """The members of rows that are handed to a generation as its model or version."""
    found: dict[str, Place] = {}
    for call in ctx.creates():
        given = [(ctx.program.modules[each.path], each.node) for each in call.fields("version", "model")]
        if call.sdk and call.call.args and not isinstance(call.call.args[0], ir.Obj):
            given.append((call.module, call.call.args[0]))
        for module, node in given if call.purpose == "generation" else ():
            for _, part in trace(ctx, module, node):
                if isinstance(part, ir.Attr):
                    found.setdefault(snake(part.name), place(call))
    return found


def _id_kind(ctx: Context, use: ColumnUse) -> str:
    if use.node is None or not re.search(r"id|model|version|path", use.column, re.I):
        return ""
    module = module_of(ctx, use)
    name = ir.dotted(use.node)
    behind = provider_behind(ctx, module, use.node)
    creates = behind is not None and behind.purpose == "training" and behind.creates
    if _TRAINING_ID.search(name) or (creates and last_name(use.node) == "id"):
        return "training"
    answer = snake(use.column) in ctx.words.model_columns and name.endswith(".output")
    if (
        answer
        or _MODEL_PATH.search(name)
        or any(each.kind in {WHOLE, COMPOSED, MODEL} for each in forms(ctx, module, use.node))
        or (isinstance(use.value, Text) and "/" in (render(use.value) or ""))
    ):
        return "model"
    traced = {
        ir.dotted(part) for part in _taken_apart(ctx, module, use.node) if isinstance(part, ir.Attr | ir.Name)
    }
    return "model" if any(re.search(r"output\.(version|model)$", each) for each in traced) else ""


def _taken_apart(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> Iterator[ir.Node]:
    """Where a value comes from, also where it is a piece of a text: `output.version.split(":")[0].split("/")`."""
    for where, part in trace(ctx, module, node):
        yield part
        cuts = part.func if isinstance(part, ir.Call) else None
        if depth < 3 and isinstance(cuts, ir.Attr) and cuts.name in {"split", "pop", "rpartition"}:
            yield from _taken_apart(ctx, where, cuts.obj, depth + 1)


def column_mismatch(ctx: Context) -> Iterator[Finding]:
    """A generation reads a model column that nothing writes, while another model column is written.

    Only tables with a known definition; writes by unknown helpers or outside the repository are not seen. Also one
    column under two spellings (`spellings`), and rows that are looked for by a column which no start of a run fills
    (`unfound`), or by what they were not stored as (`other_things`).
    """
    yield from spelled_twice(ctx)
    yield from never_found(ctx)
    yield from other_things(ctx)
    written: dict[str, set[str]] = {}
    for statement in ctx.statements:
        if statement.kind == "write":
            written.setdefault(statement.table, set()).update(
                snake(each.column) for each in statement.columns
            )
    for flow in ctx.flows:
        if flow.call.purpose != "generation":
            continue
        for field in flow.call.fields("version", "model", *ctx.words.weights_keys):
            module = ctx.program.modules[field.path]
            yield from _unwritten(ctx, module, field.node, written)


def _unwritten(
    ctx: Context, module: Module, node: ir.Node | None, written: dict[str, set[str]]
) -> Iterator[Finding]:
    for where, part in trace(ctx, module, node):
        column = snake(part.name) if isinstance(part, ir.Attr) else ""
        if column not in ctx.words.model_columns:
            continue
        for table in sorted(ctx.tables):
            defined = {snake(each) for each in columns_of(ctx, table)}
            mine = written.get(table, set())
            others = sorted(mine & ctx.words.model_columns)
            if column in defined and column not in mine and others:
                key = f"{table}.{column}"
                message = f"{key} is read for generation and never written; {', '.join(others[:2])} is written instead"
                yield finding("column-mismatch", where, part, message, key=key, weight=75)


def shared_mutable_default(ctx: Context) -> Iterator[Finding]:
    """A module-level object of defaults, or a mutable default argument, that a function changes in place.

    Also what a request changes for all others: the process's environment, a folder that it makes and empties
    (`shared_state`), what it leaves in a variable of the whole process (`last_request`).
    """
    yield from shared_state(ctx)
    yield from left_for_the_next(ctx)
    for module in ctx.live:
        for func, scope in module.scopes.items():
            for name, assigns in scope.members.items():
                bindings = module.top.names.get(name, [])
                local = name in scope.names
                literal = len(bindings) == 1 and isinstance(bindings[0].value, ir.Obj)
                if (
                    not local
                    and literal
                    and re.search(r"default|preset|config|settings|params|options|input|template", name, re.I)
                    and _is_read(ctx, name)
                    and not _of_pages(ctx, func)
                ):
                    yield finding(
                        "shared-mutable-default",
                        module,
                        assigns[0],
                        f"the shared object {name} is changed for one call",
                        key=name,
                        weight=50,
                    )
            yield from _mutable_arguments(module, func, scope.members)


def _is_read(ctx: Context, name: str) -> bool:
    """Whether anything besides what sets its members looks at an object, by its name in any file."""
    word = re.compile(rf"\b{re.escape(name)}\b(?!\s*(\.\w+|\[[^\]\n]*\])\s*=[^=])")
    told = sum(len(word.findall(each.file.text)) for each in ctx.live if name in each.file.text)
    return told > 1


def _of_pages(ctx: Context, func: ir.Node) -> bool:
    """Whether nothing but pages calls a function: what it changes is one browser's own."""
    sites = ctx.program.callers.get(func, []) if isinstance(func, ir.Func) else []
    return bool(sites) and all(runs_in_browser(each.module) for each in sites)


def _mutable_arguments(
    module: Module, func: ir.Func, members: dict[str, list[ir.Assign]]
) -> Iterator[Finding]:
    for param in func.params if module.language == "python" else ():
        if not isinstance(param.default, ir.Obj | ir.Arr):
            continue
        ways = {f"{param.name}.append", f"{param.name}.update"}
        changed = any(ir.plain_dotted(each.func) in ways for each in ir.find(func, ir.Call))
        if param.name in members or changed:
            yield finding(
                "shared-mutable-default",
                module,
                param,
                f"the default of {param.name} is shared between calls and changed",
                key=param.name,
                weight=50,
            )
