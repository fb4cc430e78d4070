"""Rows that are put into, or read out of, a row of others: an album of the request, a project. Part of `idor`.

Rows that have an owner themselves are in `rows` and `ownership`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import last_name, live_statements, refusing_names, unasked
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.others import rows
from portraitist.audit.rules.others.callers import are_known
from portraitist.audit.rules.others.table_owners import Owner, Owners, asks_for_parent, parent_of, place_near
from portraitist.audit.rules.requests import Given, below, is_given

_SHOWN = re.compile(r"public|publish|visib|shared", re.I)
"""Columns of rows that their owners may have shown to others."""
Compares = Callable[[Context, Statement, tuple[ir.Func, ...]], bool]


def of_parents(ctx: Context, route: Route, owned: Owners, compares: Compares) -> Iterator[Finding]:
    """A route that knows who asks, and adds to or takes from the row that its visitor names, whoever's it is.

    Not where anything on the way asks for that row as somebody's, compares an owner (`compares`), or asks for a role
    or a membership; nor where the database may know the visitor.
    """
    if ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    if rows.asks_owner(route) or rows.asks_role(route):
        return
    pays = any(flow.route is route for flow in ctx.flows)
    for here in below(ctx, route) if not open_data.MEANT_OPEN.search(route.path) else ():
        made = [(each, *_named(ctx, here, each, owned)) for each in ctx.statements_under.get(here.func, ())]
        made = [each for each in made if each[1]]
        if not made or not are_known(ctx, route, here.way):
            continue
        if any(rows.asks_more(ctx, each) for each in here.way):
            continue
        if any(rows.PROGRAMS.search(each) for func in here.way for each in ctx.once(refusing_names, func)):
            continue
        for statement, column, parent in made:
            if compares(ctx, statement, here.way) or _is_ones_own(ctx, here, statement):
                continue
            if asks_for_parent(ctx, here.way, statement, frozenset({(column, parent)})):
                continue
            does = "adds to" if statement.insert else open_data.DOES[statement.kind]
            message = (
                f"{route.key} {does} {statement.table} by whichever {column} the request names: nobody asks whose "
                f"{parent} it is"
            )
            weight = 64 if pays else 46 if statement.insert else 58
            whose = place_near(ctx, parent, owned[parent], route.module.path)
            yield unasked("idor", route, (statement.module, statement.node), message,
                          key=f"part {statement.table} {route.key}", weight=weight,
                          evidence=[whose, Place(route.module.path, route.node.line)])  # fmt: skip
            return


def _is_ones_own(ctx: Context, here: Given, statement: Statement) -> bool:
    """Whether a row that is added carries who is logged in, and whoever reads such rows asks for one's own."""
    owners = ctx.words.owner_columns
    if not statement.insert or not any(
        snake(each.column) in owners and each.node is not None and not is_given(here, each.node)
        for each in statement.columns
    ):
        return False
    reads = [each for each in live_statements(ctx, "read") if each.table == statement.table]
    return bool(reads) and all(_asks_owner(each, owners) for each in reads)


def _asks_owner(statement: Statement, owners: frozenset[str] | set[str]) -> bool:
    """Whether rows are read by their owner, also by conditions that are put together before."""
    if any(snake(each) in owners for each in statement.where):
        return True
    func = statement.func
    tests = (
        (each for each in ir.find(func, ir.Call) if last_name(each.func) == "eq") if func is not None else ()
    )
    return any(snake(last_name(each.args[0])) in owners for each in tests if each.args)


def _named(ctx: Context, here: Given, statement: Statement, owned: Owners) -> tuple[str, str]:
    """The column that names somebody's row, and that row's table, where the request says which; else two "" """
    own = owned.get(statement.table, Owner("", Place("", 0), by_definition=True))
    where = {snake(each) for each in statement.where}
    if statement.insert:
        told = [(each.column, each.node) for each in statement.columns]
    elif not own.by_definition or where & ctx.words.owner_columns:
        return "", ""
    else:
        told = [*statement.where_values]
    for column, node in told:
        parent = parent_of(owned, column)
        if parent is not None and parent != statement.table and is_given(here, node):
            shown = any(_SHOWN.search(each) for each in columns_of(ctx, parent))
            private = statement.insert or open_data.is_private(statement)
            if private and not shown and open_data.unprotected(ctx, statement):
                return column, parent
    return "", ""
