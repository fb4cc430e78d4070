"""Rows that are kept to their owner only where somebody is signed in, and rows of whoever the request names.

The owner is put into the query under a test whether there is one, and nothing turns away who is nobody; or a route that
asks nobody takes the owner from the request. Part of `idor`, told in the JSON alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, is_readable, last_name, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.open_ways.access import behind_middleware, for_developers
from portraitist.audit.rules.requests import below, is_given, within_reach

_WHO = re.compile(r"^(current_?)?(user|owner|member|account|uid|auth_?user|session_?user)(_?id)?$", re.I)
_OF_OTHERS = re.compile(r"hook|callback|cron|internal|worker", re.I)
"""Routes that servers call, for whoever it is."""
_FILTERS = {"eq", "filter", "where", "filter_by", "match", "andWhere"}


def loosely_kept(ctx: Context, route: Route) -> Iterator[Finding]:
    """Both, below one route that no guard stands in front of."""
    if route.guarded_by or not is_readable(route) or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    if behind_middleware(ctx, route) or for_developers(route):
        return
    yield from _named(ctx, route)
    ways = {each.func: each for each in below(ctx, route)}
    funcs = within_reach(ctx, route)
    if _OF_OTHERS.search(route.path) or any(asks_who(ctx, each) for each in funcs):
        return
    if not any(open_data.knows_who(ctx, each) for each in funcs):
        return
    for func in funcs:
        module = ctx.program.module_of[func]
        for branch, who in _optional(func):
            here = ways.get(func)
            if here is not None and is_given(here, who):
                continue
            name = last_name(who)
            message = f"the owner is asked for only where {name} is there: without one the rows are anybody's"
            yield finding("idor", module, branch, message, key=f"optional {name}", weight=BARELY,
                          end=max(each.end for each in branch.then),
                          evidence=[Place(route.module.path, route.node.line)])  # fmt: skip
            told = f"{route.key} turns nobody away, and keeps to an owner only where {name} is there"
            yield finding("idor", *route.home, told, key=f"optional {name} {route.key}", weight=BARELY, end=route.head,
                          evidence=[Place(module.path, branch.line)])  # fmt: skip


def _optional(func: ir.Func) -> Iterator[tuple[ir.If, ir.Node]]:
    """`if (userId) query = query.eq("user_id", userId)` with no other arm, and no other owner asked below it."""
    for branch in ir.find(func, ir.If):
        who = branch.test
        if branch.other or len(branch.then) != 1 or not isinstance(who, ir.Name | ir.Attr):
            continue
        if branch.within is not func or not (_WHO.match(last_name(who)) or last_name(who) == "id"):
            continue
        assign = branch.then[0]
        while isinstance(assign, ir.Other) and len(assign.parts) == 1:
            assign = assign.parts[0]
        if not isinstance(assign, ir.Assign) or not isinstance(assign.value, ir.Call):
            continue
        call = assign.value
        same = isinstance(call.func, ir.Attr) and last_name(ir.root_of(call.func)) == last_name(assign.target)
        if same and last_name(call.func) in _FILTERS and _names_owner(call, who):
            yield branch, who


def _names_owner(call: ir.Call, who: ir.Node) -> bool:
    """Whether a condition compares an owner's column with who is asking."""
    column = snake(ir.text_of(call.args[0]) or "") if call.args else ""
    told = {
        last_name(each) for arg in call.args for each in ir.walk(arg) if isinstance(each, ir.Name | ir.Attr)
    }
    told |= {each.key or "" for each in ir.find(call, ir.Prop)}
    owners = [
        each
        for each in (column, *(snake(one) for one in told))
        if re.search(r"(user|owner|member|account)_id$", each)
    ]
    return bool(owners) and last_name(who) in told


def _named(ctx: Context, route: Route) -> Iterator[Finding]:
    """A row that is changed or read by the owner whom the request names, where nobody is asked who it is."""
    told = open_data.told(ctx, route)
    if told is None:
        return
    here, statement, column = told
    if snake(column) not in ctx.words.owner_columns or statement.insert:
        return
    does = open_data.DOES[statement.kind]
    message = (
        f"{route.key} {does} {statement.table} of whichever {column} the request names, compared with nobody"
    )
    site = (here.module, statement.node)
    yield unasked("idor", route, site, message, key=f"named {statement.table}", weight=BARELY)
