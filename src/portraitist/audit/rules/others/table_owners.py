"""Whose the rows of a table are: by what statements select, set and compare, and by definitions. Part of `idor`."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.base import last_name, live_statements, names_in
from portraitist.audit.rules.open_ways.open_data import PEOPLE
from portraitist.audit.rules.requests import Given, is_given
from portraitist.audit.rules.syntax import COMPARISONS


class Owner(NamedTuple):
    """The column that names a row's owner, and where that is seen: in code, or in the table's definition alone."""

    column: str
    place: Place
    by_definition: bool = False
    parts: frozenset[tuple[str, str]] = frozenset()
    """For rows that are part of others' rows: the columns that name those, each with its table."""


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
        columns = {snake(one) for one in columns_of(ctx, each.table)} if mine else set()
        if columns and each.table not in set_by_insert and snake(mine[0]) not in columns:
            continue  # the owner of what the row is part of: `album: { userId }`
        if (
            mine
            and ctx.role_at(each.module, each.node) in LIVE_ROLES
            and (len(each.where) > 1 or each.table in set_by_insert | by_id or columns & owners)
        ):
            found.setdefault(each.table, Owner(mine[0], Place(each.module.path, each.line)))
    for each in live_statements(ctx, "write"):
        put = (
            next((one for one in each.columns if snake(one.column) in owners), None) if each.insert else None
        )
        if put is not None:
            place = Place(each.module.path, each.line)
            found.setdefault(each.table, Owner(put.column, place, by_definition=True))
    for table in sorted(ctx.tables.keys() - found.keys()):
        for defined in ctx.tables.get(table, ()):
            for name, (_, at) in defined.columns.items():
                if snake(name) in owners:
                    found.setdefault(table, Owner(name, at, by_definition=True))
    return found | _parts(ctx, found)


def _parts(ctx: Context, whole: Owners) -> Owners:
    """Tables whose rows are part of somebody's row by definition: `album_id`, where albums have users."""
    found: Owners = {}
    for table in sorted({each.table for each in ctx.statements} - whole.keys()):
        named = {
            (name, parent): at
            for defined in (ctx.tables.get(table, ()) if not PEOPLE.search(table) else ())
            for name, (_, at) in defined.columns.items()
            if (parent := parent_of(whole, name)) is not None and parent != table
        }
        for (_, parent), at in [*named.items()][:1]:
            column = f"{whole[parent].column} of its {parent}"
            found[table] = Owner(column, at, by_definition=True, parts=frozenset(named))
    return found


def place_near(ctx: Context, table: str, owner: Owner, path: str) -> Place:
    """Where a reader sees the owner: of several definitions of a table, that in the file's own package."""
    defined = [(name, at) for each in ctx.tables.get(table, ()) for name, (_, at) in each.columns.items()]
    column = next((name for name, at in defined if at == owner.place), "")
    alike = [at for name, at in defined if column and name == column]
    return max(alike, key=lambda at: _shared_folders(at.path, path), default=owner.place)


def _shared_folders(one: str, other: str) -> int:
    pairs = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda each: each[0] == each[1], pairs))


_SHARED = re.compile(
    r"workspace|room|compan|organi|team|channel|conversation|circle|group|tenant|chat|guild|communit|categor|template"
    r"|creator|influencer|artist|seller|vendor|product|plan|package|style|preset|theme|listing|prompt|campaign",
    re.I,
)
"""What has members besides its owner, or is there for all."""


def parent_of(owners: Owners, column: str) -> str | None:
    """The table with an owner whose row a column names: `album_id` that of `Album` or `albums`."""
    stem = snake(column).removesuffix("_id")
    if stem == snake(column) or PEOPLE.search(stem) or _SHARED.search(stem):
        return None
    names = {stem, f"{stem}s", f"{stem}es", f"{stem.removesuffix('y')}ies"}
    return next((each for each in owners if snake(each).rpartition(".")[2] in names), None)


def asks_for_parent(
    ctx: Context,
    way: tuple[ir.Func, ...],
    statement: Statement,
    parts: frozenset[tuple[str, str]],
    here: Given | None = None,
) -> bool:
    """Whether a way asks whose the row is that another is part of: by its owner, or by comparing what names it.

    Where the request gives both ids, asking for them together says nothing of whose they are.
    """
    columns = {snake(column) for column, _ in parts}
    tables = {table for _, table in parts}
    for func in way if parts else ():
        for each in ctx.statements_under.get(func, ()):
            where = {snake(one) for one in each.where}
            if each.table in tables and where & ctx.words.owner_columns:
                return True
            two = each.table in tables | {statement.table} and len(where & columns | _ids(where)) > 1
            if two and not (here is not None and func is here.func and _all_given(here, each)):
                return True
        for test in ir.find(func, ir.Bin):
            if test.op in COMPARISONS and (_is_of_ids(test) or _names(test) & columns):
                return True
    return False


def _all_given(here: Given, statement: Statement) -> bool:
    """Whether every id that selects a row is the request's word."""
    nodes = [node for column, node in statement.where_values if _ids({snake(column)})]
    return bool(nodes) and all(is_given(here, each) for each in nodes)


def _ids(where: set[str]) -> set[str]:
    return {each for each in where if each in {"id", "pk"} or each.endswith("_id")}


def _is_of_ids(test: ir.Bin) -> bool:
    """`job.brand_id !== brand.id`: whose a row is, by whatever the repository calls it; no query's own condition."""
    sides = [snake(last_name(each)) for each in (test.left, test.right)]
    two = test.op in {"!=", "!==", "==="} or (
        isinstance(test.left, ir.Attr) and isinstance(test.right, ir.Attr)
    )
    named = any(each.endswith("_id") for each in sides) and all(
        each == "id" or each.endswith("_id") for each in sides
    )
    return named and (two or (len(set(sides)) > 1 and "id" not in sides))


def _names(test: ir.Bin) -> set[str]:
    """The names in a comparison with more than a literal."""
    return set() if isinstance(test.right, ir.Lit) else {snake(each) for each in names_in(test)}


def compared(ctx: Context) -> Owners:
    """Tables whose rows are compared with their owner somewhere: `job.user_id !== user.id`."""
    found: Owners = {}
    for statement in live_statements(ctx, "read"):
        made = ir.enclosing(statement.node, ir.Assign)
        names = {each.id for each in ir.find(made.target, ir.Name)} if made is not None else set()
        for test in ir.find(statement.func, ir.Bin) if statement.func is not None and names else ():
            for side in (test.left, test.right):
                owner = side.name if isinstance(side, ir.Attr) else ""
                root = ir.root_of(side) if side is not None else None
                if snake(owner) in ctx.words.owner_columns and isinstance(root, ir.Name) and root.id in names:
                    found.setdefault(statement.table, Owner(owner, Place(statement.module.path, test.line)))
    return found
