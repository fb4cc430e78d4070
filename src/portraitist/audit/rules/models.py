"""Risks in how models, trainings and their columns are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import columns_of, snake
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
    r"(training\w*|prediction\w*)\.id$|^training_?id$|^prediction_?id$|replicate_?training_?id$", re.I
)
_MODEL_PATH = re.compile(
    r"output\.(version|model)|destination|model_?(path|name|version)|split|trained_?model", re.I
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
    if _MODEL_PATH.search(name) or (isinstance(use.value, Text) and "/" in (render(use.value) or "")):
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
    """A training is marked completed in the statement that may store no version.

    Checks literals of done-states next to model columns whose value may be null.
    """
    for statement in live_statements(ctx, "write"):
        done = [
            each for each in statement.columns if _STATUS_COLUMN.search(snake(each.column)) and _is_done(each)
        ]
        for use in statement.columns:
            empty = isinstance(use.value, OneOf) and None in literals(use.value)
            if done and snake(use.column) in ctx.words.model_columns and (empty or _optional(use.node)):
                key = f"{statement.table}.{use.column}"
                message = f"status becomes {done[0].value.value!r} even when {key} could not be extracted"  # type: ignore[union-attr]
                yield finding(
                    "no-retry",
                    module_of(ctx, use),
                    ir.Other(use.line, use.line, []),
                    message,
                    key=key,
                    weight=65,
                    evidence=[Place(done[0].path, done[0].line)],
                )


def _is_done(use: ColumnUse) -> bool:
    return isinstance(use.value, Known) and str(use.value.value).lower() in _DONE


def _optional(node: ir.Node | None) -> bool:
    return (
        isinstance(node, ir.Bin)
        and node.op == "or"
        and isinstance(node.right, ir.Lit)
        and not node.right.value
    )


def version_unnormalised(ctx: Context) -> Iterator[Finding]:
    """A version column gets `output.version` as it is (owner/name:hash) and is joined to a model elsewhere."""
    joined = _joined_names(ctx)
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            raw = (
                use.node is not None
                and re.search(r"output\.version$", ir.dotted(use.node))
                and isinstance(use.node, ir.Attr)
            )
            if raw and snake(use.column) in joined:
                key = f"{statement.table}.{use.column}"
                message = f"{key} keeps owner/name:hash as sent and is joined to a model name elsewhere"
                yield finding(
                    "version-unnormalised",
                    module_of(ctx, use),
                    ir.Other(use.line, use.line, []),
                    message,
                    key=key,
                    weight=55,
                    evidence=[joined[snake(use.column)]],
                )


def _joined_names(ctx: Context) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair and not isinstance(ctx.ev.eval(module, pair[1]), Known):
                found.setdefault(snake(last_name(pair[1])), Place(module.path, text.line))
    return found


def composite(text: ir.Tmpl) -> tuple[ir.Node, ir.Node] | None:
    """The two holes of `{a}:{b}`, when a text is just that."""
    parts = text.parts
    if len(parts) == 3 and isinstance(parts[1], ir.Lit) and parts[1].value == ":":
        return (
            (parts[0], parts[2])
            if not isinstance(parts[0], ir.Lit) and not isinstance(parts[2], ir.Lit)
            else None
        )
    return None


def version_parse_fragile(ctx: Context) -> Iterator[Finding]:
    """A version taken apart by a pattern for one address form, or by `split(":")` without a check of the parts."""
    for module in ctx.live:
        for lit in module.all(ir.Lit):
            if lit.kind == "regex" and re.search(r"replicate\\?\.com", str(lit.value)):
                yield finding(
                    "version-parse-fragile",
                    module,
                    lit,
                    "a version is read by a pattern for replicate.com addresses only",
                    key="regex",
                    weight=45,
                )
        for call in module.all(ir.Call):
            source = call.func.obj if isinstance(call.func, ir.Attr) and call.func.name == "split" else None
            colon = bool(call.args) and ir.text_of(call.args[0]) == ":"
            if (
                source is None
                or not colon
                or not re.search(r"version|output\.|destination|trained", ir.dotted(source), re.I)
            ):
                continue
            if not _parts_checked(call):
                yield finding(
                    "version-parse-fragile",
                    module,
                    call,
                    f"{ir.dotted(source)} is split at ':' and the parts are not checked",
                    key=ir.dotted(source),
                    weight=40,
                )


def _parts_checked(call: ir.Call) -> bool:
    """Whether the string was tested for the colon, or the results are tested after the split."""
    func = ir.enclosing(call, ir.Func)
    assign = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign)), None)
    made = {each.id for each in ir.find(assign.target, ir.Name)} if assign is not None else set()
    for each in ir.find(func, ir.If) if func is not None else []:
        names = names_in(each.test)
        if names & made or ":" in names:
            return True
    return any(isinstance(each, ir.Cond) and ":" in names_in(each.test) for each in ir.ancestors(call))


def null_composite(ctx: Context) -> Iterator[Finding]:
    """`{model}:{version}` sent to the provider without a test of both parts in the functions on the way.

    A database constraint or a test in another layer is not seen.
    """
    for module in ctx.live:
        for text in module.all(ir.Tmpl):
            pair = composite(text)
            if pair is None or ctx.role_at(module, text) not in {"src", "script"}:
                continue
            names = [snake(last_name(each)) for each in pair]
            if (
                not all(re.search(r"model|version|path|name|owner", each) for each in names)
                or "version" not in names[1]
            ):
                continue
            if not all(isinstance(each, ir.Attr | ir.Index) for each in pair):
                continue
            values = [ctx.ev.eval(module, each) for each in pair]
            missing = [
                name
                for name, node, value in zip(names, pair, values, strict=True)
                if not (isinstance(value, Known) or _never_null(node) or _tested(node, text))
            ]
            if missing:
                message = f"{' and '.join(missing)} may be null when the version is composed"
                yield finding("null-composite", module, text, message, key=":".join(names), weight=60)


def _never_null(node: ir.Node) -> bool:
    """A field of the own class that is annotated with a plain type."""
    cls = ir.enclosing(node, ir.Class)
    if cls is None or not isinstance(node, ir.Attr) or ir.plain_dotted(node) != f"self.{node.name}":
        return False
    fields = [
        each for each in cls.body if isinstance(each, ir.Assign) and last_name(each.target) == node.name
    ]
    return any(each.annotation is not None and isinstance(each.annotation, ir.Name) for each in fields)


def _tested(node: ir.Node, use: ir.Node) -> bool:
    name = last_name(node)
    func: ir.Func | None = ir.enclosing(use, ir.Func)
    while func is not None:
        for each in ir.walk(func):
            if isinstance(each, ir.If | ir.Cond) and each.line <= use.line and name in names_in(each.test):
                return True
        func = ir.enclosing(func, ir.Func)
    return False


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
    for param in func.params:
        mutable = module.language == "python" and isinstance(param.default, ir.Obj | ir.Arr)
        changed = [
            each
            for each in ir.find(func, ir.Call)
            if ir.plain_dotted(each.func) in {f"{param.name}.append", f"{param.name}.update"}
        ]
        if mutable and (param.name in members or changed):
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
