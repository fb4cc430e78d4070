"""Webhooks that trust a forged body on a way that its sender, or a setting that is missing, chooses.

Part of the rule on webhooks; the ways are followed in `strangers`, through the checks of the repository's own.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import helpers_of
from portraitist.audit.rules.evaluator import Value
from portraitist.audit.rules.senders.open_checks import SECRET, Walk, says_yes
from portraitist.audit.rules.senders.verified import checking_guards
from portraitist.audit.rules.strangers.values import BESIDE
from portraitist.audit.rules.strangers.ways import way_through

TRUSTED = "takes its body's word where "
"""How such a way is told; what follows says by whose choice."""


def open_at(ctx: Context, route: Route) -> tuple[Module, ir.If] | None:
    """The test, in a check that a handler calls or that stands before it, which says yes where a secret is not set."""
    called = (each for own in route.funcs for each in helpers_of(ctx, own))
    for func in (*called, *(func for _, func in checking_guards(ctx, route))):
        module = ctx.program.module_of[func]
        walk = Walk(ctx, SECRET, True, lambda node: False)
        for branch in ir.find(func, ir.If):
            leave, test = branch.then[-1] if branch.then else None, branch.test
            unset = (
                isinstance(test, ir.Bin) and test.op in {"not", "!"} and walk.is_missing(module, test.left)
            )
            if unset and isinstance(leave, ir.Return) and not leave.throws and says_yes(leave.value):
                return module, branch
    return None


def trusted_where(ctx: Context, route: Route) -> str:
    """On which condition a statement or paid work is reached by a body that nobody signed; "" where on none."""
    way = way_through(ctx, route, _changes)
    return TRUSTED + way.told if way is not None else ""


def _changes(statement: Statement, _: list[Value]) -> bool:
    return statement.kind != "read" and not BESIDE.search(statement.table)
