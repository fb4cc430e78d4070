"""Part of the rule on states that stay open: a whole that waits for as many parts as were planned.

Whether each part was really begun is not asked; what picks such rows later by their state or age puts them right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements, names_in
from portraitist.audit.rules.completion.words import done_at, is_done
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.marks import marks, states_of
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.syntax import ORDER

_PLANNED = re.compile(r"total|expected|requested|planned|_per_|num_(images|outputs|photos)", re.I)
_COME = re.compile(r"complet|done|finish|receiv|saved|success|length|processed|count", re.I)


def planned_parts(ctx: Context) -> Iterator[Finding]:
    """`if (completed < order.total) return` in front of the done-state that a webhook's handler writes."""
    hooks = working(ctx).hooks
    near = [each for each in live_statements(ctx, "write") if each.func in hooks and states_of(each)]
    funcs = {each.func for each in near if each.func is not None}
    counting = {
        func: tests
        for func in funcs
        if (tests := [each for each in ir.find(func, ir.Bin) if _compares(each)])
    }
    ends = [each for each in near if each.func in counting and _may_end(ctx, each)]
    swept = {each.statement.table for each in marks(ctx) if put_right(ctx, each)} if ends else set()
    seen: set[ir.Node] = set()
    for each in ends:
        for test in counting[each.func] if each.func is not None and each.table not in swept else ():
            if test in seen or test.line > each.end:
                continue
            seen.add(test)
            message = f"{each.table} ends only when as many parts have come as were planned: a lost one leaves it open"
            yield finding("stuck-status", each.module, test, message, key=f"{each.table} parts", weight=BARELY,
                          evidence=[Place(each.module.path, each.line)])  # fmt: skip
            break


def _may_end(ctx: Context, statement: Statement) -> bool:
    """Whether an update may give a row its word for done."""
    return not statement.insert and any(
        is_done(each) or any(True for _ in done_at(ctx, each)) for each in states_of(statement)
    )


def _compares(test: ir.Bin) -> bool:
    """`completed >= total`, `predictions.length < expectedTotal`."""
    if test.op not in ORDER or test.right is None:
        return False
    sides = [" ".join(snake(each) for each in names_in(side)) for side in (test.left, test.right)]
    return any(
        _PLANNED.search(sides[at]) and _COME.search(sides[1 - at]) and not _PLANNED.search(sides[1 - at])
        for at in (0, 1)
    )
