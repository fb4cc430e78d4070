"""Statements of Convex: `ctx.db.insert("images", {…})`, and changes of rows whose table their id's type tells."""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement, TableDef
from portraitist.audit.facts.db_common import Tables, call_name, chain_calls, columns_in, made
from portraitist.audit.link.bindings import bindings_of, reaching
from portraitist.audit.link.module import Module
from portraitist.audit.model import Place

_KINDS = {
    "insert": "write",
    "patch": "write",
    "replace": "write",
    "delete": "delete",
    "get": "read",
    "query": "read",
}
METHODS = _KINDS.keys()


def statement(ctx: Context, tables: Tables, module: Module, call: ir.Call, func: ir.Attr) -> Statement | None:
    """One call of `ctx.db`; a row whose table can't be told gives none."""
    kind = _KINDS.get(func.name)
    ours = kind is not None and ir.plain_dotted(func.obj) == "ctx.db" and "_generated/" in module.lowered
    if kind is None or not ours or not call.args:
        return None
    first = call.args[0]
    named = func.name in {"insert", "query"}
    table = ir.text_of(first) if named else table_of(module, first)
    if not table:
        return None
    data = call.args[1] if kind == "write" and len(call.args) > 1 else None
    values = tuple(_asked(call)) if named else (("id", first),)
    where = tuple(name for name, _ in values)
    columns = columns_in(ctx, module, data)
    return made(kind, table, columns, where, (module, call), insert=func.name == "insert", values=values)


def _asked(query: ir.Call) -> Iterator[tuple[str, ir.Node]]:
    """`q.eq("userId", id)` of the index and `q.eq(q.field("userId"), id)` of the filter that follow a query."""
    whole: ir.Node = query
    while isinstance(whole.parent, ir.Attr) and isinstance(whole.parent.parent, ir.Call):
        whole = whole.parent.parent
    for each in chain_calls(whole):
        for test in ir.find(each, ir.Call) if call_name(each) in {"withIndex", "filter"} else ():
            if call_name(test) == "eq" and len(test.args) == 2:
                first = test.args[0]
                field = first.args[0] if isinstance(first, ir.Call) and first.args else first
                if (column := ir.text_of(field)) is not None:
                    yield column, test.args[1]


def table_of(module: Module, node: ir.Node, depth: int = 0) -> str | None:
    """The table of which something is an id or a row: by its validator, its type, or where it was asked for."""
    if depth > 4:
        return None
    if isinstance(node, ir.Attr):
        row = node.name in {"_id", "id"} and not _argument(module, node.obj, node.name)
        return table_of(module, node.obj, depth + 1) if row else _argument(module, node.obj, node.name)
    if isinstance(node, ir.Call):
        for each in chain_calls(node):
            if call_name(each) in {"query", "insert"} and each.args:
                return ir.text_of(each.args[0])
            if call_name(each) == "get" and each.args:
                return table_of(module, each.args[0], depth + 1)
        return None
    for binding in reaching(module, node):
        if binding.kind == "param" and (table := _of_param(binding.node, str((binding.keys or [""])[0]))):
            return table
        if binding.kind in {"assign", "loop"} and binding.value is not None:
            member = str(binding.keys[0]) if binding.keys and binding.kind == "assign" else ""
            table = (
                _argument(module, binding.value, member)
                if member
                else table_of(module, binding.value, depth + 1)
            )
            if table:
                return table
    return None


def _argument(module: Module, node: ir.Node, key: str) -> str | None:
    """The table of `args.imageId`, by the validator of the function around it."""
    for binding in bindings_of(module, node):
        if binding.kind == "param" and not binding.keys:
            return _of_param(binding.node, key)
    return None


def _of_param(param: ir.Node, key: str) -> str | None:
    """What a Convex function says of its argument `key`: `args: { imageId: v.id("images") }`, or `Id<"images">`."""
    if isinstance(param, ir.Param) and isinstance(param.annotation, ir.Index):
        return ir.text_of(param.annotation.key)
    func = next((each for each in ir.ancestors(param) if isinstance(each, ir.Func)), None)
    entry = func.parent if func is not None else None
    said = (
        entry.parent.get("args") if isinstance(entry, ir.Prop) and isinstance(entry.parent, ir.Obj) else None
    )
    value = said.get(key) if isinstance(said, ir.Obj) and key else None
    for call in ir.find(value, ir.Call) if value is not None else ():
        if ir.dotted(call.func) == "v.id" and call.args:
            return ir.text_of(call.args[0])
    return None


def definition(module: Module, call: ir.Call) -> Iterator[TableDef]:
    """`images: defineTable({ url: v.string() })`."""
    entry, shape = call.parent, call.args[0] if call.args else None
    while isinstance(entry, ir.Attr | ir.Call):
        entry = entry.parent
    if isinstance(entry, ir.Prop) and entry.key and isinstance(shape, ir.Obj):
        columns = {
            each.key: (ir.dotted(each.value).rpartition(".")[2], Place(module.path, each.line))
            for each in shape.props
            if each.key
        }
        whole = not any(each.spread for each in shape.props)
        system = {"_id": "id", "_creationTime": "number"}
        yield TableDef(entry.key, module.path, call.line, columns if whole else {}, "convex", system)
