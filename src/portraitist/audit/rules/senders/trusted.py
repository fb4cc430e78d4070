"""Webhooks that trust a forged body on a way that its sender, or a setting that is missing, chooses.

Part of the rule on webhooks; the ways are followed in `strangers`, through the checks of the repository's own.
"""

from __future__ import annotations

from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.rules.evaluator import Value
from portraitist.audit.rules.strangers.values import BESIDE
from portraitist.audit.rules.strangers.ways import way_through

TRUSTED = "takes its body's word where "
"""How such a way is told; what follows says by whose choice."""


def trusted_where(ctx: Context, route: Route) -> str:
    """On which condition a statement or paid work is reached by a body that nobody signed; "" where on none."""
    way = way_through(ctx, route, _changes)
    return TRUSTED + way.told if way is not None else ""


def _changes(statement: Statement, _: list[Value]) -> bool:
    return statement.kind != "read" and not BESIDE.search(statement.table)
