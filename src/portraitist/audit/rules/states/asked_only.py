"""Part of the rule on states that stay open: rows that only a route which a page asks again and again ever closes.

A page that is shut, or that gives up, leaves them so. What a job outside the repository sweeps is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import callers_of, finding, helpers_of, leads_to
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.marks import WAITED_FOR, Mark, marks, said, states_of, writers
from portraitist.audit.rules.states.picked import put_right


def closed_when_asked(ctx: Context) -> Iterator[Finding]:
    """A row of work that no webhook tells of, every end of which is written by a route that asks the provider.

    Nothing else may write an end: no job, no webhook, nothing that picks rows by their state or age.
    """
    left: dict[ir.Func, ProviderCall] = {}
    for flow in ctx.flows:
        quiet = flow.call.options and not any(each.open for each in flow.call.options)
        if flow.route and flow.route.is_http and quiet and flow.call.api not in WAITED_FOR:
            left.update({func: flow.call for func in flow.funcs if not flow.call.fields("webhook")})
    seen: set[str] = set()
    for mark in marks(ctx) if left else ():
        if mark.func not in left or mark.key in seen or put_right(ctx, mark):
            continue
        asking = _asking_ends(ctx, mark)
        if asking is not None:
            seen.add(mark.key)
            told = f"line {asking.line} of {asking.path}"
            message = f"{mark.key} changes only when a page asks {told}: nothing else ends it"
            yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} asked", weight=BARELY,
                          line=mark.line, end=mark.end, evidence=[asking])  # fmt: skip


def _asking_ends(ctx: Context, mark: Mark) -> Place | None:
    """Where the ends of a row are written, if all are written by HTTP routes that ask the provider for its state."""
    asking: set[ir.Func | None] = {
        each.func
        for each in ctx.calls
        if each.purpose == "status" and ctx.role_at(each.module, each.call) in LIVE_ROLES
    }
    ways = working(ctx)
    found: Place | None = None
    for each in writers(ctx, mark.statement.table):
        same = [use for use in states_of(each) if use.column == mark.column]
        ends = [use for use in same if said(use) not in RUNNING | RESTING]
        if not ends or each.insert or each.func is None or each.func is mark.func:
            continue
        if each.func in ways.hooks:
            return None
        handlers = [func for func in _handlers(ctx, each.func) if leads_to(ctx, func, asking)]
        callers = callers_of(ctx, each.func)
        alone = each.func in handlers or callers <= {*handlers}
        if not handlers or not alone or any(func in ctx.handled_by for func in callers - {*handlers}):
            return None
        found = found or Place(each.module.path, each.line)
    return found


def _handlers(ctx: Context, func: ir.Func) -> list[ir.Func]:
    """The handlers of HTTP routes that are a function, or call it themselves."""
    return [
        each
        for each, routes in ctx.handled_by.items()
        if all(route.is_http for route in routes) and (each is func or func in helpers_of(ctx, each))
    ]
