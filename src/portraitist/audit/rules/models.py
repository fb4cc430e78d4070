"""Risks in how models, trainings and their columns are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.link.bindings import block_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Text, is_null, literals, render
from portraitist.audit.model import Fact, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    place,
    provider_behind,
    trace,
)

_TRAINING_ID = re.compile(
    r"(training\w*|prediction\w*)\.id$|(^|\.)(training|prediction)_?(job_?)?id$|replicate_?training_?id$",
    re.I,
)
_MODEL_PATH = re.compile(
    r"output\.(version|model)|destination|model_?(path|name|version)|split|trained_?model|model(\.|_?)url$",
    re.I,
)
_DONE = {"completed", "succeeded", "ready", "trained", "done", "success", "complete", "finished"}
_STATUS_COLUMN = re.compile(r"(^|_)(status|state)$")


def clears_working_model(ctx: Context) -> Iterator[Finding]:
    """NULL written to a model column in a function on the way to starting a training.

    Checks live updates only. Cannot know whether a later statement restores the value.
    """
    for call in ctx.creates():
        if call.purpose != "training":
            continue
        funcs = {func for flow in ctx.flows if flow.call is call for func in flow.funcs}
        for statement in live_statements(ctx, "write"):
            for use in statement.columns:
                if (
                    statement.insert
                    or not is_null(use.value)
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
                        ir.Other(use.line, use.line, []),
                        message,
                        key=key,
                        weight=100,
                        evidence=[place(call)],
                    )


def _called_from(ctx: Context, func: ir.Func | None, callers: set[ir.Func]) -> bool:
    sites = ctx.program.callers.get(func, []) if func is not None else []
    return any(ir.enclosing(each.call, ir.Func) in callers for each in sites)


def id_overloaded(ctx: Context) -> Iterator[Finding]:
    """One column that receives a training id in one place and a model path in another.

    Checks where written values come from. Columns written through unknown helpers are not judged.
    """
    seen: dict[str, dict[str, tuple[Statement, ColumnUse]]] = {}
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            kind = _id_kind(ctx, statement, use)
            if kind:
                seen.setdefault(f"{statement.table}.{use.column}", {}).setdefault(kind, (statement, use))
    for key, kinds in sorted(seen.items()):
        if len(kinds) == 2:
            first, second = kinds["training"][1], kinds["model"][1]
            module = module_of(ctx, first)
            message = f"{key} holds a training id here and a model path elsewhere"
            yield finding("id-overloaded", module, ir.Other(first.line, first.line, []), message, key=key, weight=95,
                          evidence=[Place(second.path, second.line)])  # fmt: skip


def _id_kind(ctx: Context, statement: Statement, use: ColumnUse) -> str:
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
        or (isinstance(use.value, Text) and "/" in (render(use.value) or ""))
    ):
        return "model"
    traced = {
        ir.dotted(part) for _, part in trace(ctx, module, use.node) if isinstance(part, ir.Attr | ir.Name)
    }
    return "model" if any(re.search(r"output\.(version|model)$", each) for each in traced) else ""


def column_mismatch(ctx: Context) -> Iterator[Finding]:
    """A generation reads a model column that nothing writes, while another model column is written.

    Only tables with a known definition; writes by unknown helpers or outside the repository are not seen.
    """
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


def no_retry(ctx: Context) -> Iterator[Finding]:
    """A training is marked completed although no version may have been stored.

    Checks literals of done-states, and states tested to be one, next to model columns whose value may be null, or
    that are only set inside a test of the provider's output that the status does not depend on. Of a helper it asks
    whether one of its calls tells it a done-state. Other functions are not looked at.
    """
    yield from _stored_under_a_test(ctx)
    for statement in live_statements(ctx, "write"):
        states = [each for each in statement.columns if _STATUS_COLUMN.search(snake(each.column))]
        for use in statement.columns:
            empty = isinstance(use.value, OneOf) and None in literals(use.value)
            if snake(use.column) not in ctx.words.model_columns or not (empty or _optional(use.node)):
                continue
            done = [each for each in states if _is_done(each) or _tested_done(each)]
            done = done or _told_done(ctx, statement, use, states)
            if done:
                key = f"{statement.table}.{use.column}"
                message = f"status becomes done even when {key} could not be extracted"
                yield finding(
                    "no-retry",
                    module_of(ctx, use),
                    ir.Other(use.line, use.line, []),
                    message,
                    key=key,
                    weight=65,
                    evidence=[Place(done[0].path, done[0].line)],
                )
                break


def _tested_done(use: ColumnUse) -> bool:
    """`status: body.status` under `if (body.status === "succeeded")`."""
    name = ir.plain_dotted(use.node) if use.node is not None else ""
    tests = (
        [each.test for each in ir.ancestors(use.node) if isinstance(each, ir.If)] if name and use.node else []
    )
    return any(
        each.op in {"==", "==="}
        and ir.plain_dotted(each.left) == name
        and (ir.text_of(each.right) or "").lower() in _DONE
        for test in tests
        for each in ir.find(test, ir.Bin)
    )


def _told_done(
    ctx: Context, statement: Statement, use: ColumnUse, states: list[ColumnUse]
) -> list[ColumnUse]:
    """The status columns of a helper where the call that hands it this column tells it a done-state.

    A column that the helper itself makes null for want of a parameter is handed by every call that may leave it out.
    """
    sites = ctx.program.callers.get(statement.func, []) if statement.func is not None else []
    for site in sites:
        within = site.module.path == use.path and site.call.line <= use.line <= site.call.end
        told = [*site.call.args, *(each.value for arg in site.call.args for each in _entries(arg))]
        if any((ir.text_of(each) or "").lower() in _DONE for each in told) and (
            within or _may_lack(site.call, use)
        ):
            return states
    return []


def _entries(arg: ir.Node) -> list[ir.Prop]:
    return arg.props if isinstance(arg, ir.Obj) else []


def _may_lack(call: ir.Call, use: ColumnUse) -> bool:
    """Whether a helper's `param ?? null` gets nothing from this call, or a part: `a?.b.split(":")[1]`."""
    param = last_name(use.node.left) if isinstance(use.node, ir.Bin) else ""
    given = [each.value for arg in call.args for each in _entries(arg) if each.key == param]
    return bool(param) and all(isinstance(each, ir.Index) for each in given)


