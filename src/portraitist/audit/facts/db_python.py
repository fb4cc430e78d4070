"""Statements of Python's object mappers: constructors, queries, updates, and attributes set on rows."""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement, TableDef
from portraitist.audit.link.bindings import bindings_of, reaching
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module

_READS = {
    "query",
    "select",
    "get",
    "filter",
    "filter_by",
    "get_object_or_404",
    "all",
    "first",
    "exists",
    "count",
    "get_or_404",
    "get_or_none",
    "values",
    "values_list",
    "aget",
    "afilter",
    "exec",
    "exclude",
    "order_by",
    "get_by_id",
    "find_one",
    "first_or_404",
}
_BUILT = {"where", "limit", "offset", "join", "outerjoin", "options", "distinct", "with_for_update"}
"""How a `select(…)` goes on, which something else then runs."""
_WRITES = {"create", "get_or_create", "update_or_create", "bulk_create", "acreate", "abulk_create"}
_NOT_ROWS = {"id", "metadata", "query", "objects"}


class Rows:
    """Which classes are tables, and which expressions are rows of them."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.tables: dict[ir.Class, TableDef] = {}
        by_place = {
            (each.path, each.line): each
            for defs in ctx.tables.values()
            for each in defs
            if each.source == "class"
        }
        for module in ctx.modules:
            for cls in module.all(ir.Class):
                found = by_place.get((module.path, cls.line))
                if found is not None:
                    self.tables[cls] = found
        self.members = [each for cls, each in self.tables.items() if any(map(_is_mixin, cls.bases))]

    def table(self, module: Module, node: ir.Node) -> TableDef | None:
        """The table that a class expression names; a parameter of that type is a row, not the class."""
        if not isinstance(node, ir.Name | ir.Attr):
            return None
        found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
        if found is not None and found[1] and found[1][-1].kind == "param":
            return None
        for target in self.ctx.program.resolve(module, node):
            if isinstance(target.node, ir.Class) and target.node in self.tables:
                return self.tables[target.node]
        return None

    def of_row(self, module: Module, node: ir.Node, depth: int = 0) -> TableDef | None:
        """The table of which `node` is a row: made by its class, or taken out of a query on it."""
        if depth > 3 or not isinstance(node, ir.Name):
            return None
        for binding in reversed(bindings_of(module, node)):
            if (
                binding.kind == "param"
                and isinstance(binding.node, ir.Param)
                and binding.node.annotation is not None
            ):
                for part in ir.walk(binding.node.annotation):
                    if (table := self.table(module, part)) is not None:
                        return table
            if binding.value is not None and binding.node.line <= node.line:
                table = self._in_query(module, binding.value, depth)
                if table is None and binding.kind == "loop":
                    table = self.of_row(module, binding.value, depth + 1)
                if table is not None:
                    return table
        if node.id == _SIGNED_IN and len(self.members) == 1 and _imports_member(module):
            return self.members[0]
        return None

    def _in_query(self, module: Module, value: ir.Node, depth: int) -> TableDef | None:
        for part in ir.walk(value):
            table = self.table(module, part)
            if table is not None:
                return table
        if isinstance(value, ir.Call) and self.ctx.program.functions_called(value):
            return self._from_helper(module, value, depth)  # its arguments may be rows of other tables
        if any(self._asks_other(module, each) for each in ir.find(value, ir.Call)):
            return None
        root = ir.root_of(value)
        if isinstance(value, ir.Call) and root is not None and self._is_other_class(module, root):
            return None  # `Profile.from_orm(row)`: made of a row, and none
        if isinstance(root, ir.Name) and isinstance(value, ir.Call | ir.Attr | ir.Index):
            for part in ir.walk(value):
                if isinstance(part, ir.Name) and (table := self.of_row(module, part, depth + 1)) is not None:
                    return table
        return None

    def _asks_other(self, module: Module, call: ir.Call) -> bool:
        """`db.query(Thing)`, where `Thing` is a class whose table is not known: what it is compared with is another."""
        asks = ir.dotted(call.func).rpartition(".")[2] in {"query", "select"} and bool(call.args)
        return asks and self._is_other_class(module, call.args[0])

    def _is_other_class(self, module: Module, node: ir.Node) -> bool:
        """Whether a name is that of a class of the repository that is no table."""
        targets = self.ctx.program.resolve(module, node)
        return any(isinstance(each.node, ir.Class) and each.node not in self.tables for each in targets)

    def _from_helper(self, module: Module, value: ir.Node, depth: int) -> TableDef | None:
        if not isinstance(value, ir.Call) or depth > 2:
            return None
        for target in self.ctx.program.functions_called(value):
            if isinstance(target.node, ir.Func) and target.module is not None:
                for part in ir.walk(target.node.annotation) if target.node.annotation is not None else ():
                    if (table := self.table(target.module, part)) is not None:
                        return table
                for each in returns(target.node):
                    found = self._in_query(target.module, each, depth + 1) or self.of_row(
                        target.module, each, depth + 1
                    )
                    if found is not None:
                        return found
        return None


_SIGNED_IN = "current_user"


def _imports_member(module: Module) -> bool:
    """Whether a file knows Flask-Login's `current_user`: the row of the one who is signed in."""
    return any(
        each.module == "flask_login" and ("current_user", _SIGNED_IN) in each.names
        for each in module.all(ir.Import)
    )


