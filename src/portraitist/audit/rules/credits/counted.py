"""Part of the rule on credits: uses that are counted before the work and stay counted, refunds that come twice.

Works inside one function each: what a helper does about a failure is asked by the name that is counted only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.credits.changes import is_one
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.state_words import LOST, STATE
from portraitist.audit.rules.syntax import ORDER, calls_in

_WORKS = re.compile(
    r"generat|create|render|train|predict|process|upscale|enhance|synthesi|transcri|run|edit", re.I
)
_FOR = re.compile(
    r"(job|generation|prediction|training|order|task|image|video|reference|request|row|record)_?id|idempot"
)
_LOCKS = re.compile(r"transaction|atomic|for_update|with_for_update|lock", re.I)


def counted_first(ctx: Context) -> Iterator[Finding]:
    """`user.images += 1` behind a limit, then work whose failure is caught and counted all the same."""
    for module in ctx.live:
        if module.role != "src":
            continue
        for count in module.all(ir.Assign):
            func = count.within
            if count.op != "+=" or func is None or not isinstance(count.target, ir.Attr):
                continue
            if not is_one(count.value) or ctx.role_at(module, count) not in LIVE_ROLES:
                continue
            name = count.target.name
            bounded = any(each.end < count.line for each in bounds(func, name))
            caught = _caught_behind(func, count) if bounded else None
            if caught is not None and not _mentions(func, name, count):
                message = (
                    f"{name} counts this use before the work, and line {caught.line} keeps it when that fails"
                )
                yield finding("credit-before-check", module, count, message, key=name, weight=46,
                              evidence=[Place(module.path, caught.line)])  # fmt: skip


def bounds(func: ir.Func, name: str) -> Iterator[ir.If]:
    """The tests by which a function leaves where a number with this name has reached another."""
    for test in ir.find(func, ir.If):
        compares = any(
            each.op in ORDER and name in {last_name(each.left), last_name(each.right)}
            for each in ir.find(test.test, ir.Bin)
        )
        if compares and exits(test.then):
            yield test


def _caught_behind(func: ir.Func, count: ir.Assign) -> ir.Handler | None:
    """The handler of work that follows a count and that throws nothing on."""
    for attempt in ir.find(func, ir.Try):
        if attempt.within is not func or attempt.line <= count.end or not attempt.handlers:
            continue
        calls = calls_in(attempt.body)
        handler = attempt.handlers[-1]
        if any(each.throws for each in ir.find(handler, ir.Return)):
            continue
        if any(_WORKS.search(last_name(each.func)) for each in calls):
            return handler
    return None


def _mentions(func: ir.Func, name: str, count: ir.Assign) -> bool:
    """Whether the count is lowered again: by its name, or by something that gives back."""
    for each in ir.find(func, ir.Assign):
        lowered = last_name(each.target) == name and each is not count
        if lowered:
            return True
    return any(
        re.search(r"refund|rollback|restore|release|decrement|give_?back|undo", ir.dotted(each.func), re.I)
        for each in ir.find(func, ir.Call)
    )


def given_twice(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """A refund beside a write of the failed state that any number of requests at once may do."""
    for func, routes in ctx.handled_by.items():
        if not any(each.is_http for each in routes):
            continue
        module = ctx.program.module_of[func]
        gives = [each for each in ledger.events(func) if each.kind == "give" and gives_blindly(each.node)]
        if not gives or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        statements = ctx.statements_under.get(func, [])
        for statement in statements:
            if not _loses(statement) or not _is_looked_at(func, statements, statement):
                continue
            branch = next(
                (each for each in ir.ancestors(statement.node) if isinstance(each, ir.If | ir.Func)), None
            )
            beside = [
                each for each in gives if isinstance(branch, ir.If) and branch in set(ir.ancestors(each.node))
            ]
            for give in beside[:1]:
                message = (
                    f"nothing here keeps two requests at once from giving back twice: both find {statement.table} open,"
                    " and the write of the failed state asks for no state"
                )
                yield finding("credit-before-check", module, give.node, message, key=f"given {statement.table}",
                              weight=47, line=min(give.line, statement.line), end=max(give.end, statement.end),
                              evidence=[Place(module.path, statement.line)])  # fmt: skip


def gives_blindly(node: ir.Node) -> bool:
    """Whether a call gives back without being told for which work: a helper that knows it may ask whether it has."""
    return isinstance(node, ir.Call) and not any(_FOR.search(snake(each)) for each in names_in(node))


def _loses(statement: Statement) -> bool:
    """Whether a statement writes a failed state and selects its row by no state."""
    if statement.kind != "write" or statement.insert or not statement.where:
        return False
    if any(STATE.search(snake(each)) for each in statement.where):
        return False
    return any(
        STATE.search(snake(each.column))
        and isinstance(each.value, Known)
        and str(each.value.value).lower() in LOST
        for each in statement.columns
    )


def _is_looked_at(func: ir.Func, statements: list[Statement], lost: Statement) -> bool:
    """Whether the row was read before, and its state compared, outside of any transaction or lock."""
    read = any(
        each.kind == "read" and each.table == lost.table and each.line < lost.line for each in statements
    )
    locked = any(_LOCKS.search(ir.dotted(each.func)) for each in ir.find(func, ir.Call))
    asked = any(
        test.line < lost.line
        and exits(test.then)
        and any(STATE.search(snake(each)) for each in names_in(test.test))
        for test in ir.find(func, ir.If)
    )
    return read and asked and not locked
