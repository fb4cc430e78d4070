"""Part of the rule on swallowed failures: a balance that nobody could read, and a number that takes its place.

`if (error) credits = 10`, `except: return 100` of what asks for credits: who has none needs only a look-up that fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.failures.quiet import Ways, on_paid_ways
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler

_ELSE = re.compile(r"used|spent|cost|price|required|needed|total|refund|limit|max|min|amount")
"""Numbers about credits that are no purse."""
_ERROR = re.compile(r"err(or)?$|^err|fail|exception", re.I)
_ASKS = re.compile(r"^_?(get|fetch|load|read|check|find|query|lookup)_")


def made_up_balance(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A positive number for a balance, in a handler or a branch for an error, on the way to the paid call."""
    funcs = {func: None for func, _ in on_paid_ways(ctx, ways)}
    funcs |= {each: None for func in [*funcs] for each in helpers_of(ctx, func)}
    for func in funcs:
        module = ctx.program.module_of[func]
        for node, name in _numbers(func):
            if _in_trouble(node, func) and ctx.role_at(module, node) in LIVE_ROLES:
                message = f"where {name} can't be read a number written here takes its place, and the paid work goes on"
                yield finding("fallback-swallow", module, node, message, key=f"purse {name}", weight=BARELY)


def _numbers(func: ir.Func) -> Iterator[tuple[ir.Node, str]]:
    """Where a function sets a balance to a number, or answers with one if it is asked for a balance."""
    for each in ir.find(func, ir.Assign):
        if each.within is func and _is_some(each.value) and _is_purse(last_name(each.target)):
            yield each, last_name(each.target)
    if _ASKS.match(snake(func.name)) and _is_purse(func.name):
        for leave in ir.find(func, ir.Return):
            if leave.within is func and _is_some(leave.value):
                yield leave, func.name


def _is_purse(name: str) -> bool:
    return CREDIT.search(snake(name)) is not None and not _ELSE.search(snake(name))


def _is_some(value: ir.Node | None) -> bool:
    return (
        isinstance(value, ir.Lit)
        and isinstance(value.value, int | float)
        and value.value is not True
        and value.value > 0
    )


def _in_trouble(node: ir.Node, func: ir.Func) -> bool:
    """Whether a node stands in a handler, or where a test for an error came out."""
    if in_handler(node):
        return True
    inside: ir.Node = node
    for each in ir.ancestors(node):
        if each is func:
            return False
        if (
            isinstance(each, ir.If)
            and inside in each.then
            and any(_ERROR.search(one) for one in names_in(each.test))
        ):
            return True
        inside = each
    return False
