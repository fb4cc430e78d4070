"""Part of the rule on states that stay open: a function that waits for the end of work and stores success alone.

Handlers that know some ends of work and not others are in `outcomes`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import askers, finding, leads_to, names_in
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.states.marks import Mark, marks, settles
from portraitist.audit.rules.states.picked import put_right


def success_only(ctx: Context) -> Iterator[Finding]:
    """`if prediction.status == "succeeded": row.status = "completed"` behind the mark, and nothing for other ends.

    Only functions that start the work, or ask for it, themselves; a test inside a loop that goes on is left alone.
    """
    asking, ways = askers(ctx), working(ctx)
    for mark in marks(ctx):
        if mark.func not in ways.paid and not leads_to(ctx, mark.func, asking):
            continue
        test = _only_test(ctx, mark)
        if test is not None and not put_right(ctx, mark):
            message = (
                f"{mark.key} stays {mark.word!r} where the work did not succeed: only success changes it here"
            )
            yield finding("stuck-status", mark.module, test, message, key=f"{mark.key} success", weight=46,
                          evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


def _only_test(ctx: Context, mark: Mark) -> ir.If | None:
    """The branch for success, where it alone changes the marked row."""
    for test in ir.find(mark.func, ir.If):
        if test.within is not mark.func or test.line <= mark.end or test.other or not _is_success(test.test):
            continue
        if any(
            isinstance(each, ir.Loop | ir.If | ir.Handler) and each.within is mark.func
            for each in ir.ancestors(test)
        ):
            continue
        inside = {each for part in test.then for each in ir.walk(part)}
        rest = (each for each in ir.walk(mark.func) if each.line > mark.end and each not in inside)
        if settles(ctx, mark.statement.table, iter(inside), guessed=False) and not settles(
            ctx, mark.statement.table, rest
        ):
            return test
    return None


def _is_success(test: ir.Node) -> bool:
    """`status == "succeeded"`, alone."""
    equal = isinstance(test, ir.Bin) and test.op in {"==", "==="}
    return equal and "succeeded" in names_in(test)