def _is_mixin(base: ir.Node) -> bool:
    """Whether a base says that a class's rows are those who sign in."""
    return ir.plain_dotted(base).rpartition(".")[2] == "UserMixin"


def statements(ctx: Context, rows: Rows, module: Module) -> Iterator[Statement]:
    """Every ORM statement of one Python module."""
    if not rows.tables:
        return
    for call in module.all(ir.Call):
        yield from _called(ctx, rows, module, call)
    for assign in module.all(ir.Assign):
        yield from _attribute_set(ctx, rows, module, assign)


def _called(ctx: Context, rows: Rows, module: Module, call: ir.Call) -> Iterator[Statement]:
    made = rows.table(module, call.func)
    if made is not None:
        columns = _columns(ctx, module, call.kw)
        yield _statement("write", made, columns, (), (module, call), insert=True)
        return
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    if name in _WRITES and isinstance(call.func, ir.Attr):
        yield from _manager_write(ctx, rows, module, call, call.func)
    elif name in {"update", "values", "aupdate"}:
        yield from _update(ctx, rows, module, call)
    elif name in {"delete", "adelete", "remove"}:
        yield from _delete(rows, module, call)
    elif name in _READS or (name in _BUILT and _is_selection(call)):
        yield from _read(rows, module, call)
    elif name in {"save", "perform_create", "perform_update"} and isinstance(call.func, ir.Attr):
        table = _serialized(ctx, rows, module, call, call.func)
        if table is not None:
            yield _statement("write", table, (), (), (module, call), insert=name != "perform_update")


def _serialized(ctx: Context, rows: Rows, module: Module, call: ir.Call, func: ir.Attr) -> TableDef | None:
    """The table behind a REST framework's serializer: `Meta.model` of the class that is saved."""
    cls = ir.enclosing(call, ir.Class)
    named: list[ir.Node] = [
        each.value
        for each in (cls.body if cls is not None else [])
        if isinstance(each, ir.Assign) and each.value is not None and _is(each.target, "serializer_class")
    ]
    if func.name == "save":
        made = [each.value.func for each in bindings_of(module, func.obj) if isinstance(each.value, ir.Call)]
        if not any(isinstance(each, ir.Attr) and each.name == "get_serializer" for each in made):
            named = [*made]
    for node in named:
        for target in ctx.program.resolve(module, node):
            meta = _meta_model(target.node) if isinstance(target.node, ir.Class) else None
            if meta is not None and target.module is not None:
                return rows.table(target.module, meta)
    return None


