"""Part of the rule on states that stay open: a success that is put back among the work under way.

Only handlers of webhooks and functions that ask the provider themselves are read.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import askers, finding, live_statements, names_in
from portraitist.audit.rules.completion.emptiness import RESULT
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.marks import said, states_of
from portraitist.audit.rules.syntax import branches_around, is_nothing


def put_back(ctx: Context) -> Iterator[Finding]:
    """`if (!tarUrl) update({ status: "starting" })` below the tests for failures: nothing will ever be different."""
    hooks, asking = working(ctx).hooks, askers(ctx)
    for each in live_statements(ctx, "write"):
        if each.insert or each.func is None or not (each.func in hooks or each.func in asking):
            continue
        for use in states_of(each):
            test = _lacking(each.node) if said(use) in RUNNING | RESTING else None
            if test is not None and "succeeded" in names_in(each.func):
                message = f"a success that lacks something is put back to {said(use)!r}, and the answer stays the same"
                yield finding("stuck-status", each.module, each.node, message, key=f"{each.table} back", weight=38,
                              line=test.line, end=use.line, evidence=[Place(each.module.path, each.line)])  # fmt: skip


def _lacking(node: ir.Node) -> ir.If | None:
    """The branch for a result that is not there, around a node."""
    return next((each for each in branches_around(node, ir.Handler) if _denies_result(each.test)), None)


def _denies_result(test: ir.Node) -> bool:
    """`!tarUrl`, `not output`, `output is None`."""
    denied = isinstance(test, ir.Bin) and (
        test.op in {"not", "!"}
        or (test.op in {"==", "===", "is"} and test.right is not None and is_nothing(test.right))
    )
    return denied and any(
        RESULT.search(each) for each in names_in(test.left if isinstance(test, ir.Bin) else test)
    )
