"""Part of the rule on swallowed failures: work of the product that fails, is logged, and is passed over.

Handlers that log and go on around writes, uploads, deliveries and calls of the provider, and helpers whose answer for
a failure nobody looks at, or nobody can tell from an empty one. All of it is of low weight: where money or a state is
known to be lost the other parts say so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, last_name, live_statements
from portraitist.audit.rules.failures.answers import told_about
from portraitist.audit.rules.failures.looking import (
    ASIDE,
    WORKS_FOR,
    does_more,
    is_empty,
    is_untested,
    unseen,
    work_of,
    work_tried,
)
from portraitist.audit.rules.failures.quiet import (
    BESIDE,
    goes_round,
    live_attempts,
    only_logs,
    served,
    tested_after,
)
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import NOTHING, is_way_out, way_out


def beside(told: list[Finding], *more: Iterator[Finding]) -> Iterator[Finding]:
    """What more there is to tell, at lines of which nothing is told already."""
    known = spans_of(told)
    for each in itertools.chain(*more):
        if not is_known(known, each.path, each.line, each.end_line):
            known.setdefault(each.path, []).append((each.line, each.end_line))
            yield each


Spans = dict[str, list[tuple[int, int]]]
"""First and last lines, by file."""


def spans_of(told: list[Finding]) -> Spans:
    """The lines of which something is told."""
    known: Spans = {}
    for each in told:
        known.setdefault(each.path, []).append((each.line, each.end_line))
    return known


def is_known(known: Spans, path: str, first: int, last: int) -> bool:
    """Whether something is told of all these lines, or of some of them alone."""
    own = (first, last)
    return any(_lies_in(own, span) or _lies_in(span, own) for span in known.get(path, ()))


def _lies_in(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def passed_over(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    for module in ctx.once(served):
        for func, attempt, handler in live_attempts(ctx, module):
            yield from _noted(ctx, module, func, attempt, handler)
            yield from _answered(ctx, module, func, attempt, handler)
    yield from _answered_for_error(ctx)


def _noted(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`try { await save(…) } catch (error) { console.error(error) }`, with no look at what came of it."""
    rest = [each for each in handler.body if not _goes_on(each)]
    if not only_logs(rest) or ASIDE.search(func.name):
        return
    if any(_has_turns(each, attempt) for each in ir.ancestors(attempt)):
        return
    work, call = work_of(ctx, attempt, reads=False)
    if work and not (call is not None and tested_after(attempt, call)):
        message = f"a failure of {work} is only logged here, and what follows goes on without it"
        yield finding(
            "fallback-swallow", module, handler, message, key=f"noted {work}", weight=BARELY, end=handler.end
        )


def _has_turns(loop: ir.Node, attempt: ir.Try) -> bool:
    """Whether what failed is tried once more by a loop: one with a test of its own, or that a success leaves."""
    if not isinstance(loop, ir.Loop) or loop.within is not attempt.within:
        return False
    return goes_round(loop) or any(is_way_out(each) for part in attempt.body for each in ir.walk(part))


def _goes_on(node: ir.Node) -> bool:
    """Whether a statement of a handler goes on to the next round, or undoes a transaction."""
    if isinstance(node, ir.Other) and node.kind in {"continue_statement", *NOTHING}:
        return True
    calls = list(ir.find(node, ir.Call))
    return (
        bool(calls)
        and all(last_name(each.func) == "rollback" for each in calls)
        and not isinstance(node, ir.If)
    )