def _meta_model(serializer: ir.Class) -> ir.Node | None:
    for inner in serializer.body:
        if isinstance(inner, ir.Class) and inner.name == "Meta":
            for each in inner.body:
                if isinstance(each, ir.Assign) and _is(each.target, "model"):
                    return each.value
    return None


def _is(node: ir.Node, name: str) -> bool:
    return isinstance(node, ir.Name) and node.id == name


_OPTIONS = {"synchronize_session", "execution_options"}
"""What SQLAlchemy's statements are told beside columns."""


def _columns(ctx: Context, module: Module, kw: ir.Obj | None) -> tuple[ColumnUse, ...]:
    return tuple(
        ColumnUse(prop.key, module.path, prop.line, ctx.ev.eval(module, prop.value), prop.value)
        for prop in (kw.props if kw else [])
        if prop.key is not None and prop.key not in _OPTIONS
    )


def _statement(
    kind: str, table: TableDef, columns: tuple[ColumnUse, ...], where: tuple[str, ...], site: tuple[Module, ir.Node],
    *, insert: bool = False, values: tuple[tuple[str, ir.Node], ...] = (),
) -> Statement:  # fmt: skip
    module, node = site
    return Statement(kind, table.name, columns, where, module, node, node.line, node.end, insert, values)


def _values(node: ir.Node) -> tuple[tuple[str, ir.Node], ...]:
    """The columns that a chain filters by, each with what it is compared to; `get(key)` asks for the id."""
    found: list[tuple[str, ir.Node]] = []
    for call in ir.find(node, ir.Call):
        name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
        if name in _FILTERS and call.kw is not None:
            found.extend((each.key.partition("__")[0], each.value) for each in call.kw.props if each.key)
        if name in {"filter", "where"}:
            for test in (one for each in call.args for one in ir.find(each, ir.Bin) if one.op == "=="):
                if isinstance(test.left, ir.Attr) and test.right is not None:
                    found.append((test.left.name, test.right))
        if name in _BY_KEY and call.args and not call.kw and ir.text_of(call.args[-1]) is None:
            found.append(("id", call.args[-1]))
    return tuple(found)


_FILTERS = {"filter_by", "filter", "get", "get_object_or_404", "get_or_none"}
_BY_KEY = {"get", "get_or_404"}


def _is_selection(call: ir.Call) -> bool:
    """Whether a chain begins with `select(…)`: not with `update(…)` or `delete(…)`, which go on in the same way."""
    root: ir.Node = call
    while isinstance(root, ir.Call) and isinstance(root.func, ir.Attr):
        root = root.func.obj
    return isinstance(root, ir.Call) and ir.plain_dotted(root.func) == "select"


def _found_by(module: Module, row: ir.Node, depth: int = 0) -> tuple[tuple[str, ir.Node], ...]:
    """How the row behind a variable was asked for, over `rows = execute(…)` and `rows.scalar_one_or_none()`."""
    origins = [each.value for each in reaching(module, row)]
    if len(origins) != 1 or origins[0] is None:
        return ()
    root = ir.root_of(origins[0])
    further = depth < 2 and isinstance(origins[0], ir.Call) and root is not None and root is not row
    return _values(origins[0]) or (_found_by(module, root, depth + 1) if further and root is not None else ())


def _in_chain(rows: Rows, module: Module, node: ir.Node) -> TableDef | None:
    """The table named anywhere inside a chain of calls: `session.query(User).filter(…)`, `User.objects`."""
    for part in ir.walk(node):
        table = rows.table(module, part)
        if table is not None:
            return table
    return None


def _where(node: ir.Node) -> tuple[str, ...]:
    """The columns a chain filters by: keywords of `filter_by` and `get`, attributes in `filter` and `where`."""
    found: list[str] = []
    for call in ir.find(node, ir.Call):
        name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
        if name in _FILTERS | {"exclude", "update_or_create", "get_or_create"} and call.kw is not None:
            found.extend(prop.key.partition("__")[0] for prop in call.kw.props if prop.key)
        if name in {"filter", "where"}:
            for arg in call.args:
                found.extend(each.name for each in ir.find(arg, ir.Attr))
    return tuple(dict.fromkeys(found))


