"""Part of the rule on states that stay open: rows of a queue in the database whose worker dies with them.

What a watchdog outside the repository puts right is not seen. A request that is cut off is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import callers_of, finding, helpers_of, live_statements
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.detached import below_of, in_tasks, only_here
from portraitist.audit.rules.states.marks import WAITED_FOR, Mark, marks, picks, put_right


def cut_off(ctx: Context) -> Iterator[Finding]:
    """Rows marked as running by the function that waits for the provider, ended by it alone, picked at rest only."""
    seen: set[str] = set()
    waiting = {
        func for flow in ctx.flows if flow.call.api in WAITED_FOR or _waits(flow) for func in flow.funcs
    }
    tasks = ctx.once(in_tasks) if waiting else set()
    for mark in marks(ctx) if waiting else ():
        known = (
            mark.func in waiting and mark.func not in tasks and mark.word in RUNNING and mark.key not in seen
        )
        picked = _picked(ctx, mark) if known and not put_right(ctx, mark) else None
        if picked is None or not only_here(ctx, mark, below_of(ctx, mark.func), mark.func):
            continue
        seen.add(mark.key)
        message = (
            f"a worker that dies here leaves {mark.key} {mark.word!r}, and only other states are ever picked"
        )
        yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} cut off", weight=44,
                      line=mark.line, end=mark.end, evidence=[picked])  # fmt: skip


def _waits(flow: Flow) -> bool:
    """Whether the function that starts the work waits for its end itself."""
    return flow.call.func is not None and any(
        each.target is None for each in ir.find(flow.call.func, ir.Loop)
    )


def _picked(ctx: Context, mark: Mark) -> Place | None:
    """Where rows of the mark's table are picked by a state at rest, by the function that marks them or one around."""
    callers = callers_of(ctx, mark.func)
    near = {
        mark.func,
        *callers,
        *(func for one in {mark.func, *callers} if one for func in helpers_of(ctx, one)),
    }
    for each in live_statements(ctx, "read", "write"):
        own = each.table == mark.statement.table and each.func in near
        if (
            own
            and any(picks(ctx, each, word) for word in sorted(RESTING))
            and not picks(ctx, each, mark.word)
        ):
            return Place(each.module.path, each.line)
    return None
