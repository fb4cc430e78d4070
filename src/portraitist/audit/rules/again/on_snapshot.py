"""Paid work that is started for what a row said when it was read, where nothing asks the row again.

Polls, webhooks and clicks run at the same time: all that read the row before one of them writes it start the work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.second import paid_sites
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.credits.changes import balance
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.races.outcomes import meets
from portraitist.audit.rules.races.snapshots import Snapshot, snapshots
from portraitist.audit.rules.syntax import in_handler

_WORK = re.compile(r"(prediction|training|replicate)\w*_id$")
MAX_STRETCH = 40
"""So many lines may lie between a test and the end of what it decides that are told as one."""


def started_on_snapshot(ctx: Context) -> Iterator[Finding]:
    """A paid start behind a test of a row whose tested column is written without a condition."""
    found = ctx.once(snapshots)
    starts = _starts(ctx) if found else {}
    told: set[ir.Node] = set()
    for each in found:
        begun = starts.get(each.point.func, {})
        if balance(each.name) or each.moves or in_handler(each.point.node):
            continue
        begun = begun or _kept_work(each)
        ways = (one for one in begun if each.guards(one) and one not in told and meets(one, each.point.node))
        first = next(ways, None)
        if first is not None:
            told.add(first)
            yield _found(each, first, begun[first])


def _kept_work(each: Snapshot) -> dict[ir.Node, str]:
    """The call whose answer's id the write keeps as that of the work: nobody else could tell that it is paid."""
    for use in each.point.write.columns:
        root = ir.root_of(use.node) if use.node is not None and _WORK.search(snake(use.column)) else None
        for binding in reaching(each.point.module, root) if root is not None else ():
            if isinstance(binding.value, ir.Call) and binding.value.within is each.point.func:
                return {binding.value: ir.dotted(binding.value.func)}
    return {}


def _starts(ctx: Context) -> dict[ir.Func | None, dict[ir.Node, str]]:
    """By function: the nodes by which paid work is started."""
    starts: dict[ir.Func | None, dict[ir.Node, str]] = {}
    for call in ctx.creates():
        starts.setdefault(call.func, {})[call.call] = call.api
    for site, (_, begun) in ctx.once(paid_sites).items():
        starts.setdefault(site.within, {})[site] = begun.api
    return starts


def _found(each: Snapshot, first: ir.Node, api: str) -> Finding:
    point = each.point
    said = f"was heard of {each.name}" if each.asked else f"{each.name} held"
    message = (
        f"{api} is started for what {said} as it was read (line {each.read}); line {point.node.line}"
        " writes it on no condition: requests side by side that read it first each start and pay their own"
    )
    start, end = min(first.line, point.node.line), max(first.end, point.node.end)
    near = end - each.test.line <= MAX_STRETCH
    return finding("blind-post-retry", point.module, each.test, message, key=f"snapshot {each.name}", weight=BARELY,
                   line=each.test.line if near else start, end=end if near or end - start <= MAX_STRETCH else start,
                   evidence=[Place(point.module.path, first.line)])  # fmt: skip