def _manager_write(
    ctx: Context, rows: Rows, module: Module, call: ir.Call, func: ir.Attr
) -> Iterator[Statement]:
    table = _in_chain(rows, module, func.obj)
    if table is None:
        return
    columns = [each for each in _columns(ctx, module, call.kw) if each.column != "defaults"]
    defaults = ir.keyword(call, "defaults")
    if isinstance(defaults, ir.Obj):
        columns.extend(_columns(ctx, module, defaults))
    yield _statement("write", table, tuple(columns), (), (module, call), insert=True)


def _update(ctx: Context, rows: Rows, module: Module, call: ir.Call) -> Iterator[Statement]:
    table = _in_chain(rows, module, call.func)
    if table is None:
        return
    columns = list(_columns(ctx, module, call.kw))
    for arg in call.args:
        if isinstance(arg, ir.Obj):
            columns.extend(_columns(ctx, module, arg))
            for prop in arg.props:
                if isinstance(prop.computed, ir.Attr):
                    value = ctx.ev.eval(module, prop.value)
                    columns.append(ColumnUse(prop.computed.name, module.path, prop.line, value, prop.value))
    if columns:
        yield _statement(
            "write", table, tuple(columns), _where(call.func), (module, call), values=_values(call.func)
        )


def _delete(rows: Rows, module: Module, call: ir.Call) -> Iterator[Statement]:
    table = _in_chain(rows, module, call)
    if table is None and call.args:
        table = rows.of_row(module, call.args[0])
    if table is None and isinstance(call.func, ir.Attr) and not call.args:
        table = rows.of_row(module, call.func.obj)
    if table is not None:
        row = call.args[0] if call.args else call.func.obj if isinstance(call.func, ir.Attr) else call
        values = _values(call) or _found_by(module, row)
        where = _where(call) or tuple(name for name, _ in values)
        yield _statement("delete", table, (), where, (module, call), values=values)


def _read(rows: Rows, module: Module, call: ir.Call) -> Iterator[Statement]:
    """Only the outermost call of a chain is a statement."""
    up = call.parent
    if isinstance(up, ir.Attr) and isinstance(up.parent, ir.Call):
        return
    table = _in_chain(rows, module, call.func) or next(
        (
            found
            for each in call.args
            if (found := rows.table(module, ir.root_of(each)) or rows.table(module, each))
        ),
        None,
    )
    if table is not None:
        yield _statement("read", table, (), _where(call), (module, call), values=_values(call))


_SAVES = {"commit", "flush", "save", "asave", "add", "merge", "save_all", "bulk_update", "abulk_update"}


def _has(table: TableDef, name: str) -> bool:
    return name in table.columns or name in table.property_names or name in table.property_names.values()


def _is_saved(assign: ir.Assign) -> bool:
    """Whether a function stores rows at all: else what it hangs on a row, and no column, is for its answer alone."""
    around = assign.within
    calls = ir.find(around, ir.Call) if around is not None else ()
    return around is None or any(
        isinstance(each.func, ir.Attr) and each.func.name in _SAVES for each in calls
    )


def _attribute_set(ctx: Context, rows: Rows, module: Module, assign: ir.Assign) -> Iterator[Statement]:
    target = assign.target
    if not isinstance(target, ir.Attr) or not isinstance(target.obj, ir.Name) or target.name in _NOT_ROWS:
        return
    if target.obj.id in {"self", "cls"}:
        return
    table = rows.of_row(module, target.obj)
    if table is None or not (_has(table, target.name) or _is_saved(assign)):
        return
    value = ctx.ev.eval(module, assign.value)
    use = ColumnUse(target.name, module.path, assign.line, value, assign.value)
    values = _found_by(module, target.obj)
    where = tuple(name for name, _ in values) or ("id",)
    yield _statement("write", table, (use,), where, (module, assign), values=values)
