"""Part of the rule on states that stay open: rows without a state, whose result alone tells that the work is over.

What a watchdog outside the repository puts right is not seen. Rows with a state are judged in the other parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    askers,
    finding,
    helpers_behind,
    leads_to,
    live_statements,
    on_requests,
)
from portraitist.audit.rules.failures.quiet import BESIDE, working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE_OR_PHASE
from portraitist.audit.rules.syntax import fails, in_handler


def left_without_result(ctx: Context) -> Iterator[Finding]:
    """A row made for work, whose result comes later, and ways out with an error that leave it there without one.

    Only tables that the handler of a webhook, or what asks the provider, updates by something that is no state; a
    function that changes or deletes rows of the table on any of its ways is left alone.
    """
    paid = working(ctx).paid
    asked = on_requests(ctx) if paid else set()
    waiting = ctx.once(_filled_later) if asked else {}
    for func in ctx.in_order(asked if waiting else ()):
        made = _made_in(ctx, func, waiting)
        if made is None or made[0].line >= paid.get(func, 0):
            continue
        node, row = made
        module = ctx.program.module_of[func]
        for key, leave in _ways_out(func, node, paid[func]):
            message = (
                f"the row of {row.table} made at line {node.line} stays without a result when this leaves"
            )
            yield finding("stuck-status", module, leave, message, key=f"{row.table} {key}", weight=BARELY,
                          evidence=[Place(module.path, node.line), waiting[row.table]])  # fmt: skip


def _filled_later(ctx: Context) -> dict[str, Place]:
    """The tables without a state whose rows are changed by webhooks of the provider, or by what asks it."""
    hooks, asking = working(ctx).hooks, askers(ctx) - {None}
    found: dict[str, Place] = {}
    stated: set[str] = set()
    for each in live_statements(ctx, "write"):
        if any(STATE_OR_PHASE.search(snake(use.column)) for use in each.columns):
            stated.add(each.table)
        results = any(_RESULT.search(snake(use.column)) for use in each.columns)
        later = results and not each.insert and (each.func in hooks or leads_to(ctx, each.func, asking))
        if later and not BESIDE.search(each.table) and not _PEOPLE.search(each.table):
            found.setdefault(each.table, Place(each.module.path, each.line))
    named = {
        name for name in found if any(STATE_OR_PHASE.search(snake(one)) for one in columns_of(ctx, name))
    }
    return {name: where for name, where in found.items() if name not in stated | named}


_RESULT = re.compile(
    r"(^|_)(output|result|url|image|video|audio|picture|photo|failed|done|finished|completed)s?$"
)
_PEOPLE = re.compile(r"user|profile|account|member|customer|subscri|order|payment", re.I)


def _made_in(ctx: Context, func: ir.Func, tables: dict[str, Place]) -> tuple[ir.Node, Statement] | None:
    """The first row of these tables that a function makes, itself or by a helper; None where it changes others."""
    own = [(each.node, each) for each in ctx.statements_under.get(func, ())]
    for call in ir.find(func, ir.Call):
        for helper in helpers_behind(ctx, call) if call.within is func else ():
            own += [(call, each) for each in ctx.statements_under.get(helper, ())]
    written = [(node, each) for node, each in own if each.table in tables and each.kind != "read"]
    made = [(node, each) for node, each in written if each.insert]
    if not made or any(not each.insert for _, each in written):
        return None
    return min(made, key=lambda each: each[0].line)


def _ways_out(func: ir.Func, made: ir.Node, until: int) -> Iterator[tuple[str, ir.Return]]:
    """The first way out with an error between the row and the work, and that of the handler around the work."""
    leaves = [each for each in ir.find(func, ir.Return) if each.within is func and each.line > made.end]
    early = (each for each in leaves if each.line < until and not in_handler(each) and fails(each))
    late = (each for each in leaves if each.line > until and in_handler(each) and fails(each))
    for key, leave in (("early", next(early, None)), ("late", next(late, None))):
        tests = (each for each in ir.ancestors(leave) if isinstance(each, ir.If)) if leave is not None else ()
        if leave is not None and not any(each.line <= made.end for each in tests):
            yield key, leave
