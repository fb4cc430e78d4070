"""Work of others that a signed-in visitor is shown by its id: the provider's answers, a process's notes. Of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import memory, open_data
from portraitist.audit.rules.others import rows
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.requests import Given, below

_MACHINES = re.compile(r"secret|api_?key|cron|internal|service|admin|staff|passw", re.I)
_WORK = re.compile(r"model|train|predict|job|generat|image|photo|order|studio|project", re.I)


def shown(ctx: Context, route: Route) -> Iterator[Finding]:
    """A guarded route that gives the provider's answer, or what a process keeps in memory, for an id of the request.

    Not where a row is looked up before, or decides whether it is given: it may be the visitor's. What is kept counts
    only where it is a variable of the module that holds no owner; whether an id can be guessed is not known.
    """
    guards = " ".join((route.path, *(name for name, _ in route.guarded_by)))
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES or _MACHINES.search(guards):
        return
    ways = below(ctx, route)
    if not any(are_known(ctx, route, here.way) for here in ways):
        return
    for here in ways:
        kept = next(memory.kept(here), None)
        if kept is not None and route.method == "GET":
            name, node = kept
            message = f"{route.key} gives whatever {name} keeps under the id of the request, whoever's it is"
            yield unasked(
                "idor", route, (here.module, node), message, key=f"{name} {route.key}", weight=BARELY
            )
            return
    if rows.asks_owner(route) or any(_asks_own(ctx, each) for each in ways):
        return
    call = open_data.provider_asked(ctx, ways)
    if call is not None and not _rows_decide(ctx, ways, call):
        message = f"{route.key} gives {call.api} of any id of the request to whoever is signed in"
        yield unasked(
            "idor", route, (call.module, call.call), message, key=f"asked {route.key}", weight=BARELY
        )


def _asks_own(ctx: Context, here: Given) -> bool:
    """Whether a row of what is worked on is looked for as somebody's."""
    asked = (each for each in ctx.statements_under.get(here.func, ()) if _WORK.search(each.table))
    return any(snake(one) in ctx.words.owner_columns for each in asked for one in each.where)


def _rows_decide(ctx: Context, ways: list[Given], call: ProviderCall) -> bool:
    """Whether a row with the request's id may keep the answer back: read before, missed, or with an owner compared.

    One that is read afterwards and only spares work keeps nothing back. What helpers do is not weighed.
    """
    asking = [each.func for each in ways if open_data.looks_up(ctx, each)]
    here = next((each for each in ways if each.func is call.func), None)
    if here is None or not asking:
        return bool(asking)
    for site in ir.find(here.func, ir.Call):
        reads = any(each.node is site for each in ctx.statements_under.get(here.func, ()))
        helps = any(each.node in asking for each in ctx.program.functions_called(site))
        if (reads or helps) and (site.line <= call.call.line or rows.is_missed(here.func, site)):
            return True
    return memory.compares_who({each for one in ways for each in one.way})
