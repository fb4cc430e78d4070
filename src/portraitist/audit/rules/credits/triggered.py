"""Part of the rule on credits: credits that a trigger of the database takes once a row is put in.

Triggers are read from SQL files and from SQL in documents, which may be all that tells what the database holds; which
of two definitions it runs is told by their order alone, and what differs in the database itself is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.base import helpers_behind, leads_to, names_in
from portraitist.audit.rules.credits.changes import CREDIT, MOVED_IN_SQL, meaning, sign_of
from portraitist.audit.rules.credits.steps import Step, goes_on
from portraitist.audit.rules.syntax import outermost

_NAME = r"(?:\"?\w+\"?\.)?\"?(?P<{0}>\w+)\"?"
_CREATED = re.compile(
    r"\bcreate\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\s+"
    + _NAME.format("name")
    + r"\s+(?:before|after)\s+(?P<when>[\w\s,]*?)\s+on\s+"
    + _NAME.format("table")
    + r"\b[^;$]*?\bexecute\s+(?:function|procedure)\s+"
    + _NAME.format("func"),
    re.I,
)
_DROPPED = re.compile(r"\bdrop\s+trigger\s+(?:if\s+exists\s+)?" + _NAME.format("name"), re.I)
_UPDATE = re.compile(
    r"\bupdate\s+(?:only\s+)?" + _NAME.format("table") + r"[^;]*?\bset\b(?P<sets>[^;]*)", re.I
)
_NOTE = re.compile(r"--[^\n]*")
_OF_TRIGGER = re.compile(r"\breturns\s+trigger\b", re.I)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A table whose new rows cost something, the balance that they lower, and where the database is told so."""

    table: str
    column: str
    place: Place


def triggers(ctx: Context) -> list[Trigger]:
    """Every trigger that lowers a balance when a row is put in; asked once: `ctx.once(triggers)`."""
    files = [
        each for each in ctx.tree.files if each.language in {"sql", "doc"} and _CREATED.search(each.text)
    ]
    bodies: dict[str, set[str]] = {}
    made: dict[str, tuple[str, str, Place]] = {}
    for each in files:
        for func in sql.STORED_FUNCTION.finditer(each.text):
            if _OF_TRIGGER.search(func["head"]):
                bodies[func["name"].lower()] = set(
                    _lowered(_NOTE.sub("", func["body"]))
                )  # the last one stands
        found = [*_CREATED.finditer(each.text), *_DROPPED.finditer(each.text)]
        for one in sorted(found, key=lambda part: part.start()):
            name = one["name"].lower()
            if one.re is _DROPPED:
                made.pop(name, None)
            elif "insert" in one["when"].lower():
                line = each.text.count("\n", 0, one.start()) + 1
                made[name] = one["table"].lower(), one["func"].lower(), Place(each.path, line)
    return [
        Trigger(table, column, place)
        for table, func, place in made.values()
        for column in sorted(bodies.get(func, ()))
    ]


def _lowered(body: str) -> Iterator[str]:
    """The balances that a function of the database lowers."""
    for update in _UPDATE.finditer(body):
        for moved in MOVED_IN_SQL.finditer(update["sets"]):
            column = moved["column"].lower()
            kind = meaning(column, sign_of(moved))
            if kind == "take" and any(CREDIT.search(snake(each)) for each in (column, update["table"])):
                yield column


def taken_by_trigger(ctx: Context, flow: Flow, steps: list[Step]) -> tuple[str, Place] | None:
    """Where a trigger takes what a way asks for, if it does so only behind the paid call or on another way.

    A row that is put in before the call takes it there, whatever the trigger does where too little is left.
    """
    asked = {snake(name) for each in steps if each.event.kind == "check" for name in _asked(ctx, each)}
    for trigger in ctx.once(triggers):
        rows = [
            each
            for each in ctx.statements
            if each.insert
            and each.table.lower() == trigger.table
            and ctx.role_at(each.module, each.node) in LIVE_ROLES
        ]
        if trigger.column not in asked or not rows:
            continue
        own = [each for each in rows if _on_way(ctx, flow, each)]
        if any(_comes_first(ctx, flow, each) for each in own):
            continue
        row = (own or rows)[0]
        what = f"taken by a trigger of {trigger.table} ({trigger.place.path}) only when a row is put in, "
        if own:
            return f"{what}behind it: requests side by side all pass", Place(row.module.path, row.line)
        where = f"on another way (line {row.line} of {row.module.path})"
        return f"{what}{where}: until then any number of requests pass", Place(row.module.path, row.line)
    return None


def _asked(ctx: Context, step: Step) -> set[str]:
    """The names in what asks for credits, and in the helpers that it calls for that."""
    event = step.event.node
    node = event.test if isinstance(event, ir.If | ir.Cond) else event
    helpers = (func for call in ir.find(node, ir.Call) for func in helpers_behind(ctx, call))
    return names_in(node).union(*map(names_in, helpers))


def _on_way(ctx: Context, flow: Flow, row: Statement) -> bool:
    """Whether a way puts a row in itself, or by a helper."""
    return any(leads_to(ctx, each, {_maker(row)}) for each in flow.funcs)


def _maker(row: Statement) -> ir.Func | None:
    return outermost(row.func) if row.func is not None else None


def _comes_first(ctx: Context, flow: Flow, row: Statement) -> bool:
    """Whether a way puts a row in before it goes on to the paid call."""
    for func in flow.funcs:
        line = goes_on(flow, ctx.program.module_of[func], func)
        if _maker(row) is func:
            return row.line < line
        early = (
            each for call in ir.find(func, ir.Call) if call.line < line for each in helpers_behind(ctx, call)
        )
        if any(leads_to(ctx, each, {_maker(row)}) for each in early if each not in flow.funcs):
            return True
    return False
