"""Paid work that is started once more when the first had no end in time, though it was never ended.

What a helper gives back when its questions are over is followed from there, in `given_up`, to the next start. What
ends the first on that way (a cancellation) is looked for by its name.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.refused import when_refused
from portraitist.audit.rules.again.second import paid_sites
from portraitist.audit.rules.base import finding, helpers_of, last_name, place
from portraitist.audit.rules.failures.quiet import live_sites
from portraitist.audit.rules.failures.values import TEXT, Sure
from portraitist.audit.rules.failures.walk import FALLS, GIVES, End, TiredError, ends_behind
from portraitist.audit.rules.given_up import giving_up
from portraitist.audit.rules.gravity import BARELY


def started_unanswered(ctx: Context) -> Iterator[Finding]:
    """A poll gives `None` when its time is over, and so does its helper; the caller then starts another, paid as well.

    By the same call in a loop of attempts, or by another call behind it. Not where what gives up cancels the run.
    """
    told: set[ir.Node] = set()
    for func, (value, loop, home) in ctx.once(giving_up).items():
        if _cancels(ctx, func) or (loop.within is not None and _cancels(ctx, loop.within)):
            continue
        for site, owner in live_sites(ctx, func):
            paid = _paid_before(ctx, func, site.call, owner)
            again = _next_start(ctx, site.module, site.call, value, paid) if paid is not None else None
            if again is None or again in told or paid is None:
                continue
            told.add(again)
            by = "again" if again is site.call else f"as well behind line {site.call.line}"
            message = (
                f"{paid.api} is started {by} when nothing was given back, which the questions of line {loop.line} of "
                f"{home.path} do when their time is over: the first may still run, and both are paid"
            )
            yield finding("blind-post-retry", site.module, again, message, key=f"unanswered {last_name(again.func)}",
                          weight=BARELY, evidence=[Place(home.path, loop.line), place(paid)])  # fmt: skip


def _cancels(ctx: Context, func: ir.Func) -> bool:
    """Whether a function ends runs: by the client, by a helper named so, or by a request to `…/cancel`."""
    for call in ir.find(func, ir.Call):
        known = ctx.call_at.get(call)
        if "cancel" in last_name(call.func).lower() or (known is not None and "cancel" in known.api):
            return True
    return any(isinstance(each.value, str) and "/cancel" in each.value for each in ir.find(func, ir.Lit))


def _paid_before(ctx: Context, func: ir.Func, call: ir.Call, owner: ir.Func) -> ProviderCall | None:
    """What was paid for the answer that did not come: below the helper, or in front of the poll in its caller."""
    below = {func, *helpers_of(ctx, func)}
    for each in ctx.creates():
        if each.func in below or (each.func is owner and each.call.line <= call.line):
            return each
    return None


def _next_start(
    ctx: Context, module: Module, call: ir.Call, value: Sure, paid: ProviderCall
) -> ir.Call | None:
    """The next start of such work where a helper gave nothing back, and that is not made where it gave something."""
    try:
        if _goes_round(module, call, value):
            return call if not when_refused(call) else None
        ends = ends_behind(module, call, value)
        other = ends_behind(module, call, Sure(TEXT), all_ways=True)
    except TiredError:
        return None
    anyway = {one for end in other for each in end.way.done for one in ir.find(each, ir.Call)}
    sites = ctx.once(paid_sites)
    for end in ends:
        for node in (one for each in end.way.done for one in ir.find(each, ir.Call)):
            start = ctx.call_at.get(node) or (sites[node][1] if node in sites else None)
            fits = start is not None and start.creates and start.purpose == paid.purpose
            if fits and node is not call and node not in anyway and not when_refused(node):
                return node
    return None


def _goes_round(module: Module, call: ir.Call, value: Sure) -> bool:
    """Whether a loop around a call goes on to its next round where that gave nothing, and leaves where it gave some."""
    loop = next((each for each in ir.ancestors(call) if isinstance(each, ir.Loop | ir.Func)), None)
    if not isinstance(loop, ir.Loop) or not _is_of_attempts(loop):
        return False
    failed = ends_behind(module, call, value, until=loop)
    came = ends_behind(module, call, Sure(TEXT), until=loop)
    return any(map(_is_next, failed)) and bool(came) and all(map(_leaves, came))


def _is_of_attempts(loop: ir.Loop) -> bool:
    """A loop that counts, or goes round by a test: not one over a list of things to be made."""
    counts = isinstance(loop.source, ir.Call) and last_name(loop.source.func) == "range"
    return loop.target is None or counts


def _is_next(end: End) -> bool:
    return end.kind in {FALLS, "continue_statement"}


def _leaves(end: End) -> bool:
    return end.kind in {GIVES, "break_statement"}
