"""Part of the rule on working models: a model that is thrown away before, or because, another training fails.

What a later statement restores is not known; rows that belong to one training alone are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.link.values import is_null
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    askers,
    callers_of,
    finding,
    helpers_of,
    line_of,
    live_statements,
    module_of,
    names_in,
    place,
)
from portraitist.audit.rules.completion.words import names_model
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import LOST, RUNNING, STATE, word_of
from portraitist.audit.rules.syntax import in_handler

_DELETES = re.compile(r"models\.(versions\.)?(async_)?delete$|^DELETE /v1/models/")


def lost_models(ctx: Context) -> Iterator[Finding]:
    """Models, in rows or at the provider, deleted before a training starts; models cleared when one fails.

    Also rows that are replaced before it, marked as training again, or given another trigger word.
    """
    for call in ctx.creates():
        if call.purpose == "training" and call.func is not None:
            for part in (_deleted_rows, _word_changed, _replaced, _marked_again):
                yield from part(ctx, call.func, call.call, place(call))
    yield from _deleted_at_provider(ctx)
    yield from _cleared_by_failure(ctx)


def _deleted_rows(ctx: Context, func: ir.Func, start: ir.Node, begun: Place) -> Iterator[Finding]:
    """`models.delete().eq("user_id", …)` and then the training, whose failure leaves nothing."""
    for each in ctx.statements_under.get(func, ()):
        whose = {snake(name) for name in each.where}
        all_of_one = whose and whose <= ctx.words.owner_columns
        if each.kind != "delete" or not all_of_one or each.line >= start.line or each.func is not func:
            continue
        handled = any(isinstance(one, ir.Handler | ir.If) for one in ir.ancestors(each.node))
        if handled or not _keeps_models(ctx, each.table):
            continue
        message = f"the rows of {each.table} go before the training starts; if that fails, no model is left"
        yield finding("clears-working-model", each.module, each.node, message, key=each.table, weight=84,
                      line=each.line, end=each.end, evidence=[begun])  # fmt: skip


def _replaced(ctx: Context, func: ir.Func, start: ir.Node, begun: Place) -> Iterator[Finding]:
    """A row that was found is deleted, and another is made in its place, before the training starts.

    One that was looked for by a state, or is deleted under a test for one, is left alone.
    """
    own = [
        each for each in ctx.statements_under.get(func, ()) if each.func is func and each.line < start.line
    ]
    for gone in (each for each in own if each.kind == "delete" and each.where):
        made = next(
            (each for each in own if each.insert and each.table == gone.table and each.line > gone.end), None
        )
        if (
            made is None
            or in_handler(gone.node)
            or not _may_hold_model(ctx, gone.table)
            or _by_state(own, gone)
        ):
            continue
        message = f"a row of {gone.table} goes for a new one before the training starts: if that fails, none is left"
        yield finding("clears-working-model", gone.module, gone.node, message, key=f"{gone.table} replaced", weight=60,
                      line=gone.line, end=gone.end, evidence=[begun])  # fmt: skip


def _may_hold_model(ctx: Context, table: str) -> bool:
    named = re.search(r"(^|_)(models?|loras?|avatars?)$", snake(table))
    return named is not None or _keeps_models(ctx, table) or _is_model(ctx, table)


def _by_state(own: list[Statement], gone: Statement) -> bool:
    """Whether a row goes for its state: by the delete's condition, a read's in front of it, or a test around it."""
    asked = [each for each in own if each.table == gone.table and each.line <= gone.line and not each.insert]
    words = {word.lower() for each in asked for name, value in each.where_values if STATE.search(snake(name))
             for word in names_in(value)}  # fmt: skip
    tests = {
        one.lower()
        for each in ir.ancestors(gone.node)
        if isinstance(each, ir.If)
        for one in names_in(each.test)
    }
    return bool(words & LOST) or bool(tests & LOST) or any(STATE.search(snake(one)) for one in tests)


def _marked_again(ctx: Context, func: ir.Func, start: ir.Node, begun: Place) -> Iterator[Finding]:
    """A row that may hold a finished model is marked as training, and nobody asks for its state before."""
    own = [each for each in ctx.statements_under.get(func, ()) if each.kind == "write" and each.func is func]
    made = {each.table for each in own if each.insert}
    asked = _asked_near(ctx, func, start)
    for each in own:
        words = [
            use
            for use in each.columns
            if STATE.search(snake(use.column)) and word_of(use.value, use.node) in RUNNING
        ]
        if (
            each.insert
            or each.table in made
            or not words
            or not each.where
            or snake(words[0].column) in asked
        ):
            continue
        if _is_model(ctx, each.table) and not in_handler(each.node):
            key = f"{each.table}.{words[0].column}"
            message = (
                f"{key} is set for a new training, and nobody asks whether the row holds a model that works"
            )
            yield finding("clears-working-model", each.module, each.node, message, key=f"{key} again", weight=BARELY,
                          line=each.line, end=each.end, evidence=[begun])  # fmt: skip


def _asked_near(ctx: Context, func: ir.Func, start: ir.Node) -> set[str]:
    """The names that a function tests before a start, and its callers and helpers anywhere; and their conditions'."""
    others = [each for each in (*callers_of(ctx, func), *helpers_of(ctx, func)) if each is not None]
    tests = [each for each in ir.find(func, ir.If) if each.line < start.line]
    tests += [each for one in others for each in ir.find(one, ir.If)]
    stated = (each for one in (func, *others) for each in ctx.statements_under.get(one, ()))
    asked = {snake(name) for each in tests for name in names_in(each.test)}
    return asked | {snake(name) for each in stated for name in each.where}


