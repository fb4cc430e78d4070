"""Paid work that is started once more behind a failure of its first start, found by following the ways from there.

From the handler of a paid start through what follows in the function and in its callers. How ways are followed is in
`failures.walk`. Low weight: the second may be another model, meant and paid all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.anew import starts
from portraitist.audit.rules.again.loops import stands_in_attempt
from portraitist.audit.rules.again.refused import when_refused
from portraitist.audit.rules.again.second import is_before_start, paid_sites
from portraitist.audit.rules.base import askers, finding, helpers_behind, helpers_of, last_name, place
from portraitist.audit.rules.failures.fate import where_caught
from portraitist.audit.rules.failures.quiet import live_sites
from portraitist.audit.rules.failures.values import NOTHING, TEXT, Sure
from portraitist.audit.rules.failures.walk import FALLS, GIVES, End, TiredError, Walk, ends_behind
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.marks import WAITED_FOR

Start = tuple[Module, ir.Call, ProviderCall]
"""A paid call, or a call of a helper on the way to one, with its file."""


def started_again(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    for start in starts(ctx):
        module, call, _ = start
        attempt = _attempt(call)
        if attempt is None:
            continue
        try:
            again = _behind(ctx, start, attempt)
        except TiredError:
            continue
        if again is not None:
            where, node, other = again
            inside = where is module and attempt.line <= node.line <= attempt.end
            message = (
                f"{other.api} is started as well when line {call.line} of {module.path} fails in any way, though the "
                "first may go on"
            )
            yield finding("blind-post-retry", where, node, message, key=f"after failure {last_name(node.func)}",
                          weight=BARELY, line=attempt.handlers[-1].line if inside else node.line, end=node.end,
                          evidence=[Place(module.path, call.line), place(other)])  # fmt: skip


def _attempt(call: ir.Call) -> ir.Try | None:
    """The attempt in whose body a call stands, whose failures are caught and not only refusals."""
    below: ir.Node = call
    for each in ir.ancestors(call):
        if isinstance(each, ir.Func):
            return None
        if isinstance(each, ir.Try) and each.handlers and below in each.body:
            before = is_before_start(each.handlers[-1], each)
            return each if stands_in_attempt(each, call) and not before else None
        below = each
    return None


def _behind(ctx: Context, start: Start, attempt: ir.Try) -> Start | None:
    """The next start of such work behind a failed one, in this function or behind a call of it."""
    module, call, paid = start
    func = call.within
    walk = Walk(python=module.language == "python")
    ends, ways = walk.block(attempt.handlers[-1].body, [where_caught(walk, attempt, call)])
    ends += walk.behind(attempt, ways)
    found = _first(ctx, ends, start)
    if found is not None:
        return None if _anyway(start, found[1]) else found
    if func is None or not func.name or func in ctx.handled_by:
        return None
    for each in ends:
        value = each.value if each.kind == GIVES else NOTHING
        for site, owner in live_sites(ctx, func) if each.kind in {FALLS, GIVES} else ():
            outer = (site.module, site.call, paid)
            further = _behind_call(ctx, outer, value) if owner is not func else None
            if further is not None:
                return None if _anyway(outer, further[1]) else further
    return None


def _behind_call(ctx: Context, outer: Start, value: Sure | None) -> Start | None:
    return _first(ctx, ends_behind(outer[0], outer[1], value), outer)


def _anyway(start: Start, again: ir.Call) -> bool:
    """Whether the second is made where the first came through as well: then it is the next step, not the same work."""
    ends = ends_behind(start[0], start[1], Sure(TEXT), all_ways=True)
    return any(again in set(ir.walk(each)) for end in ends for each in end.way.done)


def _first(ctx: Context, ends: list[End], start: Start) -> Start | None:
    """The first start of the same kind of paid work on some ways, unless it is made for a refusal alone."""
    module, call, paid = start
    sites = ctx.once(paid_sites)
    for end in ends:
        for node in (one for each in end.way.done for one in ir.find(each, ir.Call)):
            other = ctx.call_at.get(node) or (sites[node][1] if node in sites else None)
            if other is None or node is call or not other.creates or other.purpose != paid.purpose:
                continue
            return (
                None
                if when_refused(node) or (call is not paid.call and _is_smaller(ctx, start, node))
                else (module, node, other)
            )
    return None


def _is_smaller(ctx: Context, start: Start, again: ir.Call) -> bool:
    """`paint(prompt, 1024)` and then `paint(prompt, 512)`: the same helper, asked for something else on purpose.

    That holds where the helper waits for the work: what only starts it may have started it when it fails.
    """
    _, call, paid = start
    same = bool(ir.plain_dotted(call.func)) and ir.plain_dotted(call.func) == ir.plain_dotted(again.func)
    waits = paid.api in WAITED_FOR or any(ctx.once(_asks_again, each) for each in helpers_behind(ctx, call))
    return same and waits


def _asks_again(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper asks the provider how its work stands, itself or by a helper of its own."""
    asking = askers(ctx)
    return func in asking or any(each in asking for each in helpers_of(ctx, func))
