"""Whose the rows of a table are: by what statements select, set and compare, and by definitions. Part of `idor`."""

from __future__ import annotations

from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.base import live_statements


class Owner(NamedTuple):
    """The column that names a row's owner, and where that is seen: in code, or in the table's definition alone."""

    column: str
    place: Place
    by_definition: bool = False


Owners = dict[str, Owner]


def owned(ctx: Context) -> Owners:
    """Tables whose rows have an owner in a column that is not the key itself.

    It is where a statement selects by the owner and by more, or beside others that select by an id, where an insert
    sets it, and where a definition has it.
    """
    owners = ctx.words.owner_columns
    found: Owners = {}
    set_by_insert = {
        each.table
        for each in live_statements(ctx, "write")
        if each.insert and {snake(use.column) for use in each.columns} & owners
    }
    by_id = {each.table for each in ctx.statements if "id" in {snake(one) for one in each.where}}
    for each in ctx.statements:
        mine = [name for name in each.where if snake(name) in owners]
        if (
            mine
            and each.module.role in LIVE_ROLES
            and (
                len(each.where) > 1
                or each.table in set_by_insert | by_id
                or {snake(one) for one in columns_of(ctx, each.table)} & owners
            )
        ):
            found.setdefault(each.table, Owner(mine[0], Place(each.module.path, each.line)))
    for table in sorted({each.table for each in ctx.statements} - found.keys()):
        for defined in ctx.tables.get(table, ()):
            for name, (_, at) in defined.columns.items():
                if snake(name) in owners:
                    found.setdefault(table, Owner(name, at, by_definition=True))
    return found


def compared(ctx: Context) -> Owners:
    """Tables whose rows are compared with their owner somewhere: `job.user_id !== user.id`."""
    found: Owners = {}
    for statement in live_statements(ctx, "read"):
        made = next((each for each in ir.ancestors(statement.node) if isinstance(each, ir.Assign)), None)
        names = {each.id for each in ir.find(made.target, ir.Name)} if made is not None else set()
        for test in ir.find(statement.func, ir.Bin) if statement.func is not None and names else ():
            for side in (test.left, test.right):
                owner = side.name if isinstance(side, ir.Attr) else ""
                root = ir.root_of(side) if side is not None else None
                if snake(owner) in ctx.words.owner_columns and isinstance(root, ir.Name) and root.id in names:
                    found.setdefault(statement.table, Owner(owner, Place(statement.module.path, test.line)))
    return found
