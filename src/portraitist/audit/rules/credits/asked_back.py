"""Part of the rule on credits: what a member has given back for the asking, by a route for refunds.

Whether work failed is asked where a test, a statement's condition or a question to the provider names a state, a cost
or a charge. That something was refunded before says nothing of whether it should be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.signed import is_signed
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, hears_provider, names_in
from portraitist.audit.rules.credits.effects import Effect, done_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import within_reach

_BACK = re.compile(r"refund|give_?back|(restore|return|release|reclaim)_?credits?|credits?_?back", re.I)
_OTHERS = re.compile(r"web-?_?hook|callback|cron|internal|worker|/ipn\b", re.I)
_STAFF = re.compile(
    r"admin|superuser|staff|operator|moderator|role|service_?key|cron|secret|signature|internal", re.I
)
_ASKS = re.compile(
    r"(^|_)(status|state|phase|failed|failure|fail|succeeded|completed|output|result|results|charged|deducted|cost"
    r"|costs|spent|reserved|reservation|hold|transactions?|debits?|ledger|prediction|job)(_|$)|credits?_(used|charged|cost)"
    r"|error_(message|code)"
)


def asked_back(ctx: Context) -> Iterator[Finding]:
    """A route for refunds that gives credits back and asks on its whole way for no failure, cost or charge."""
    for route in ctx.routes:
        if not route.is_http or _OTHERS.search(f"{route.path} {route.module.path}") or is_signed(ctx, route):
            continue
        named = (route.path, *(each.name for each in route.funcs))
        if not any(_BACK.search(each) for each in named) or hears_provider(ctx, route):
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or _is_office(route):
            continue
        ways = within_reach(ctx, route)
        given = next(((func, each) for func in ways for each in done_in(ctx, func, "give")), None)
        if given is None or any(_has_reason(ctx, each) for each in ways):
            continue
        yield _told(ctx, route, *given)


def _told(ctx: Context, route: Route, func: ir.Func, given: Effect) -> Finding:
    message = (
        f"{route.key} gives back {given.name} for the asking: nothing on the way asks whether any work failed"
    )
    return finding("credit-before-check", ctx.program.module_of[func], given.node, message, weight=BARELY,
                   key=f"asked back {route.key}", end=given.node.end)  # fmt: skip


def _is_office(route: Route) -> bool:
    return _STAFF.search(route.path) is not None or any(_STAFF.search(name) for name, _ in route.guarded_by)


def _has_reason(ctx: Context, func: ir.Func) -> bool:
    """Whether a function asks for what makes a refund right, lets only staff pass, or asks the provider."""
    tests = [*(each.test for each in ir.find(func, ir.If)), *(each.test for each in ir.find(func, ir.Cond))]
    names = {name for each in tests for name in names_in(each) if " " not in name}
    if any(_ASKS.search(snake(each)) or _STAFF.search(each) for each in names):
        return True
    if any(each.func is func for each in ctx.calls):
        return True
    return any(
        _ASKS.search(snake(column)) or _ASKS.search(snake(each.table))
        for each in ctx.statements_under.get(func, ())
        for column in (*each.where, "")
        if each.kind == "read" or column
    )
