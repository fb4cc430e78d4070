"""Statements of MongoDB: collections of its drivers in JavaScript and Python, documents of Mongoose.

Which documents a variable holds is known where it was asked of a model or made by one in the same function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.facts.db_common import Tables, call_name, chain_calls, columns_in, made, pairs_of
from portraitist.audit.facts.mounts import definitions
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold

_DRIVER = {
    "insertone": "write",
    "insertmany": "write",
    "updateone": "write",
    "updatemany": "write",
    "replaceone": "write",
    "findoneandupdate": "write",
    "findoneandreplace": "write",
    "findone": "read",
    "countdocuments": "read",
    "deleteone": "delete",
    "deletemany": "delete",
    "findoneanddelete": "delete",
}
METHODS = set(_DRIVER) | {
    "insert_one", "insert_many", "update_one", "update_many", "replace_one", "find_one_and_update", "find_one",
    "find_one_and_replace", "count_documents", "delete_one", "delete_many", "find_one_and_delete", "find",
    "insertOne", "insertMany", "updateOne", "updateMany", "replaceOne", "findOneAndUpdate", "findOneAndReplace",
    "findOne", "countDocuments", "deleteOne", "deleteMany", "findOneAndDelete",
}  # fmt: skip
_DATABASE = re.compile(r"(^|_)(db|database|mongo\w*)(_?(instance|client|conn(ection)?))?$", re.I)
_ADDS = {"push", "addToSet", "unshift"}


def driver(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    """`db.users.update_one({…}, {"$set": {…}})`, `db.collection("users").insertOne({…})`."""
    method = func.name.replace("_", "").lower()
    kind = _DRIVER.get(method) or ("read" if method == "find" else None)
    asked = call.args[0] if call.args else None
    if kind is None or (method == "find" and not isinstance(asked, ir.Obj)):
        return None
    table = _collection(ctx, module, func.obj)
    if table is None:
        return None
    insert = method.startswith("insert")
    data = call.args[0 if insert else 1] if len(call.args) > (not insert) else None
    columns = columns_in(ctx, module, data) if kind == "write" else ()
    values = (
        () if insert else tuple(("id" if name == "_id" else name, each) for name, each in pairs_of(asked))
    )
    where = tuple(name for name, _ in values)
    return made(kind, table, columns, where, (module, call), insert=insert, values=values)


def _collection(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> str | None:
    """The name of the collection that an expression stands for."""
    if depth > 4:
        return None
    if isinstance(node, ir.Call):
        if call_name(node) in {"collection", "get_collection"} and node.args:
            name = fold(ctx.ev.eval(module, node.args[0]))
            return name if isinstance(name, str) else None
        for target in ctx.program.functions_called(node):
            for value in returns(target.node) if isinstance(target.node, ir.Func) and target.module else ():
                assert target.module is not None
                if (found := _collection(ctx, target.module, value, depth + 1)) is not None:
                    return found
    elif isinstance(node, ir.Index) and _is_database(node.obj):
        name = fold(ctx.ev.eval(module, node.key))
        return name if isinstance(name, str) else None
    elif isinstance(node, ir.Attr):
        return node.name if _is_database(node.obj) else _of_member(ctx, module, node, depth)
    elif isinstance(node, ir.Name):
        for where, value in definitions(ctx, module, node):
            if (found := _collection(ctx, where, value, depth + 1)) is not None:
                return found
    return None


def _is_database(node: ir.Node) -> bool:
    """Whether an expression is called a database: `db`, `self.database`, `get_db()`."""
    name = ir.dotted(node).rpartition(".")[2]
    return _DATABASE.search(name) is not None


def _of_member(ctx: Context, module: Module, node: ir.Attr, depth: int) -> str | None:
    """What `self.images` was set to in its file."""
    if ir.plain_dotted(node.obj) not in {"self", "this", "cls"}:
        return None
    for assign in module.all(ir.Assign):
        target = assign.target
        named = isinstance(target, ir.Attr) and ir.plain_dotted(target.obj) in {"self", "this", "cls"}
        if named and isinstance(target, ir.Attr) and target.name == node.name and assign.value is not None:
            return _collection(ctx, module, assign.value, depth + 1)
    return None


def documents(ctx: Context, tables: Tables, module: Module) -> Iterator[Statement]:
    """`new Image({…})`, and what is set on or pushed into a document of Mongoose: `user.credits = 0`."""
    if not tables.mongoose or module.language != "javascript":
        return
    for call in module.all(ir.Call):
        if call.is_new and call.args and (table := _model(tables, module, call.func)) is not None:
            columns = columns_in(ctx, module, call.args[0])
            yield made("write", table.name, columns, (), (module, call), insert=True)
        elif isinstance(call.func, ir.Attr) and call.func.name in _ADDS and call.args:
            into = call.func.obj
            if isinstance(into, ir.Attr):
                yield from _set(ctx, tables, module, into, (call, call.args[0]))
    for assign in module.all(ir.Assign):
        if isinstance(assign.target, ir.Attr) and assign.value is not None:
            yield from _set(ctx, tables, module, assign.target, (assign, assign.value))


def _set(
    ctx: Context, tables: Tables, module: Module, target: ir.Attr, change: tuple[ir.Node, ir.Node]
) -> Iterator[Statement]:
    """The write of one field of a document that is held by a variable: the node that does it, and what it writes."""
    node, value = change
    found = _document(tables, module, target.obj) if isinstance(target.obj, ir.Name) else None
    if found is not None:
        table, asked = found
        plain = isinstance(node, ir.Assign) and node.op == "="
        worth = ctx.ev.eval(module, value) if plain else None
        use = ColumnUse(target.name, module.path, node.line, worth, value)
        values = tuple(asked)
        where = tuple(name for name, _ in values) or ("id",)
        yield made("write", table.name, (use,), where, (module, node), values=values)


_MAKES = {"create", "insertMany"}
"""Calls of a model whose argument is the new document, no question."""


def _document(
    tables: Tables, module: Module, name: ir.Name
) -> tuple[TableDef, list[tuple[str, ir.Node]]] | None:
    """The model of which a variable holds a document, and by what it was asked for."""
    for binding in reaching(module, name):
        if binding.value is None or binding.keys or binding.kind != "assign":
            continue
        for call in chain_calls(binding.value):
            if call.is_new and (table := _model(tables, module, call.func)) is not None:
                return table, []
            model = _model(tables, module, call.func.obj) if isinstance(call.func, ir.Attr) else None
            if model is not None:
                asked = call.args[0] if call.args and call_name(call) not in _MAKES else None
                by_id = call_name(call).startswith("findById")
                if asked is None:
                    return model, []
                return model, [("id", asked)] if by_id else [*pairs_of(asked)]
    return None


def _model(tables: Tables, module: Module, node: ir.Node) -> TableDef | None:
    table = tables.defined(module, node) if isinstance(node, ir.Name) and node.id[:1].isupper() else None
    return table if table is not None and table.source == "mongoose" else None