def _stored_under_a_test(ctx: Context) -> Iterator[Finding]:
    """`row.status = done` beside `if output: row.version = …`, with no way out for the other case."""
    done: dict[tuple[ir.Func | None, str], list[ColumnUse]] = {}
    writes = list(live_statements(ctx, "write"))
    for statement in writes:
        marks = [
            each for each in statement.columns if _STATUS_COLUMN.search(snake(each.column)) and _is_done(each)
        ]
        done.setdefault((statement.func, statement.table), []).extend(marks)
    for statement in writes:
        for use in statement.columns:
            if use.node is None or snake(use.column) not in ctx.words.model_columns:
                continue
            for mark in done.get((statement.func, statement.table), []):
                if mark.node is not None and _only_if_output(use.node, mark.node):
                    key = f"{statement.table}.{use.column}"
                    message = f"status becomes done whether or not the output holds {key}"
                    yield finding("no-retry", module_of(ctx, use), ir.Other(use.line, use.line, []), message, key=key,
                                  weight=65, evidence=[Place(mark.path, mark.line)])  # fmt: skip
                    break


def _only_if_output(use: ir.Node, mark: ir.Node) -> bool:
    """Whether the write stands under a test of the output that the mark stands beside."""
    test = next((each for each in ir.ancestors(use) if isinstance(each, ir.If | ir.Func)), None)
    if not isinstance(test, ir.If) or test.other or not names_in(test.test) & {"output", "weights"}:
        return False
    return test not in set(ir.ancestors(mark)) and block_of(test) is block_of(mark)


def _is_done(use: ColumnUse) -> bool:
    return isinstance(use.value, Known) and str(use.value.value).lower() in _DONE


def _optional(node: ir.Node | None) -> bool:
    return (
        isinstance(node, ir.Bin)
        and node.op == "or"
        and isinstance(node.right, ir.Lit)
        and not node.right.value
    )


def shared_mutable_default(ctx: Context) -> Iterator[Finding]:
    """A module-level object of defaults, or a mutable default argument, that a function changes in place."""
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


def schema_drift(ctx: Context) -> Iterator[Finding]:
    """A written column that no definition has, or two definitions of one column with different types."""
    missing: dict[tuple[str, str], list[Fact]] = {}
    for fact in ctx.of("table.missing_column"):
        if fact.role in {"src", "script"}:
            missing.setdefault((fact.path, fact.key.partition(".")[0]), []).append(fact)
    for (path, table), facts in sorted(missing.items()):
        first = facts[0]
        names = list(dict.fromkeys(each.key.partition(".")[2] for each in facts))
        message = (
            f"{table} has no column {', '.join(names[:4])}{'…' if len(names) > 4 else ''} in any definition"
        )
        evidence = (*first.evidence, *(each.place for each in facts[1:6]))
        key = f"{table}.{names[0]}"
        yield Finding(
            "schema-drift", path, first.line, first.end_line, message, key, first.scope, evidence, 50
        )
    for fact in ctx.of("table.type_conflict"):
        if fact.role in {"src", "script"}:
            yield Finding(
                "schema-drift",
                fact.path,
                fact.line,
                fact.end_line,
                f"{fact.key} is defined with two types",
                fact.key,
                "",
                fact.evidence,
                45,
            )
