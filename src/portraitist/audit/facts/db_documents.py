"""Statements of document stores and object mappers in JavaScript: Appwrite, TypeORM, Mongoose, Firestore."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.facts.db_common import (
    Tables,
    call_name,
    chain_calls,
    columns_in,
    keys_of,
    made,
    pairs_of,
)
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Outside, fold

_APPWRITE = {
    "createDocument": "write",
    "updateDocument": "write",
    "deleteDocument": "delete",
    "listDocuments": "read",
    "getDocument": "read",
    "upsertDocument": "write",
    "create_document": "write",
    "update_document": "write",
    "delete_document": "delete",
    "list_documents": "read",
    "get_document": "read",
    "createRow": "write",
    "updateRow": "write",
}


_TYPEORM = {
    "save": "write",
    "insert": "write",
    "update": "write",
    "upsert": "write",
    "delete": "delete",
    "remove": "delete",
    "create": "",
    "find": "read",
    "findOne": "read",
    "findOneBy": "read",
    "findBy": "read",
    "findOneOrFail": "read",
    "softDelete": "delete",
}


_MONGOOSE = {
    "create": "write",
    "findByIdAndUpdate": "write",
    "findOneAndUpdate": "write",
    "updateOne": "write",
    "updateMany": "write",
    "insertMany": "write",
    "deleteOne": "delete",
    "deleteMany": "delete",
    "findByIdAndDelete": "delete",
    "findOneAndDelete": "delete",
    "find": "read",
    "findOne": "read",
    "findById": "read",
    "countDocuments": "read",
    "aggregate": "read",
}


_FIRESTORE = {
    "set": "write",
    "update": "write",
    "add": "write",
    "delete": "delete",
    "get": "read",
    "where": "read",
}


FIRESTORE_FUNCTIONS = {
    "setDoc": "write",
    "updateDoc": "write",
    "addDoc": "write",
    "deleteDoc": "delete",
    "getDoc": "read",
    "getDocs": "read",
}


def _appwrite(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    if func.name not in _APPWRITE or "swagger" in ir.dotted(func.obj).lower():
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
    columns = columns_in(ctx, module, data) if kind == "write" else ()
    insert = func.name.lower().startswith("create")
    document = ir.keyword(call, "documentId", "document_id", "rowId") or next(iter(call.args[2:3]), None)
    values = (
        (("id", document),)
        if document is not None and func.name not in {"listDocuments", "list_documents"}
        else ()
    )
    where = () if insert else ("id",)
    return made(kind, name, columns, where, (module, call), insert=insert, values=() if insert else values)


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
        columns = columns_in(ctx, module, args[position])
    asked = args[0] if args and func.name != "save" else None
    inner = asked.get("where") if isinstance(asked, ir.Obj) else None
    return made(kind, entity.name, columns, keys_of(asked), (module, call), insert=func.name == "insert",
                values=pairs_of(inner or asked))  # fmt: skip


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
    asked = call.args[0] if position and call.args else None
    where, values = keys_of(asked), pairs_of(asked)
    if func.name.startswith("findById"):
        where, values = ("id",), (("id", asked),) if asked is not None else ()
    columns = columns_in(ctx, module, data)
    return made(kind, table.name, columns, where, (module, call), insert=position == 0, values=values)


def _firestore(
    ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr
) -> Statement | None:
    """`db.collection("users").doc(id).update({…})`, by a variable too, and `batch.update(ref, {…})`."""
    if func.name not in _FIRESTORE or func.name == "where" or "collection" not in module.file.lowered_words:
        return None
    kind, given = _FIRESTORE[func.name], call.args
    chain = list(_way(ctx, module, func.obj))
    if call.args and _BATCH.search(ir.plain_dotted(func.obj)) and not _named(chain):
        chain, given = list(_way(ctx, module, call.args[0])), call.args[1:]
    table = _table(ctx, chain)
    if table is None or (given is not call.args and not given and kind == "write"):
        return None
    columns = columns_in(ctx, module, given[0]) if kind == "write" and given else ()
    values = tuple(_firestore_asked(chain))
    where = tuple(name for name, _ in values) or ("id",)
    return made(kind, table, columns, where, (module, call), insert=func.name == "add", values=values)


Way = list[tuple[Module, ir.Call]]


def _way(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> Iterator[tuple[Module, ir.Call]]:
    """The calls that lead to a document or a collection, last one first, through the variables that hold them."""
    yield from ((module, each) for each in chain_calls(node))
    root = ir.root_of(node)
    if depth < 3 and isinstance(root, ir.Name):
        local = [each for each in reaching(module, root) if each.kind == "assign"]
        for each in local[-1:]:
            if each.value is not None and not each.keys:
                yield from _way(ctx, module, each.value, depth + 1)


_BATCH = re.compile(r"(batch|transaction|tx|trx|writer|^t)$", re.I)


def _named(way: Way) -> bool:
    return any(call_name(each) in _PLACES and each.args for _, each in way)


_PLACES = {"collection", "collectionGroup", "doc", "document"}


def _table(ctx: Context, way: Way) -> str | None:
    """The collection at the end of a way: `collection("users")`, `doc(db, "users", id)`, ``doc(`users/${id}`)``."""
    for module, call in way:
        name = call_name(call)
        if name not in _PLACES or not call.args:
            continue
        given = call.args[1:] if isinstance(call.func, ir.Name) else call.args
        texts = [fold(ctx.ev.eval(module, each)) for each in given]
        if not texts and name == "doc":
            continue  # `doc(collection(db, "users"))`, a new one
        way_ = [part for each in texts for part in (each.split("/") if isinstance(each, str) else [None])]
        at = len(way_) - 1 - (name in {"doc", "document"})
        if at >= 0 and at % 2 == 0 and way_[at]:
            return way_[at]
        if len(way_) > 1:
            return None
    return None


def _firestore_asked(way: Way) -> Iterator[tuple[str, ir.Node]]:
    """`.doc(id)` asks for the id, `.where("owner", "==", x)` for a column."""
    for _, each in way:
        column = ir.text_of(each.args[0]) if each.args else None
        if call_name(each) == "where" and column is not None and len(each.args) > 2:
            yield column, each.args[2]
        elif call_name(each) in {"doc", "document"} and each.args and isinstance(each.func, ir.Attr):
            yield "id", each.args[0]
        elif call_name(each) == "doc" and len(each.args) > 2:
            yield "id", each.args[-1]


def firestore_function(ctx: Context, module: Module, call: ir.Call, name: str) -> Iterator[Statement]:
    """`updateDoc(doc(db, "users", id), {…})`, also by a variable for the document."""
    if not call.args:
        return
    way = list(_way(ctx, module, call.args[0]))
    way += [(module, each) for each in ir.find(call.args[0], ir.Call) if each not in {one for _, one in way}]
    table = _table(ctx, way)
    if table is not None:
        kind = FIRESTORE_FUNCTIONS[name]
        columns = columns_in(ctx, module, call.args[1]) if kind == "write" and len(call.args) > 1 else ()
        values = tuple(each for each in _firestore_asked(way) if each[0] == "id")[:1]
        site = (module, call)
        yield made(kind, table, columns, ("id",), site, insert=name == "addDoc", values=values)


READERS = (_appwrite, _typeorm, _mongoose, _firestore)
METHODS = _APPWRITE.keys() | _TYPEORM.keys() | _MONGOOSE.keys() | _FIRESTORE.keys()
