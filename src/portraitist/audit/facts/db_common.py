"""What the statement collectors share: known tables, chains of calls, columns out of objects."""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.facts.mounts import creations
from portraitist.audit.facts.provider import arguments_behind
from portraitist.audit.link.bindings import bindings_of, reaching
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.names import MAX_CALLERS
from portraitist.audit.link.values import Struct, structs


class Tables:
    """Drizzle tables by the call that defines them, Prisma models by their accessor."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        definitions = [each for many in ctx.tables.values() for each in many]
        self.by_place = {
            (each.path, each.line): each for each in definitions if each.source in {"drizzle", "mongoose"}
        }
        self.mongoose = any(each.source == "mongoose" for each in definitions)
        self.prisma = {
            each.name[:1].lower() + each.name[1:]: each for each in definitions if each.source == "prisma"
        }
        self.entities = {
            each.property_names["@class"]: each for each in definitions if "@class" in each.property_names
        }
        defining = {path for path, _ in self.by_place}
        self.call_paths = {
            call: module.path
            for module in ctx.modules
            if module.path in defining
            for call in module.all(ir.Call)
            if (module.path, call.line) in self.by_place
        }

    def defined(self, module: Module, node: ir.Node) -> TableDef | None:
        """The Drizzle table or Mongoose model that an expression names."""
        if not isinstance(node, ir.Name | ir.Attr):
            return None
        for origin in creations(self.ctx, module, node):
            path = self.call_paths.get(origin) if isinstance(origin, ir.Call) else None
            if path is not None:
                return self.by_place.get((path, origin.line))
        return None


_CHANGING = {"$inc", "$push", "$addToSet", "$pull", "$max", "$min", "$mul"}
"""MongoDB's operators that change what a column holds: what it holds then is not known."""


def columns_in(
    ctx: Context, module: Module, node: ir.Node | None, names: dict[str, str] | None = None
) -> tuple[ColumnUse, ...]:
    """The columns in an object, or in every object of a list; property names become column names."""
    if node is None:
        return ()
    if isinstance(node, ir.Arr):
        return tuple(use for each in node.items for use in columns_in(ctx, module, each, names))
    uses = []
    gone = _left_behind(module, node)
    for struct in (*structs(ctx.ev.eval(module, node)), *_handed_by_many(ctx, module, node)):
        for each in (one for one in struct.fields if one.key not in gone):
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
            elif each.key in _CHANGING:
                for inner in structs(each.value):
                    uses.extend(
                        ColumnUse(one.key, one.path, one.line, None, one.node) for one in inner.fields
                    )
    if not uses:
        return tuple(use for row in _rows(module, node) for use in columns_in(ctx, module, row, names))
    unique: dict[tuple[str, str, int], list[ColumnUse]] = {}
    for use in uses:  # what they are worth is compared only where all else is the same
        alike = unique.setdefault((use.column, use.path, use.line), [])
        if use not in alike:
            alike.append(use)
    return tuple(each for alike in unique.values() for each in alike)


MAX_HANDING = 80
"""How many callers of a helper that stores what it is handed are looked at."""


def _handed_by_many(ctx: Context, module: Module, node: ir.Node) -> Iterator[Struct]:
    """What callers hand to a helper, `update_user(id, {…})`, beyond those few that a parameter is folded from."""
    if isinstance(node, ir.Name):
        for where, argument in [*arguments_behind(ctx, module, node)][MAX_CALLERS:MAX_HANDING]:
            yield from structs(ctx.ev.eval(where, argument))


def _left_behind(module: Module, node: ir.Node) -> set[str]:
    """The keys that `const { id, ...rest } = args` has taken out of `rest`, which is written: here `id`."""
    props = node.props if isinstance(node, ir.Obj) else ()
    own = {each.key for each in props if not each.spread}
    gone: set[str] = set()
    names = [
        each for each in (node, *(each.value for each in props if each.spread)) if isinstance(each, ir.Name)
    ]
    for name in names:
        for binding in bindings_of(module, name):
            made = binding.node
            pattern = made.pattern if isinstance(made, ir.Param) else getattr(made, "target", None)
            parts = pattern.props if isinstance(pattern, ir.Obj) else ()
            if any(each.spread and ir.plain_dotted(each.value) == name.id for each in parts):
                gone |= {each.key for each in parts if each.key and not each.spread}
    return gone - own


def _rows(module: Module, node: ir.Node) -> Iterator[ir.Node]:
    """The rows of a list that is made by a callback or filled one by one: `urls.map((url) => ({ url }))`, `push`."""
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name in {"map", "flatMap"}:
        for func in (each for each in node.args if isinstance(each, ir.Func)):
            yield from (each for each in returns(func) if isinstance(each, ir.Obj))
    elif isinstance(node, ir.Name):
        for binding in reaching(module, node):
            if isinstance(binding.value, ir.Call) and not binding.keys:
                yield from _rows(module, binding.value)
            elif isinstance(binding.value, ir.Arr) and not binding.value.items:
                yield from _filled(module, node)


def _filled(module: Module, name: ir.Name) -> Iterator[ir.Node]:
    for call in module.calls({"push", "append"}):
        into = call.func.obj if isinstance(call.func, ir.Attr) else None
        if isinstance(into, ir.Name) and into.id == name.id and call.within is name.within:
            yield from (each for each in call.args if isinstance(each, ir.Obj))


def made(
    kind: str, table: str, columns: tuple[ColumnUse, ...], where: tuple[str, ...], site: tuple[Module, ir.Node],
    *, insert: bool = False, values: tuple[tuple[str, ir.Node], ...] = (),
) -> Statement:  # fmt: skip
    module, call = site
    return Statement(kind, table, columns, where, module, call, call.line, call.end, insert, values)


def keys_of(node: ir.Node | None) -> tuple[str, ...]:
    return tuple(prop.key for prop in ir.find(node, ir.Prop) if prop.key) if node is not None else ()


def pairs_of(node: ir.Node | None) -> tuple[tuple[str, ir.Node], ...]:
    return (
        tuple((prop.key, prop.value) for prop in node.props if prop.key) if isinstance(node, ir.Obj) else ()
    )


def outermost(call: ir.Call) -> ir.Call:
    """The last call of the chain that `call` is part of."""
    current = call
    while isinstance(current.parent, ir.Attr) and isinstance(current.parent.parent, ir.Call):
        if current.parent.parent.func is not current.parent:
            break
        current = current.parent.parent
    return current


def chain_calls(whole: ir.Node) -> Iterator[ir.Call]:
    """The calls of a chain, last one first."""
    current = whole
    while isinstance(current, (ir.Call, ir.Attr)):
        if isinstance(current, ir.Call):
            yield current
            current = current.func
        else:
            current = current.obj


def from_call(whole: ir.Node) -> ir.Call | None:
    """The call of a chain that names a table or a bucket: `from("photos")`."""
    found = (each for each in chain_calls(whole) if call_name(each) in {"from", "from_"} and each.args)
    return next(found, None)


def call_name(call: ir.Call) -> str:
    if isinstance(call.func, ir.Attr):
        return call.func.name
    return call.func.id if isinstance(call.func, ir.Name) else ""
