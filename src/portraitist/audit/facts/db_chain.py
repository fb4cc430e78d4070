"""Statements of query builders in JavaScript and Python: Drizzle, Prisma, Supabase.

Document stores and mappers are in `db_documents`, SQL text in `db_sql`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import db_convex, db_mongo
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.facts.db_common import (
    Tables,
    call_name,
    chain_calls,
    columns_in,
    keys_of,
    made,
    outermost,
    pairs_of,
)
from portraitist.audit.facts.db_documents import FIRESTORE_FUNCTIONS, METHODS, READERS, firestore_function
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold

_PRISMA = {
    "create": "write",
    "createMany": "write",
    "update": "write",
    "updateMany": "write",
    "upsert": "write",
    "delete": "delete",
    "deleteMany": "delete",
    "findUnique": "read",
    "findFirst": "read",
    "findMany": "read",
    "count": "read",
    "findUniqueOrThrow": "read",
    "findFirstOrThrow": "read",
    "aggregate": "read",
    "groupBy": "read",
    "createManyAndReturn": "write",
}


_SUPABASE = {"insert": "write", "update": "write", "upsert": "write", "delete": "delete", "select": "read"}


_FILTERS = {"eq", "match", "in", "in_", "filter", "neq", "is", "is_", "contains"}


_EQ = {
    "eq",
    "and",
    "or",
    "inArray",
    "ne",
    "sql",
    "desc",
    "asc",
    "isNull",
    "gte",
    "lte",
    "gt",
    "lt",
    "not",
    "like",
    "ilike",
}
SOURCES = {"from", "from_", "table"}
"""The calls that name a chain's table."""


def statements(ctx: Context, tables: Tables, module: Module) -> Iterator[Statement]:
    """Every builder statement of one module."""
    for call in module.calls(_INTERESTING | FIRESTORE_FUNCTIONS.keys()):
        if isinstance(call.func, ir.Attr):
            if call.func.name in _INTERESTING:
                yield from _statement(ctx, tables, module, call, call.func)
        elif isinstance(call.func, ir.Name) and call.func.id in FIRESTORE_FUNCTIONS:
            yield from firestore_function(ctx, module, call, call.func.id)
    yield from db_mongo.documents(ctx, tables, module)


_INTERESTING = (
    _PRISMA.keys()
    | _SUPABASE.keys()
    | METHODS
    | db_mongo.METHODS
    | db_convex.METHODS
    | {"values", "set", "from", "findFirst", "findMany"}
)


def _statement(
    ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr
) -> Iterator[Statement]:
    for reader in (_prisma, _drizzle, _supabase, *READERS, db_mongo.driver, db_convex.statement):
        found = reader(ctx, tables, module, call, func)
        if found is not None:
            yield found
            return


_ARGUMENTS = {"where", "data", "select", "include", "omit", "create", "update", "orderBy", "skipDuplicates"}
"""What Prisma's calls are given beside the columns; a helper of that name may seem to hand columns on."""


