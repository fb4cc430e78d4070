"""Parts of somebody's row changed by an id of the request alone, though the whole is asked for. Part of `idor`.

`ad.userId !== me` for the ad in the path, and then `scene.update({ where: { id: order[i] } })`: the scenes may be
another's. Where the request names the whole and nobody asks for that is in `children`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import names_in, unasked
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.table_owners import Owners
from portraitist.audit.rules.requests import Given, below, is_given
from portraitist.audit.rules.syntax import COMPARISONS


def parts_by_id(ctx: Context, route: Route, owned: Owners) -> Iterator[Finding]:
    """A route that asks whose a row is, and changes rows that are part of such rows by nothing but their own ids.

    Not where anything on the way looks at the column that says what they are part of.
    """
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    for here in below(ctx, route):
        for statement in ctx.statements_under.get(here.func, ()):
            own = owned.get(statement.table)
            if own is None or not own.parts or not _by_id_alone(here, statement):
                continue
            columns = {snake(column) for column, _ in own.parts}
            wholes = {table for _, table in own.parts}
            asked = _asked_for(ctx, here, statement, wholes)
            if asked and not _looks_at(ctx, here, columns) and are_known(ctx, route, here.way):
                does = f"{open_data.DOES[statement.kind]} {statement.table}"
                message = (
                    f"{route.key} {does} by an id of the request alone: nothing asks whether it is part of the {asked} "
                    "that is looked for"
                )
                yield unasked("idor", route, (statement.module, statement.node), message,
                              key=f"alone {statement.table} {route.key}", weight=BARELY,
                              evidence=[own.place, Place(route.module.path, route.node.line)])  # fmt: skip
                return


def _by_id_alone(here: Given, statement: Statement) -> bool:
    """Whether a change finds its row by an id that the request gives, and by nothing else."""
    changes = statement.kind in {"write", "delete"} and not statement.insert
    alone = (
        changes and {snake(each) for each in statement.where} == {"id"} and len(statement.where_values) == 1
    )
    return alone and is_given(here, statement.where_values[0][1])


def _asked_for(ctx: Context, here: Given, statement: Statement, wholes: set[str]) -> str:
    """The table of the whole, where a row of it is read by another id than the part's; else ""."""
    own = variables_in(statement.where_values[0][1])
    found = ""
    for each in (one for func in here.way for one in ctx.statements_under.get(func, ())):
        if each.kind != "read" or each.table not in wholes:
            continue
        if own & variables_in(each.node):
            return ""  # with its parts: `include: { scenes: { where: { id: sceneId } } }`
        named = (node for column, node in each.where_values if snake(column) == "id")
        if any(is_given(here, node) for node in named):
            found = each.table
    return found


def _looks_at(ctx: Context, here: Given, columns: set[str]) -> bool:
    """Whether a test or a condition on the way names what a part belongs to."""
    for func in here.way:
        tests = (each for each in ir.find(func, ir.Bin) if each.op in COMPARISONS)
        if any({snake(name) for name in names_in(each)} & columns for each in tests):
            return True
        if any({snake(one) for one in each.where} & columns for each in ctx.statements_under.get(func, ())):
            return True
    return False
