"""Guards that a stranger walks past: ways whose every condition the caller or a missing setting chooses.

Part of `missing-auth`. The ways are followed in `strangers`; what is at their end counts here: paid work, and rows of
members that the caller picks. Where the hole is in a guard that stands before handlers, the guard is told too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, is_readable
from portraitist.audit.rules.evaluator import Value
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.meant import counts_visits
from portraitist.audit.rules.open_ways.open_data import DOES, is_members
from portraitist.audit.rules.open_ways.open_deeds import caller_pays
from portraitist.audit.rules.requests import within_reach
from portraitist.audit.rules.strangers.values import BESIDE, Sent
from portraitist.audit.rules.strangers.ways import Way, way_through

_ENTRIES = re.compile(
    r"web-?hook|callback|log-?_?in|sign-?_?in|sign-?_?up|register|reset-?_?passw|forgot|verif|confirm|unsubscribe|/share|public"
    r"|/auth(/|$)|oauth|health|invite|contact|waitlist|newsletter|session"
    r"|checkout|payment|purchase|subscri",
    re.I,
)
"""Routes by which people come in, or that have a rule of their own."""
_TIMERS = re.compile(r"(^|/)(crons?|cron-?jobs?|scheduled?(-?(jobs?|tasks?))?|timers?)(/|$)", re.I)
"""Routes that a timer calls: whoever gets past their check has the work of all members done."""


def past_guards(
    ctx: Context, known: list[Finding], behind: Callable[[Context, Route], bool]
) -> Iterator[Finding]:
    """A guarded route that a stranger gets through by what the request says, or where a setting is missing.

    `?auth=1`, a header that is only looked at for being there, a branch that asks nobody, a guard that lets everybody
    pass where its secret, or the setting that turns it on, is not there. A guard that many routes share is told by
    itself, and its routes too where no setting is asked for. What depends on rows, on tokens that are verified, or on
    what cannot be followed is never chosen by the caller. Whether a setting is missing where it runs, and what a proxy
    takes out of headers, is not known.
    """
    paid = {flow.route: flow for flow in ctx.flows if flow.route is not None}
    told = {(each.path, each.line) for each in known}
    for route in ctx.routes:
        if not route.is_http or not route.guarded_by or not is_readable(route):
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or not _may_do(ctx, route, route in paid):
            continue
        way = ctx.once(_way, route)
        if way is None or (route in paid and way.deed.call is not None and caller_pays(ctx, paid[route])):
            continue
        if behind(ctx, route):
            continue
        if any(
            each.path == route.home[0].path and each.line <= route.head <= each.end_line for each in known
        ):
            continue
        hole = next(((module, test) for module, test, inside in reversed(way.holes) if inside), None)
        if hole is not None:
            yield from _hole(way, route, hole, told)
        if hole is None or not way.settings or hole[0] is route.module:
            yield _past(ctx, way, route)


def _past(ctx: Context, way: Way, route: Route) -> Finding:
    does = f"reaches {way.deed.call.api}" if way.deed.call is not None else _does(ctx, way, route)
    message = f"{route.key} {does} past its check of who calls where {way.told}"
    at = Place(way.deed.module.path, way.deed.node.line)
    return finding("missing-auth", *route.home, message, key=f"past {route.key}", weight=BARELY, end=route.head,
                   evidence=[at])  # fmt: skip


def _hole(
    way: Way, route: Route, hole: tuple[Module, ir.If], told: set[tuple[str, int]]
) -> Iterator[Finding]:
    """The last test of a guard by which the way is open, told once."""
    module, test = hole
    if (module.path, test.line) not in told and not _is_known(told, module, test):
        told.add((module.path, test.line))
        message = f"this guard lets a stranger pass where {way.told}"
        yield finding("missing-auth", module, test, message, key=f"hole {test.within.name if test.within else ''}",
                      weight=BARELY, evidence=[Place(route.module.path, route.head)])  # fmt: skip


def _is_known(told: set[tuple[str, int]], module: Module, test: ir.If) -> bool:
    func = test.within
    return func is not None and any(
        path == module.path and func.line <= line <= func.end for path, line in told
    )


def _does(ctx: Context, way: Way, route: Route) -> str:
    statement = way.deed.statement
    if statement is None:
        return ""
    goes_on = (
        statement.kind == "read" and _TIMERS.search(route.path) and statement.table in _changed(ctx, route)
    )
    return f"{DOES['write' if goes_on else statement.kind]} {statement.table}"


def _may_do(ctx: Context, route: Route, paid: bool) -> bool:
    """Whether anything below a route is worth keeping from strangers."""
    if paid:
        return True
    under = (each for func in within_reach(ctx, route) for each in ctx.statements_under.get(func, ()))
    if _TIMERS.search(route.path):
        return bool(_changed(ctx, route))
    return not _ENTRIES.search(route.path) and any(_is_of_members(ctx, each) for each in under)


def _changed(ctx: Context, route: Route) -> set[str]:
    """The tables that are changed below a route, but for those that only keep what happens."""
    under = (each for func in within_reach(ctx, route) for each in ctx.statements_under.get(func, ()))
    return {each.table for each in under if each.kind != "read" and not BESIDE.search(each.table)}


def _is_of_members(ctx: Context, statement: Statement) -> bool:
    return not BESIDE.search(statement.table) and is_members(ctx, statement.table)


def _way(ctx: Context, route: Route) -> Way | None:
    shown = not _ENTRIES.search(route.path)
    timed = _changed(ctx, route) if _TIMERS.search(route.path) else set()

    def counts(statement: Statement, where: list[Value]) -> bool:
        """Whether a statement changes members' rows, or reads those that the caller picks; a timer's any work."""
        if statement.table in timed:
            return True  # what it reads of these tables it goes on to change
        if not shown or not _is_of_members(ctx, statement):
            return False
        if statement.func is not None and counts_visits(statement.func, statement):
            return False
        return statement.kind != "read" or any(
            isinstance(each.what, Sent) and not each.what.is_token for each in where
        )

    return way_through(ctx, route, counts)
