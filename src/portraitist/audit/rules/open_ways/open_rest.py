"""What else an open route does, nearly all of it told in the JSON only: scripts, rows of open work, memory.

What it answers or sends besides is in `open_answers`, the graver deeds are in `open_data`, `open_rows` and
`open_deeds`. Part of `missing-auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, unguarded
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.credits.granted import proves_payment
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import memory, open_answers, open_data, scripts
from portraitist.audit.rules.open_ways.known_only import only_of_members
from portraitist.audit.rules.open_ways.open_answers import Told
from portraitist.audit.rules.open_ways.open_rows import FOR_ALL, counts
from portraitist.audit.rules.requests import below, is_given, within_reach

_COUNTERS = re.compile(
    r"view|like|click|download|count|visit|use[sd]?$|usage|last_|seen|updated|heart|vote|share", re.I
)
"""Columns that everybody who looks may move."""
_OWN_DOING = re.compile(
    r"session|otp|verif|token|code|visit|view|like|event|log|lead|subscri|feedback|analytic|vote|metric|click|cache",
    re.I,
)
"""Tables that those change who have no account."""


def rest(ctx: Context, route: Route, worked: dict[str, Route]) -> Iterator[Finding]:
    """The first that an open route does of what is looked for here; `worked` are the tables of open paid work.

    Not where anything on the way asks, or may know, who calls; there it is looked whom it asks (`known_only`).
    """
    meant = open_data.is_meant_open(route)
    signs = open_answers.signs_for(ctx, route)
    if signs is not None:
        yield finding("missing-auth", *route.home, f"{route.key} {signs[0]}", key=route.key, weight=signs[2],
                      end=unguarded(route, [signs[1]]), evidence=[signs[1]])  # fmt: skip
        return
    if meant and not _ADDS.search(route.path):
        return
    ways = within_reach(ctx, route)
    known = open_data.may_refuse(ctx, route) or any(
        asks_who(ctx, each) or open_data.knows_who(ctx, each) for each in ways
    )
    told = None
    if not known:
        told = _registers(ctx, route) if meant else _first(ctx, route, ways, worked)
    if told is None:
        yield from only_of_members(ctx, route)
    else:
        does, at, weight = told
        yield finding("missing-auth", *route.home, f"{route.key} {does}", key=route.key, weight=weight,
                      end=unguarded(route, [at]), evidence=[at])  # fmt: skip


_ADDS = re.compile(r"register|sign-?_?up", re.I)


def _registers(ctx: Context, route: Route) -> Told | None:
    """A member who is added under a sign-in service's id of the request: for that the service has a signed webhook."""
    for here in below(ctx, route):
        for each in ctx.statements_under.get(here.func, ()):
            column = open_data.of_person(here, each) if each.insert else ""
            if column and open_data.unprotected(ctx, each):
                does = f"adds to {each.table} under whichever {column} the request names and asks nobody"
                return does, _place(each), BARELY
    return None


def _first(ctx: Context, route: Route, ways: list[ir.Func], worked: dict[str, Route]) -> Told | None:
    run = None if _shows_form(ctx, route) else scripts.started(ctx, ways)
    if run is not None:
        module, call, script = run
        return f"runs {script}, which pays, and turns nobody away", Place(module.path, call.line), 66
    made = [each for func in ways for each in ctx.statements_under.get(func, ())]
    made = [
        each
        for each in dict.fromkeys(made)
        if (open_data.is_private(each) or _is_by_name(each)) and open_data.unprotected(ctx, each)
    ]
    if (found := _of_work(made, worked, shown=FOR_ALL.search(route.path) is not None)) is not None:
        does = f"{open_data.DOES[found.kind]} {found.table} and asks nobody, as {worked[found.table].key}"
        return does, _place(found), BARELY
    if (found := _altered(ctx, route, ways, made)) is not None:
        return f"{open_data.DOES[found.kind]} {found.table} and asks nobody", _place(found), BARELY
    if (found := _read_one(ctx, route, made)) is not None:
        return f"reads {found.table} by an id of the request and asks nobody", _place(found), BARELY
    if (found := _listed(ctx, route, made)) is not None:
        return f"reads rows of {found.table}, whoever's they are, and asks nobody", _place(found), BARELY
    return _emptied(ctx, route, ways) or _of_memory(ctx, route) or open_answers.answered(ctx, route, ways)


def _is_by_name(statement: Statement) -> bool:
    """Whether rows are changed by a name that everybody may know of somebody, and that proves nothing."""
    adds = statement.insert or (isinstance(statement.node, ir.Call) and call_name(statement.node) == "upsert")
    changes = statement.kind == "delete" or (statement.kind == "write" and not adds)
    return changes and bool(statement.where) and all(_NAME.fullmatch(snake(each)) for each in statement.where)


_NAME = re.compile(r"(user_?)?(e_?mail|name|handle)(_address)?|phone(_number)?|clerk_id")


def _shows_form(ctx: Context, route: Route) -> bool:
    """Whether a handler serves GET and POST alike: then it works for the latter."""
    others = [one for func in route.funcs for one in ctx.handled_by.get(func, ())]
    return route.method == "GET" and any(each.method == "POST" for each in others)


def _place(statement: Statement) -> Place:
    return Place(statement.module.path, statement.line)


def _of_work(made: list[Statement], worked: dict[str, Route], *, shown: bool) -> Statement | None:
    """The gravest statement on rows of the work that an open route pays for; none that is made to be seen by all."""
    found = [each for each in made if each.table in worked and not _OWN_DOING.search(each.table)]
    found = [each for each in found if not (shown and each.kind == "read")]
    return min(found, key=lambda each: each.kind == "read", default=None)


