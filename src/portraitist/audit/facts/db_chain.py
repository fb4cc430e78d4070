"""Statements of query builders and document stores in JavaScript and Python.

Drizzle, Prisma, Supabase, Appwrite, TypeORM, Mongoose and Firestore; SQL text is in `db_sql`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Outside, Value, fold, structs

_PRISMA = {
    "create": "write", "createMany": "write", "update": "write", "updateMany": "write", "upsert": "write", "delete": "delete",
    "deleteMany": "delete", "findUnique": "read", "findFirst": "read", "findMany": "read", "count": "read",
    "findUniqueOrThrow": "read", "findFirstOrThrow": "read", "aggregate": "read", "groupBy": "read", "createManyAndReturn": "write",
}  # fmt: skip
_SUPABASE = {"insert": "write", "update": "write", "upsert": "write", "delete": "delete", "select": "read"}
_APPWRITE = {
    "createDocument": "write", "updateDocument": "write", "deleteDocument": "delete", "listDocuments": "read",
    "getDocument": "read", "upsertDocument": "write", "create_document": "write", "update_document": "write",
    "delete_document": "delete", "list_documents": "read", "get_document": "read", "createRow": "write", "updateRow": "write",
}  # fmt: skip
_TYPEORM = {
    "save": "write", "insert": "write", "update": "write", "upsert": "write", "delete": "delete", "remove": "delete", "create": "",
    "find": "read", "findOne": "read", "findOneBy": "read", "findBy": "read", "findOneOrFail": "read", "softDelete": "delete",
}  # fmt: skip
_MONGOOSE = {
    "create": "write", "findByIdAndUpdate": "write", "findOneAndUpdate": "write", "updateOne": "write", "updateMany": "write",
    "insertMany": "write", "deleteOne": "delete", "deleteMany": "delete", "findByIdAndDelete": "delete",
    "findOneAndDelete": "delete", "find": "read", "findOne": "read", "findById": "read", "countDocuments": "read", "aggregate": "read",
}  # fmt: skip
_FIRESTORE = {
    "set": "write",
    "update": "write",
    "add": "write",
    "delete": "delete",
    "get": "read",
    "where": "read",
}
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


class Tables:
    """Drizzle tables by the call that defines them, Prisma models by their accessor."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        definitions = [each for many in ctx.tables.values() for each in many]
        self.by_place = {
            (each.path, each.line): each for each in definitions if each.source in {"drizzle", "mongoose"}
        }
        self.prisma = {
            each.name[:1].lower() + each.name[1:]: each for each in definitions if each.source == "prisma"
        }
        self.entities = {
            each.property_names["@class"]: each for each in definitions if "@class" in each.property_names
        }
        self.call_paths = {
            call: module.path
            for module in ctx.modules
            for call in module.all(ir.Call)
            if (module.path, call.line) in self.by_place
        }

    def defined(self, module: Module, node: ir.Node) -> TableDef | None:
        """The Drizzle table or Mongoose model that an expression names."""
        if not isinstance(node, ir.Name | ir.Attr):
            return None
        for made in creations(self.ctx, module, node):
            path = self.call_paths.get(made) if isinstance(made, ir.Call) else None
            if path is not None:
                return self.by_place.get((path, made.line))
        return None


def statements(ctx: Context, tables: Tables, module: Module) -> Iterator[Statement]:
    """Every builder statement of one module."""
    for call in module.all(ir.Call):
        if isinstance(call.func, ir.Attr):
            name = call.func.name
            if name in _INTERESTING:
                yield from _statement(ctx, tables, module, call, call.func)
        elif isinstance(call.func, ir.Name) and call.func.id in _FIRESTORE_FUNCTIONS:
            yield from _firestore_function(ctx, module, call, call.func.id)


_FIRESTORE_FUNCTIONS = {
    "setDoc": "write",
    "updateDoc": "write",
    "addDoc": "write",
    "deleteDoc": "delete",
    "getDoc": "read",
    "getDocs": "read",
}
_INTERESTING = (
    _PRISMA.keys() | _SUPABASE.keys() | _APPWRITE.keys() | _TYPEORM.keys() | _MONGOOSE.keys() | _FIRESTORE.keys()
    | {"values", "set", "from", "findFirst", "findMany"}
)  # fmt: skip


def _statement(
    ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr
) -> Iterator[Statement]:
    for reader in (_prisma, _drizzle, _supabase, _appwrite, _typeorm, _mongoose, _firestore):
        made = reader(ctx, tables, module, call, func)
        if made is not None:
            yield made
            return


def _columns(
    ctx: Context, module: Module, node: ir.Node | None, names: dict[str, str] | None = None
) -> tuple[ColumnUse, ...]:
    """The columns in an object, or in every object of a list; property names become column names."""
    if node is None:
        return ()
    if isinstance(node, ir.Arr):
        return tuple(use for each in node.items for use in _columns(ctx, module, each, names))
    uses = []
    for struct in structs(ctx.ev.eval(module, node)):
        for each in struct.fields:
            if not each.spread and not each.key.startswith("$"):
                uses.append(
                    ColumnUse(
                        (names or {}).get(each.key, each.key), each.path, each.line, each.value, each.node
                    )
                )
            elif each.key in {"$set", "$setOnInsert", "$unset"}:
                for inner in structs(each.value):
                    uses.extend(
                        ColumnUse(one.key, one.path, one.line, one.value, one.node) for one in inner.fields
                    )
    return tuple(dict.fromkeys(uses))


