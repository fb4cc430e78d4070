"""Runs every collector in the one order that works: definitions and routes, reach, then facts."""

from __future__ import annotations

from portraitist.audit.facts import (
    auth,
    database,
    duplicates,
    env,
    files,
    flows,
    provider,
    routes,
    schema,
    signed,
    weights,
)
from portraitist.audit.facts.base import Context


def collect(ctx: Context) -> None:
    """Fills the context with all records and facts, facts sorted."""
    routes.find(ctx)
    flows.mark_dead(ctx)
    routes.collect(ctx)
    provider.collect(ctx)
    schema.collect(ctx)
    database.collect(ctx)
    env.collect(ctx)
    weights.collect(ctx)
    auth.collect(ctx)
    signed.collect(ctx)
    flows.collect(ctx)
    files.collect(ctx)
    duplicates.collect(ctx)
    unique = {(each.kind, each.key, each.path, each.line, each.scope): each for each in reversed(ctx.facts)}
    ctx.settle(
        sorted(unique.values(), key=lambda each: (each.path, each.line, each.kind, each.key, each.scope))
    )
