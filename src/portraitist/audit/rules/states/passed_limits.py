"""Part of the rule on states that stay open: loops whose limit is not come to while the question itself fails.

`except Exception: time.sleep(5); continue` above the test of the clock: a revoked token is used for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.counted_in_vain import counted
from portraitist.audit.rules.states.rounds import asking_loops
from portraitist.audit.rules.syntax import is_next_round, leaves_within

_LIMITS = re.compile(
    r"attempt|tries|retr|poll|round|\bi\b|count|elapsed|start(?!ing)|\bnow\b|deadline|max|time|limit", re.I
)
_CLOCK = re.compile(r"\btime\b|\bnow\b|deadline|elapsed|monotonic|perf_counter|started|until|expires", re.I)


def limits_passed_over(ctx: Context) -> Iterator[Finding]:
    """A loop that asks the provider, goes on with the next round where that fails, and only then looks at its limit.

    The limit is a test that leaves the loop, or the count in the loop's own test, which nothing raises on that way.
    """
    seen: set[ir.Loop] = set()
    for module, loop in ctx.once(asking_loops):
        if loop in seen or loop.target is not None or ctx.role_at(module, loop) not in LIVE_ROLES:
            continue
        seen.add(loop)
        for tried in (each for each in loop.body if isinstance(each, ir.Try)):
            handler = next((each for each in tried.handlers if _goes_round(each)), None)
            limit = _behind(loop, tried, handler) if handler is not None else None
            if handler is None or limit is None or not _asks(ctx, tried):
                continue
            message = (
                f"a question that fails goes round again before line {limit.line} looks at the limit: "
                "while it fails this never ends"
            )
            yield finding("stuck-status", module, handler, message, key="limit passed", weight=BARELY,
                          end=max(handler.end, limit.line), evidence=[Place(module.path, loop.line)])  # fmt: skip
            break


def _asks(ctx: Context, tried: ir.Try) -> bool:
    """Whether the provider is asked in what is tried, at once or by a helper."""
    asking = {each.func for each in ctx.calls if each.purpose == "status"}
    calls = (one for each in tried.body for one in ir.find(each, ir.Call))
    return any(
        (call in ctx.call_at and ctx.call_at[call].purpose == "status")
        or any(each.node in asking for each in ctx.program.functions_called(call))
        for call in calls
    )


def _goes_round(handler: ir.Handler) -> bool:
    """Whether a handler ends with `continue`, and neither leaves nor counts before."""
    last = handler.body[-1] if handler.body else None
    around = last is not None and is_next_round(last)
    return (
        around
        and not leaves_within(handler.body)
        and not any(_LIMITS.search(" ".join(names_in(each.test))) for each in ir.find(handler, ir.If))
    )


def _behind(loop: ir.Loop, tried: ir.Try, handler: ir.Handler) -> ir.Node | None:
    """What ends the loop for its length and stands behind a question; None where something before ends it as well."""
    said = " ".join(names_in(loop.test)) if loop.test is not None else ""
    if _CLOCK.search(said):
        return None
    counts = (
        {each for each in variables_in(loop.test) if _LIMITS.search(each)} if loop.test is not None else set()
    )
    raised = [node for name, node in counted(loop) if name in counts]
    tests = [
        each
        for each in ir.find(loop, ir.If)
        if _LIMITS.search(" ".join(names_in(each.test))) and _leaves(each)
    ]
    found = [*raised, *tests]
    inside = set(ir.walk(handler))
    if not found or any(each.line <= tried.line or each in inside for each in found):
        return None
    return min(found, key=lambda each: each.line)


def _leaves(branch: ir.If) -> bool:
    return any(
        isinstance(each, ir.Return) or (isinstance(each, ir.Other) and each.kind == "break_statement")
        for part in branch.then
        for each in ir.walk(part)
    )
