"""Whether a route's callers are known at all, so that a row can be asked to be theirs. Part of `idor`."""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.rules.open_ways.access import behind_middleware


def are_known(ctx: Context, route: Route, way: tuple[ir.Func, ...]) -> bool:
    """Whether a guard, something on the way or a middleware file asks who calls; that may cover more than it denies."""
    return (
        bool(route.guarded_by)
        or any(asks_who(ctx, each) for each in way)
        or ctx.once(behind_middleware, route)
    )