def _made(
    kind: str, table: str, columns: tuple[ColumnUse, ...], where: tuple[str, ...], site: tuple[Module, ir.Node],
    *, insert: bool = False, values: tuple[tuple[str, ir.Node], ...] = (),
) -> Statement:  # fmt: skip
    module, call = site
    return Statement(kind, table, columns, where, module, call, call.line, call.end, insert, values)


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
    if not (
        "PrismaClient" in origin or (model is not None and named) or ir.plain_dotted(receiver) == "prisma"
    ):
        return None
    options = call.args[0] if call.args else None
    data = options.get("data") if isinstance(options, ir.Obj) else None
    columns = _columns(ctx, module, data)
    if isinstance(options, ir.Obj) and func.name == "upsert":
        columns = _columns(ctx, module, options.get("create")) + _columns(ctx, module, options.get("update"))
    if model is not None:
        columns = tuple(each for each in columns if model.property_names.get(each.column) != "@relation")
    where = options.get("where") if isinstance(options, ir.Obj) else None
    kind = _PRISMA[func.name]
    table = model.name if model is not None else func.obj.name
    return _made(
        kind, table, columns, _keys(where), (module, call), insert="create" in func.name, values=_pairs(where)
    )


def _keys(node: ir.Node | None) -> tuple[str, ...]:
    return tuple(prop.key for prop in ir.find(node, ir.Prop) if prop.key) if node is not None else ()


def _pairs(node: ir.Node | None) -> tuple[tuple[str, ir.Node], ...]:
    return (
        tuple((prop.key, prop.value) for prop in node.props if prop.key) if isinstance(node, ir.Obj) else ()
    )