_WORD = re.compile(r"trigger|keyword|(^|_)instance_prompt$|token_string|unique_word")


def _word_changed(ctx: Context, func: ir.Func, start: ir.Node, begun: Place) -> Iterator[Finding]:
    """`user.update({ keyword })` in front of the training: the model that is there still answers to the old word."""
    own = [each for each in ctx.statements_under.get(func, ()) if each.kind == "write"]
    made = {each.table for each in own if each.insert}
    for each in own:
        words = [use for use in each.columns if _WORD.search(snake(use.column)) and not is_null(use.value)]
        if each.insert or each.table in made or not words or each.line >= start.line or each.func is not func:
            continue
        if _is_model(ctx, each.table) and not in_handler(each.node):
            key = f"{each.table}.{words[0].column}"
            message = f"{key} is changed before the training starts: if that fails, the old model keeps another word"
            yield finding("clears-working-model", each.module, each.node, message, key=key, weight=44,
                          line=each.line, end=each.end, evidence=[begun])  # fmt: skip


def _is_model(ctx: Context, table: str) -> bool:
    """Whether live code stores, beside others, what a training made in rows of a table that are there."""
    return any(
        each.table == table and not each.insert and any(names_model(ctx, use.column) for use in each.columns)
        for each in live_statements(ctx, "write")
    )


def _keeps_models(ctx: Context, table: str) -> bool:
    """Whether a table has a column for what a training makes, by its definition or by a write that fills it."""
    named = {snake(each) for each in columns_of(ctx, table)}
    named |= {
        snake(use.column)
        for each in live_statements(ctx, "write")
        if each.table == table
        for use in each.columns
        if not is_null(use.value)
    }
    return bool(named & (ctx.words.model_columns - {"model_id"}))


def _deleted_at_provider(ctx: Context) -> Iterator[Finding]:
    """A model or version that the provider is told to delete on the way to a new training."""
    starts = {each.func: each for each in ctx.creates() if each.purpose == "training"}
    for call in ctx.calls:
        start = starts.get(call.func) if _DELETES.search(call.api) else None
        if start is None or call.call.line >= start.call.line:
            continue
        if ctx.role_at(call.module, call.call) in LIVE_ROLES and not in_handler(call.call):
            message = (
                "the model is deleted at the provider before the training starts; if that fails, none is left"
            )
            yield finding("clears-working-model", call.module, call.call, message, key=call.api, weight=84,
                          evidence=[place(start)])  # fmt: skip


def _cleared_by_failure(ctx: Context) -> Iterator[Finding]:
    """A failed training sets the model of a row to NULL, and the start of a training writes to a row that was there."""
    hooks = working(ctx).hooks | askers(ctx)
    reused = {each.table: each for each in _started(ctx)}
    for statement in live_statements(ctx, "write") if reused else ():
        start = reused.get(statement.table)
        if start is None or statement.insert or statement.func not in hooks:
            continue
        for use in statement.columns:
            emptied = is_null(use.value) and snake(use.column) in ctx.words.model_columns
            if emptied and _says_failed(statement):
                key = f"{statement.table}.{use.column}"
                message = f"{key} is set to NULL when a training fails: the model of an earlier one is lost"
                yield finding("clears-working-model", module_of(ctx, use), line_of(use), message,
                              key=key, weight=82, evidence=[Place(start.module.path, start.line)])  # fmt: skip
                break


def _started(ctx: Context) -> Iterator[Statement]:
    """The updates, of rows that were there, in which a start of a training keeps its id; none where it makes a row."""
    funcs = {func for flow in ctx.flows if flow.call.purpose == "training" for func in flow.funcs}
    written = [each for each in live_statements(ctx, "write") if each.func in funcs]
    made = {each.table for each in written if each.insert}
    for each in written:
        ids = any(re.search(r"training|job|prediction|replicate", snake(use.column)) for use in each.columns)
        if ids and each.table not in made:
            yield each


def _says_failed(statement: Statement) -> bool:
    words = {str(each.value).lower() for each in ir.find(statement.node, ir.Lit)}
    tests = (each.test for each in ir.ancestors(statement.node) if isinstance(each, ir.If))
    return bool(words & LOST) or any({one.lower() for one in names_in(each)} & LOST for each in tests)
