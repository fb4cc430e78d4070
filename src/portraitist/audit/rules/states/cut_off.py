"""Part of the rule on states that stay open: rows of a queue in the database whose worker dies with them.

What a watchdog outside the repository puts right is not seen. A request that is cut off is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    callers_of,
    finding,
    helpers_of,
    last_name,
    live_statements,
    names_in,
)
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RESTING, RUNNING, STATE
from portraitist.audit.rules.states.detached import below_of, in_tasks, only_here
from portraitist.audit.rules.states.marks import WAITED_FOR, Mark, marks
from portraitist.audit.rules.states.picked import AGE, picks, put_right
from portraitist.audit.rules.syntax import COMPARISONS


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
        known = known and not put_right(ctx, mark)
        picked = _picked(ctx, mark) if known else None
        asked = _turned_away(mark) if known and picked is None else None
        picked = asked or picked
        if picked is None or not only_here(ctx, mark, below_of(ctx, mark.func), mark.func):
            continue
        seen.add(mark.key)
        message = (
            f"a worker that dies here leaves {mark.key} {mark.word!r}, and only other states are ever picked"
        )
        yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} cut off",
                      weight=44 if asked is None else BARELY,
                      line=mark.line, end=mark.end, evidence=[picked])  # fmt: skip


def _turned_away(mark: Mark) -> Place | None:
    """`if (job.status !== "pending") return`: where the function that marks a row leaves any but one at rest.

    A test that asks for the time as well lets an old one through.
    """
    for each in ir.find(mark.func, ir.If):
        if each.line >= mark.line or each.within is not mark.func or not exits(each.then):
            continue
        tests = [one for one in ir.find(each.test, ir.Bin) if one.op in COMPARISONS]
        stated = [one for one in tests if STATE.search(snake(last_name(one.left)))]
        words = {(ir.text_of(one.right) or "").lower() if one.right is not None else "" for one in stated}
        other = stated and len(stated) == len(tests) and all(one.op in {"!=", "!=="} for one in stated)
        if other and words <= RESTING and not AGE.search(" ".join(map(snake, names_in(each.test)))):
            return Place(mark.module.path, each.line)
    return None


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
