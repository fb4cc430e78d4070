"""Whether only a call that was turned away is made again: 429 and its like say that nothing began and nothing is paid.

Reads the ways through a handler; what a helper of the repository decides is asked of its literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.syntax import is_next_round

LEAVES, AGAIN, FALLS = "leaves", "again", "falls"
"""How a way through a handler ends: it goes out of the loop, to the next round, or on to what stands below."""
_REFUSED = re.compile(r"429|rate.?limit|throttl|too.?many|quota", re.I)
_MAY_BE_PAID = re.compile(
    r"^(408|5\d\d)$|50[0-4]|time|ECONN|EPIPE|network|fetch|socket|reset by|hang up", re.I
)
_EQUAL = {"==", "===", "in", "is"}
_UNEQUAL = {"!=", "!==", "not in", "is not"}
MAX_NAMES = 2
"""How many variables back a test is looked for."""


def only_when_refused(attempt: ir.Try) -> bool:
    """Whether any failure but a refusal leaves the loop around an attempt, whose handlers ask for one at all."""
    inside = (each for handler in attempt.handlers for each in ir.walk(handler))
    if not any(isinstance(each, ir.Lit | ir.Name | ir.Attr) and speaks_of_refusal(each) for each in inside):
        return False
    others = [each for each in attempt.handlers if not speaks_of_refusal(each.catches)]
    return not any(_ways(each.body) & {AGAIN, FALLS} for each in others)


def when_refused(node: ir.Node) -> bool:
    """Whether only a refusal leads to something in a handler: into its branch, or past a way out for the rest."""
    branch = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Func):
            return False
        if isinstance(each, ir.If) and branch in each.then and _asks(each.test):
            return True
        body = each.body if isinstance(each, ir.Handler) else each.then if isinstance(each, ir.If) else []
        before = body[: body.index(branch)] if branch in body else []
        if before and FALLS not in _ways(before):
            return True
        if isinstance(each, ir.Handler):
            return False
        branch = each
    return False


def _ways(body: Iterable[ir.Node]) -> set[str]:
    """How statements may end for a failure that is no refusal."""
    ends: set[str] = set()
    for each in body:
        if isinstance(each, ir.Return):
            return ends | {LEAVES}
        if isinstance(each, ir.Other) and each.kind == "break_statement":
            return ends | {LEAVES}
        if is_next_round(each):
            return ends | {AGAIN}
        if isinstance(each, ir.If):
            found: set[str] = set()
            if not _asks(each.test):
                found |= _ways(each.then)
            if not _asks(each.test, not_that=True):
                found |= _ways(each.other)
            ends |= found - {FALLS}
            if FALLS not in found:
                return ends
    return ends | {FALLS}


def _asks(test: ir.Node | None, *, not_that: bool = False, depth: int = 0) -> bool:
    """Whether a test holds for a refusal alone, or with `not_that` for everything but a refusal."""
    if isinstance(test, ir.Bin):
        if test.op in {"not", "!"}:
            return _asks(test.left, not_that=not not_that, depth=depth)
        if test.op in {"and", "or"} and test.right is not None:
            both = [_asks(each, not_that=not_that, depth=depth) for each in (test.left, test.right)]
            return any(both) if (test.op == "and") is not not_that else all(both)
        if test.op in _EQUAL | _UNEQUAL:
            return (test.op in _UNEQUAL) is not_that and any(map(speaks_of_refusal, (test.left, test.right)))
        return False
    if isinstance(test, ir.Name) and depth < MAX_NAMES:
        made = _values(test)
        if made:
            return all(_asks(each, not_that=not_that, depth=depth + 1) for each in made)
    if not_that:
        return False
    if isinstance(test, ir.Call):
        named = speaks_of_refusal(test.func) or any(speaks_of_refusal(each) for each in test.args)
        return named or _tries_pattern(test)
    return isinstance(test, ir.Name | ir.Attr) and speaks_of_refusal(test)


def _tries_pattern(test: ir.Call) -> bool:
    """`/throttl|rate limit/i.test(message)`: a pattern that finds refusals alone."""
    pattern = test.func.obj if isinstance(test.func, ir.Attr) and test.func.name == "test" else None
    if not isinstance(pattern, ir.Lit) or pattern.kind != "regex":
        return False
    return all(_REFUSED.search(each) for each in str(pattern.value).split("|"))


def _values(name: ir.Name) -> list[ir.Node]:
    """What a variable of the same handler is set to."""
    handler = ir.enclosing(name, ir.Handler)
    made = ir.find(handler, ir.Assign) if handler is not None else ()
    return [each.value for each in made if last_name(each.target) == name.id and each.value is not None]


def speaks_of_refusal(node: ir.Node | None) -> bool:
    """Whether a literal, or a name, speaks of a refusal."""
    if isinstance(node, ir.Lit):
        return not isinstance(node.value, bool) and _REFUSED.search(str(node.value)) is not None
    return _REFUSED.search(last_name(node)) is not None


def asks_helper_first(ctx: Context, call: ir.Node) -> bool:
    """`catch { const delay = delayFor(error); if (delay === null) throw error; … }`, where that knows 429 alone."""
    attempt = ir.enclosing(call, ir.Try)
    inside = (
        [each for handler in attempt.handlers for each in ir.walk(handler)] if attempt is not None else []
    )
    if not any(isinstance(each, ir.Return) and each.throws for each in inside):
        return False
    called = [
        one for each in inside if isinstance(each, ir.Call) for one in ctx.program.functions_called(each)
    ]
    return any(isinstance(each.node, ir.Func) and _knows_refusal_alone(each.node) for each in called)


def _knows_refusal_alone(func: ir.Func) -> bool:
    """Whether a function asks for 429 and for no failure after which the call may have been paid."""
    said = [each.value for each in ir.find(func, ir.Lit)]
    return any(each in {429, "429"} for each in said) and not any(
        _MAY_BE_PAID.search(str(each)) for each in said
    )
