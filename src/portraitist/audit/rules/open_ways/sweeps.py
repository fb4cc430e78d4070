"""Open routes that clear up after everybody: they end or delete the work of all members that they find by its state.

Such a route is made for a timer, and whoever knows its address runs it. Part of `missing-auth`; what is chosen by an
id of the request is in `open_rows`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import Known, OneOf, Value
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.state_words import STATE_OR_PHASE

_ENDED = re.compile(r"^(failed|failure|error|errored|cancell?ed|expired|timed?_?out|stale|abandoned)$", re.I)
_CHOSEN = re.compile(
    r"(^|_)(status|state|phase|(created|updated|started|expires|expired|finished|completed)(_?at)?)$"
)
"""Columns by which rows of everybody are found: what they are at, and since when."""
_SINCE = re.compile(r"(^|_)(created|updated|started|expires|expired|finished|completed)(_?at)?$")
_ENTRANCE = re.compile(
    r"web-?_?hook|callback|log-?in|log-?out|sign-?in|/auth\b|verif|passw|session|otp|token|seed", re.I
)


def swept(ctx: Context, route: Route, ways: list[ir.Func]) -> Statement | None:
    """What an open route ends or deletes of everybody's work; None where its rows are chosen in another way.

    `ways` are the functions below the route, of which none asks who calls. A row counts as found by its state where
    the statement, or a read of the same table on the way, asks for a state or a time and for no owner.
    """
    if not ways or _ENTRANCE.search(route.path):
        return None
    made = [each for func in ways for each in ctx.statements_under.get(func, ())]
    found = {each.table for each in made if _by_state(ctx, each)}
    ending = (
        each for each in made if each.table in found and _ends(each) and open_data.unprotected(ctx, each)
    )
    return next((each for each in ending if open_data.is_members(ctx, each.table)), None)


def is_aged(ctx: Context, ended: Statement, ways: list[ir.Func]) -> bool:
    """Whether only rows of a certain age are ended or deleted: whoever calls early does no more than the timer."""
    made = (each for func in ways for each in ctx.statements_under.get(func, ()) if each.table == ended.table)
    return any(_by_state(ctx, each) and any(_SINCE.search(snake(one)) for one in each.where) for each in made)


def _by_state(ctx: Context, statement: Statement) -> bool:
    asked = {snake(each) for each in statement.where}
    return any(_CHOSEN.search(each) for each in asked) and not asked & (
        ctx.words.owner_columns | open_data.IDS
    )


def _ends(statement: Statement) -> bool:
    """Whether rows are deleted, or set to a state that says that nothing came of the work."""
    if statement.kind == "delete":
        return True
    if statement.kind != "write" or statement.insert:
        return False
    states = (each for each in statement.columns if STATE_OR_PHASE.search(snake(each.column)))
    return any(_is_end(each.value) for each in states)


def _is_end(value: Value | None) -> bool:
    if isinstance(value, OneOf):
        return any(_is_end(each) for each in value.options)
    return isinstance(value, Known) and isinstance(value.value, str) and _ENDED.match(value.value) is not None
