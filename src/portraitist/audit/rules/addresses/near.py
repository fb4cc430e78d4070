"""Part of the rule on temporary addresses: which functions the provider's answers can come to at all.

Judges no value; that is in `deliveries`.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.base import callers_of
from portraitist.audit.rules.own_requests import own_requests

MAX_CALLERS = 4
"""How many functions above one that is handed a value are asked what they hand it."""


def is_near(ctx: Context, func: ir.Func | None) -> bool:
    """Whether a function's values may come from the provider: it asks it or hears of it, or is called by one that does.

    To ask is also to call a function that does, however far below.
    """
    asking = ctx.once(_asking)
    nearby = {func, *(ir.ancestors(func) if func is not None else ())}
    for _ in range(MAX_CALLERS):
        if not asking.isdisjoint(nearby):
            return True
        nearby = {one for each in nearby if isinstance(each, ir.Func) for one in callers_of(ctx, each)}
    return False


def _asking(ctx: Context) -> set[ir.Node | None]:
    """The functions that ask the provider or hear its webhooks, those around them, and all that call one of them.

    To call is also to send a request to a route of the repository.
    """
    found: set[ir.Node | None] = set()
    rest: list[ir.Node | None] = [*ctx.once(_hearing), *(each.func for each in ctx.calls)]
    asked: dict[ir.Node | None, list[ir.Func | None]] = {}
    for call, route in ctx.once(own_requests).items() if rest else ():
        for func in route.funcs:
            asked.setdefault(func, []).append(call.within)
    while rest:
        each = rest.pop()
        if each not in found:
            found.add(each)
            rest += asked.get(each, [])
            if isinstance(each, ir.Func):
                rest += (
                    [each.within, *callers_of(ctx, each)]
                    if each.within is not None
                    else callers_of(ctx, each)
                )
    return found - {None}


def hears(ctx: Context, func: ir.Func) -> bool:
    return func in ctx.once(_hearing)


def _hearing(ctx: Context) -> set[ir.Node | None]:
    """The handlers to which the provider's webhooks come."""
    places = {(each.path, each.line) for each in ctx.of("webhook")}
    return {
        each.node
        for route in ctx.routes
        if (route.module.path, route.node.line) in places
        for each in route.handlers
    }