def _answered(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`catch { return null }` in a helper: what nobody looks at, or what is given as well where there is nothing."""
    leave = way_out(handler)
    if leave is None or leave.throws or func in ctx.handled_by or not func.name or ASIDE.search(func.name):
        return
    if any(does_more(ctx, each) for each in handler.body if each is not leave):
        return
    params = {each.name for each in func.params}
    if not is_empty(leave.value) and last_name(leave.value) not in params:
        return
    work, _ = ctx.once(work_tried, attempt)
    if work and isinstance(leave.value, ir.Name) and leave.value.id in params:
        message = f"{func.name} answers a failure of {work} with {leave.value.id}, which it was given"
        yield finding("fallback-swallow", module, handler, message, key=f"given {func.name}", weight=BARELY,
                      end=handler.end)  # fmt: skip
    elif work:
        yield from unseen(ctx, func, handler, leave, work)


def _answered_for_error(ctx: Context) -> Iterator[Finding]:
    """`if (error) { console.error(error); return null }` behind a statement that throws nothing, in a helper.

    Also reads whose answer is handed on with its error unread.
    """
    own = set(ctx.once(served))
    for statement in live_statements(ctx, *WORKS_FOR):
        func, module = statement.func, statement.module
        if func is None or module.language != "javascript" or module not in own:
            continue
        if BESIDE.search(snake(statement.table)):
            continue
        if statement.kind == "read" and _is_read_unseen(ctx, statement):
            message = f"the error in the answer of this read of {statement.table} is never looked at"
            yield finding("fallback-swallow", module, statement.node, message, key=f"read {statement.table}",
                          weight=BARELY, line=statement.line, end=statement.end)  # fmt: skip
        elif func.name and func not in ctx.handled_by and not _is_aside(func, statement):
            told = ctx.once(told_about, statement)
            test = (
                told if isinstance(told, ir.If) else ir.enclosing(told, ir.If) if told is not None else None
            )
            leave = test.then[-1] if test is not None and test.then and test.line >= statement.line else None
            if not isinstance(leave, ir.Return) or leave.throws or test is None or not is_empty(leave.value):
                continue
            if only_logs(_logging(test)):
                yield from unseen(ctx, func, test, leave, f"{WORKS_FOR[statement.kind]} {statement.table}")


def _is_aside(func: ir.Func, statement: Statement) -> bool:
    """Whether a helper's failure is meant to be harmless: `logGeneration` writes the generation itself."""
    name = snake(func.name)
    keeps = statement.kind == "write" and re.match(r"(log|track)_", name)
    return ASIDE.search(re.sub(r"^(log|track)_", "", name) if keeps else func.name) is not None


def _is_read_unseen(ctx: Context, statement: Statement) -> bool:
    """`const { data } = await db.from(…).select(…)`, handed on whether or not there is anything."""
    up, func = statement.node.parent, statement.func
    chain = (
        {call_name(each) for each in chain_calls(statement.node)}
        if isinstance(statement.node, ir.Call)
        else set()
    )
    if (
        not {"from", "select"} <= chain
        or "throwOnError" in chain
        or not isinstance(up, ir.Assign)
        or func is None
    ):
        return False
    keys = {each.key for each in up.target.props} if isinstance(up.target, ir.Obj) else set()
    return (keys == {"data"} and is_untested(ctx, func, up, None)) or (
        bool(keys) and keys <= {"data", "count"} and _counts_as_nothing(func, up)
    )


def _counts_as_nothing(func: ir.Func, assign: ir.Assign) -> bool:
    """`count ?? 0`, `rows || []`: what could not be read is taken for none, and no test asks for more."""
    names = variables_in(assign.target)
    used = [each for each in ir.find(func, ir.Name) if each.id in names and each.line > assign.end]
    return bool(used) and all(_or_nothing(each) for each in used)


def _or_nothing(name: ir.Name) -> bool:
    up = name.parent
    while isinstance(up, ir.Attr) and up.maybe:
        up = up.parent
    either = isinstance(up, ir.Bin) and up.op in {"or", "??"} and up.right is not None
    return either and isinstance(up, ir.Bin) and not isinstance(up.right, ir.Name) and is_empty(up.right)


def _logging(test: ir.If) -> list[ir.Node]:
    """What a branch does before it leaves; a test around a log alone is none of it."""
    return [one for each in test.then[:-1] for one in (each.then if isinstance(each, ir.If) else [each])]