def _prisma(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    if func.name not in _PRISMA or not isinstance(func.obj, ir.Attr):
        return None
    model = tables.prisma.get(func.obj.name)
    receiver = func.obj.obj
    origin = ctx.program.origin(module, receiver)
    named = ir.plain_dotted(receiver).rpartition(".")[2].lower() in {
        "prisma",
        "db",
        "tx",
        "prismaclient",
        "client",
        "database",
    }
    called = "prisma" in ir.plain_dotted(receiver).rpartition(".")[2].lower()
    if not (
        "PrismaClient" in origin
        or (model is not None and (named or called))
        or ir.plain_dotted(receiver) == "prisma"
    ):
        return None
    options = call.args[0] if call.args else None
    data = options.get("data") if isinstance(options, ir.Obj) else None
    columns = columns_in(ctx, module, data)
    if isinstance(options, ir.Obj) and func.name == "upsert":
        columns = columns_in(ctx, module, options.get("create")) + columns_in(
            ctx, module, options.get("update")
        )
    if model is not None:
        columns = tuple(
            each
            for each in columns
            if model.property_names.get(each.column) != "@relation"
            and (each.column in model.columns or each.column not in _ARGUMENTS)
        )
    where = options.get("where") if isinstance(options, ir.Obj) else None
    kind = _PRISMA[func.name]
    table = model.name if model is not None else func.obj.name
    return made(
        kind,
        table,
        columns,
        keys_of(where),
        (module, call),
        insert="create" in func.name,
        values=pairs_of(where),
    )


def _drizzle(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    whole = outermost(call)
    if func.name in {"insert", "update", "delete"} and call.args:
        table = tables.defined(module, call.args[0])
        if table is None:
            return None
        data = next(
            (
                each.args[0]
                for each in chain_calls(whole)
                if call_name(each) in {"values", "set"} and each.args
            ),
            None,
        )
        columns = columns_in(ctx, module, data, table.property_names)
        for each in chain_calls(whole):
            if call_name(each) == "onConflictDoUpdate" and each.args and isinstance(each.args[0], ir.Obj):
                columns += columns_in(ctx, module, each.args[0].get("set"), table.property_names)
        kind = "delete" if func.name == "delete" else "write"
        where, values = _drizzle_where(table, whole)
        return made(
            kind, table.name, columns, where, (module, whole), insert=func.name == "insert", values=values
        )
    if func.name == "from" and call.args:
        table = tables.defined(module, call.args[0])
        if table is None:
            return None
        where, values = _drizzle_where(table, whole)
        return made(
            "read", table.name, _selected(module, table, call, func), where, (module, whole), values=values
        )
    if (
        func.name in {"findFirst", "findMany"}
        and isinstance(func.obj, ir.Attr)
        and ir.plain_dotted(func.obj.obj).endswith("query")
    ):
        found = [
            each
            for each in tables.by_place.values()
            if _accessor(each) == func.obj.name or each.name == func.obj.name
        ]
        name = found[0].name if found else func.obj.name
        condition = call.args[0].get("where") if call.args and isinstance(call.args[0], ir.Obj) else None
        where, values = _conditions(found[0].property_names if found else {}, condition)
        return made("read", name, (), where, (module, call), values=values)
    return None


def _accessor(table: TableDef) -> str:
    head, *rest = table.name.split("_")
    return head + "".join(each.capitalize() for each in rest)


def _selected(module: Module, table: TableDef, call: ir.Call, func: ir.Attr) -> tuple[ColumnUse, ...]:
    select = func.obj
    if not (isinstance(select, ir.Call) and select.args and isinstance(select.args[0], ir.Obj)):
        return ()
    names = [(prop.value.name, prop.line) for prop in select.args[0].props if isinstance(prop.value, ir.Attr)]
    return tuple(
        ColumnUse(table.property_names[name], module.path, line)
        for name, line in names
        if name in table.property_names
    )


def _drizzle_where(
    table: TableDef, whole: ir.Node
) -> tuple[tuple[str, ...], tuple[tuple[str, ir.Node], ...]]:
    asked = [
        _conditions(table.property_names, each) for each in chain_calls(whole) if call_name(each) == "where"
    ]
    columns = tuple(column for names, _ in asked for column in names)
    return columns, tuple(value for _, pairs in asked for value in pairs)


def _conditions(
    names: dict[str, str], node: ir.Node | None
) -> tuple[tuple[str, ...], tuple[tuple[str, ir.Node], ...]]:
    """The columns that `eq(table.column, value)` and its like name below a node, with what they are compared to."""
    tests = [each for each in ir.find(node, ir.Call) if call_name(each) in _EQ] if node is not None else []
    values = [
        (names.get(each.args[0].name, each.args[0].name), each.args[1])
        for each in tests
        if len(each.args) == 2 and isinstance(each.args[0], ir.Attr)
    ]
    return tuple(column for column, _ in values), tuple(values)


def _supabase(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    if func.name not in _SUPABASE:
        return None
    source = next((each for each in chain_calls(func.obj) if call_name(each) in SOURCES), None)
    if source is None or not source.args or not isinstance(source.func, ir.Attr):
        return None
    base = source.func.obj
    if isinstance(base, ir.Attr) and base.name == "storage":
        return None
    if isinstance(base, ir.Name) and base.id in {"Array", "Buffer", "Uint8Array"}:
        return None
    later = func.name == "select" and any(
        call_name(each) in {"insert", "update", "upsert", "delete"} for each in chain_calls(func.obj)
    )
    table = fold(ctx.ev.eval(module, source.args[0]))
    if isinstance(table, list) and isinstance(source.args[0], ir.Name):
        table = "{" + source.args[0].id + "}"  # a helper for several tables
    if later or not isinstance(table, str):
        return None
    whole = outermost(call)
    kind = _SUPABASE[func.name]
    columns = columns_in(ctx, module, call.args[0]) if kind == "write" and call.args else ()
    if kind == "read" and call.args:
        text = ir.text_of(call.args[0]) or ""
        names = selected_names(text)
        columns = tuple(ColumnUse(each, module.path, call.args[0].line) for each in names)
    where, values = _filters(whole)
    return made(kind, table, columns, where, (module, whole), insert=func.name == "insert", values=values)


def selected_names(text: str) -> list[str]:
    """The columns of a select text: embedded tables, with all that is in their parentheses, are left out.

    `count` alone is no column, but how many rows there are.
    """
    if text.strip() == "count":
        return []
    before = ""
    while before != text:
        before, text = text, re.sub(r"[\w.!:]+\s*\([^()]*\)", "", text)
    return [
        each.strip()
        for each in re.sub(r"\w+:", "", text).split(",")
        if re.fullmatch(r"[A-Za-z_]\w*", each.strip())
    ]


def _filters(whole: ir.Node) -> tuple[tuple[str, ...], tuple[tuple[str, ir.Node], ...]]:
    values: list[tuple[str, ir.Node]] = []
    for each in chain_calls(whole):
        if call_name(each) in _FILTERS and each.args:
            column = ir.text_of(each.args[0])
            if column is not None and len(each.args) > 1:
                values.append((column, each.args[1]))
            values.extend(pairs_of(each.args[0]))
        elif call_name(each) in {"or", "or_"} and each.args:
            values.extend(either(each.args[0]))
    return tuple(name for name, _ in values), tuple(values)


_LAST_COLUMN = re.compile(r"(?:^|[,(])(\w+)\.(?:eq|in|is|ilike|like)\.\(?$")


def either(node: ir.Node) -> Iterator[tuple[str, ir.Node]]:
    """The columns of `or(`id.eq.${id},training_id.eq.${id}`)`, with what they are compared to."""
    parts = node.parts if isinstance(node, ir.Tmpl) else []
    for before, hole in itertools.pairwise(parts):
        found = _LAST_COLUMN.search(ir.text_of(before) or "") if not isinstance(hole, ir.Lit) else None
        if found is not None:
            yield found.group(1), hole