def _altered(ctx: Context, route: Route, ways: list[ir.Func], made: list[Statement]) -> Statement | None:
    """What a route changes or deletes, or adds to what is for sale or set; counters and balances aside.

    A GET counts where it deletes, or where its address says that it alters something: whoever opens it does that.
    """
    if any(each.func in ways for each in ctx.calls):
        return None
    if any(ctx.once(proves_payment, each) for each in ways):
        return None
    for each in made:
        offered = _OFFERED.search(each.table) is not None
        names = [snake(one.column) for one in each.columns]
        counted = bool(names) and all(_COUNTERS.search(one) for one in names)
        counted = not offered and (counted or any(CREDIT.search(one) for one in names))
        alters = each.kind == "delete" or (
            each.kind == "write" and not counted and (offered or not each.insert)
        )
        meant = route.method != "GET" or each.kind == "delete" or _DEED.search(route.path) is not None
        if alters and meant and (offered or not _OWN_DOING.search(each.table)):
            return each
    return None


_DEED = re.compile(r"delet|reset|fix|clear|clean|purge|migrat|backfill|repair|seed|sync|updat|remove", re.I)
"""What an address is called that alters rows for whoever opens it."""

_OFFERED = re.compile(
    r"(plan|package|price|pricing|tier|product|coupon|promo|setting|config|configuration|feature_?flag)s?$",
    re.I,
)
"""Tables of what is for sale and how the service is set: nobody but its owner has anything to change there."""


def _read_one(ctx: Context, route: Route, made: list[Statement]) -> Statement | None:
    """A read by an id of the request, of a table whose rows are part of others' or somebody's."""
    if FOR_ALL.search(route.path):
        return None
    for here in below(ctx, route):
        for each in ctx.statements_under.get(here.func, ()):
            if each not in made or each.kind != "read":
                continue
            ids = [
                node
                for name, node in each.where_values
                if snake(name) in open_data.IDS or snake(name).endswith("_id")
            ]
            owned = any(snake(one).endswith("_id") for one in columns_of(ctx, each.table))
            if any(is_given(here, node) for node in ids) and (owned or open_data.is_members(ctx, each.table)):
                return each
    return None


def _listed(ctx: Context, route: Route, made: list[Statement]) -> Statement | None:
    """A read that names no row and no owner, of a table whose rows have owners, or that everybody adds to."""
    if route.method != "GET" or FOR_ALL.search(route.path):
        return None
    for each in made:
        whole = each.kind == "read" and not each.where and not each.where_values and not each.columns
        if (
            whole
            and not counts(each)
            and (_is_of_people(ctx, each.table) or each.table in ctx.once(_brought))
        ):
            return each
    return None


def _is_of_people(ctx: Context, table: str) -> bool:
    owned = {snake(one) for one in columns_of(ctx, table)} & ctx.words.owner_columns
    return bool(owned) or open_data.PEOPLE.search(table) is not None


def _brought(ctx: Context) -> set[str]:
    """The tables into which routes that anybody may call put what they are sent."""
    ways = (func for route in ctx.routes if _takes(route) for func in within_reach(ctx, route))
    made = (each for func in ways for each in ctx.statements_under.get(func, ()))
    return {each.table for each in made if each.insert}


def _takes(route: Route) -> bool:
    return route.is_http and route.method in {"POST", "PUT", "ANY"} and not route.guarded_by


def _of_memory(ctx: Context, route: Route) -> Told | None:
    """What the process keeps in memory, for whoever has its id, or all of it."""
    if route.method not in {"GET", "WEBSOCKET"} or FOR_ALL.search(route.path):
        return None
    ways = below(ctx, route)
    for here in ways:
        for name, node in memory.kept(here, anyones=True):
            if _OF_PEOPLE.search(name) or _OF_PEOPLE.search(route.path):
                does = f"gives whatever {name} keeps under the id of the request and asks nobody"
                return does, Place(here.module.path, node.line), BARELY
    for func in within_reach(ctx, route):
        module = ctx.program.module_of[func]
        for name, node in memory.whole(module, func) if _OF_PEOPLE.search(route.path) else ():
            if _OF_PEOPLE.search(name):
                return f"gives all that {name} keeps and asks nobody", Place(module.path, node.line), BARELY
    return None


def _emptied(ctx: Context, route: Route, ways: list[ir.Func]) -> Told | None:
    """What the process keeps in memory for everybody, and a route made for that throws away for whoever calls it."""
    if route.method != "DELETE" and not _CLEARS.search(route.path):
        return None
    for func in ways:
        module = ctx.program.module_of[func]
        for name, node in memory.emptied(module, func):
            if _OF_PEOPLE.search(name) and not _FOR_SPEED.search(name):
                does = f"empties {name}, whoever's is kept there, and asks nobody"
                return does, Place(module.path, node.line), BARELY
    return None


_CLEARS = re.compile(r"clear|reset|clean|purge|flush|delet|remove|empty|wipe|drop", re.I)
_FOR_SPEED = re.compile(r"cache|limit|seen|memo|metric|stat(s|istics)$|logs?$", re.I)
"""What is kept to be quicker, or to count: nobody loses it."""

_OF_PEOPLE = re.compile(
    r"job|task|generat|result|order|session|store|progress|status|train|project|upload|histor|request|predict|image|video"
    r"|run|conversation|chat|message|user|member|^the queue$",
    re.I,
)
"""Names of what is kept for somebody; the rest are caches and registers."""