def _drizzle(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    whole = _outermost(call)
    if func.name in {"insert", "update", "delete"} and call.args:
        table = tables.defined(module, call.args[0])
        if table is None:
            return None
        data = next(
            (each.args[0] for each in _chain_calls(whole) if _name(each) in {"values", "set"} and each.args),
            None,
        )
        columns = _columns(ctx, module, data, table.property_names)
        for each in _chain_calls(whole):
            if _name(each) == "onConflictDoUpdate" and each.args and isinstance(each.args[0], ir.Obj):
                columns += _columns(ctx, module, each.args[0].get("set"), table.property_names)
        kind = "delete" if func.name == "delete" else "write"
        where, values = _drizzle_where(table, whole)
        return _made(
            kind, table.name, columns, where, (module, whole), insert=func.name == "insert", values=values
        )
    if func.name == "from" and call.args:
        table = tables.defined(module, call.args[0])
        if table is None:
            return None
        where, values = _drizzle_where(table, whole)
        return _made(
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
        return _made("read", name, (), (), (module, call))
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
    columns: list[str] = []
    values: list[tuple[str, ir.Node]] = []
    for each in _chain_calls(whole):
        if _name(each) != "where":
            continue
        for test in ir.find(each, ir.Call):
            if _name(test) in _EQ and len(test.args) == 2 and isinstance(test.args[0], ir.Attr):
                column = table.property_names.get(test.args[0].name, test.args[0].name)
                columns.append(column)
                values.append((column, test.args[1]))
    return tuple(columns), tuple(values)


def _outermost(call: ir.Call) -> ir.Call:
    """The last call of the chain that `call` is part of."""
    current = call
    while isinstance(current.parent, ir.Attr) and isinstance(current.parent.parent, ir.Call):
        if current.parent.parent.func is not current.parent:
            break
        current = current.parent.parent
    return current


def _chain_calls(whole: ir.Node) -> Iterator[ir.Call]:
    """The calls of a chain, last one first."""
    current = whole
    while isinstance(current, ir.Call | ir.Attr):
        if isinstance(current, ir.Call):
            yield current
            current = current.func
        else:
            current = current.obj


def _name(call: ir.Call) -> str:
    if isinstance(call.func, ir.Attr):
        return call.func.name
    return call.func.id if isinstance(call.func, ir.Name) else ""


def _supabase(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    if func.name not in _SUPABASE:
        return None
    source = next(
        (each for each in _chain_calls(func.obj) if _name(each) in {"from", "from_", "table"}), None
    )
    if source is None or not source.args or not isinstance(source.func, ir.Attr):
        return None
    base = source.func.obj
    if isinstance(base, ir.Attr) and base.name == "storage":
        return None
    if isinstance(base, ir.Name) and base.id in {"Array", "Buffer", "Uint8Array"}:
        return None
    later = func.name == "select" and any(
        _name(each) in {"insert", "update", "upsert", "delete"} for each in _chain_calls(func.obj)
    )
    table = fold(ctx.ev.eval(module, source.args[0]))
    if later or not isinstance(table, str):
        return None
    whole = _outermost(call)
    kind = _SUPABASE[func.name]
    columns = _columns(ctx, module, call.args[0]) if kind == "write" and call.args else ()
    if kind == "read" and call.args:
        text = ir.text_of(call.args[0]) or ""
        names = re.findall(r"[A-Za-z_]\w*", re.sub(r"\w+\s*\([^)]*\)|\w+:", "", text))
        columns = tuple(ColumnUse(each, module.path, call.args[0].line) for each in names)
    where, values = _filters(whole)
    return _made(kind, table, columns, where, (module, whole), insert=func.name == "insert", values=values)


def _filters(whole: ir.Node) -> tuple[tuple[str, ...], tuple[tuple[str, ir.Node], ...]]:
    values: list[tuple[str, ir.Node]] = []
    for each in _chain_calls(whole):
        if _name(each) in _FILTERS and each.args:
            column = ir.text_of(each.args[0])
            if column is not None and len(each.args) > 1:
                values.append((column, each.args[1]))
            values.extend(_pairs(each.args[0]))
    return tuple(name for name, _ in values), tuple(values)


def _appwrite(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    if func.name not in _APPWRITE:
        return None
    collection = ir.keyword(call, "collectionId", "collection_id", "tableId") or (
        call.args[1] if len(call.args) > 1 else None
    )
    if collection is None:
        return None
    value = ctx.ev.eval(module, collection)
    name = fold(value)
    if not isinstance(name, str):
        name = (
            value.name.rpartition(".")[2]
            if isinstance(value, Outside)
            else ir.dotted(collection).rpartition(".")[2]
        )
    data = ir.keyword(call, "data") or next((each for each in call.args[3:4]), None)
    kind = _APPWRITE[func.name]
    columns = _columns(ctx, module, data) if kind == "write" else ()
    insert = func.name.lower().startswith("create")
    return _made(kind, name, columns, () if insert else ("id",), (module, call), insert=insert)


def _typeorm(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    kind = _TYPEORM.get(func.name)
    if not kind or not tables.entities:
        return None
    entity, args = _entity(ctx, tables, module, call, func)
    if entity is None:
        return None
    position = 1 if func.name == "update" else 0
    columns: tuple[ColumnUse, ...] = ()
    if kind == "write" and len(args) > position:
        columns = _columns(ctx, module, args[position])
    where = _keys(args[0]) if args and func.name != "save" else ()
    return _made(kind, entity.name, columns, where, (module, call), insert=func.name == "insert")


def _entity(
    ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr
) -> tuple[TableDef | None, list[ir.Node]]:
    """The entity of a repository or manager call, and the arguments after it."""
    if call.args and isinstance(call.args[0], ir.Name) and call.args[0].id in tables.entities:
        return tables.entities[call.args[0].id], call.args[1:]
    for node in (func.obj, *creations(ctx, module, func.obj)):
        for part in ir.find(node, ir.Name):
            if part.id in tables.entities:
                return tables.entities[part.id], call.args
    name = ir.plain_dotted(func.obj).rpartition(".")[2]
    for param in module.all(ir.Param):
        if (
            param.name == name
            and isinstance(param.annotation, ir.Index)
            and isinstance(param.annotation.key, ir.Name)
        ):
            return tables.entities.get(param.annotation.key.id), call.args
    return None, []


def _mongoose(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    kind = _MONGOOSE.get(func.name)
    table = tables.defined(module, func.obj) if kind else None
    if kind is None or table is None or table.source != "mongoose":
        return None
    position = 0 if func.name in {"create", "insertMany"} else 1
    data = call.args[position] if kind == "write" and len(call.args) > position else None
    where = _keys(call.args[0]) if position and call.args else ()
    if func.name.startswith("findById"):
        where = ("id",)
    return _made(kind, table.name, _columns(ctx, module, data), where, (module, call), insert=position == 0)


def _firestore(
    ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr
) -> Statement | None:
    if func.name not in _FIRESTORE or func.name == "where":
        return None
    source = next(
        (each for each in _chain_calls(func.obj) if _name(each) == "collection" and each.args), None
    )
    table = fold(ctx.ev.eval(module, source.args[-1])) if source is not None else None
    if not isinstance(table, str):
        return None
    kind = _FIRESTORE[func.name]
    columns = _columns(ctx, module, call.args[0]) if kind == "write" and call.args else ()
    return _made(kind, table, columns, ("id",), (module, call), insert=func.name == "add")


def _firestore_function(ctx: Context, module: Module, call: ir.Call, name: str) -> Iterator[Statement]:
    """`updateDoc(doc(db, "users", id), {…})`."""
    for inner in ir.find(call.args[0], ir.Call) if call.args else ():
        if _name(inner) in {"doc", "collection"}:
            texts: list[Value] = [ctx.ev.eval(module, each) for each in inner.args[1:2]]
            table = fold(texts[0]) if texts else None
            if isinstance(table, str):
                kind = _FIRESTORE_FUNCTIONS[name]
                columns = (
                    _columns(ctx, module, call.args[1]) if kind == "write" and len(call.args) > 1 else ()
                )
                yield _made(kind, table, columns, ("id",), (module, call), insert=name == "addDoc")
                return
