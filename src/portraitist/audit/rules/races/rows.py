"""Which row a variable holds, by what it was asked for, and whether a write is of that very row, on no condition.

Locks, transactions and claims are told by their words anywhere in a function; triggers of a database are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.frozen import dataclass
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for, arguments
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import helpers_behind, last_name
from portraitist.audit.rules.credits.one_at_a_time import lets_one_in
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.syntax import outermost, spelled

Keys = tuple[tuple[str, ir.Node], ...]
"""Columns with what they are compared to; a column without a name stands for any."""
_APART = re.compile(
    r"(?<![a-zA-Z])lock|(?<=[a-z])Lock|mutex|semaphore|for[ _]update|advisory|serializable|isolation|\$transaction"
    r"|[tT]ransaction\(|[.@]atomic|atomic\(|begin_?nested|\.begin\(|setnx|\bnx\b|\bNX\b"
    r"|on[ _]?conflict|onConflict|ignoreDuplicates|idempoten|[cC]laim|[aA]cquire|dedup|row_?[cC]ount"
    r"|(modified|matched|affected)_?(Count|count|Rows|rows)|changes\b"
)
"""What keeps others out while a function runs, or tells it that it came second."""
_ONCE = re.compile(
    r"idempoten|[cC]laim|on[ _]?conflict|onConflict|dedup|[aA]cquire|setnx|[aA]lready|duplicate|exists"
)
"""What tells in a function that something comes a second time."""
_CONDITIONS = {
    "gt", "gte", "lt", "lte", "ne", "neq", "not", "or", "or_", "isNull", "isNotNull", "notInArray", "inArray", "in_",
    "exists", "like", "ilike", "is_", "is", "where_not", "exclude", "is_not", "notin_", "sql",
}  # fmt: skip
"""Calls in a statement that ask for more than its keys."""
_OWNS = re.compile(
    r"(^|_)(user|owner|account|tenant|workspace|org(ani[sz]ation)?|team|profile|customer|member|auth_user|brand)(_?id)?$"
)
_READS = re.compile(r"^_?(get|fetch|find|load|read|select|query|lookup|require|retrieve|by_)", re.I)
_HANDS_ON = {"int", "str", "float", "bool", "len", "Number", "String", "Boolean", "parseInt", "parseFloat"}
_AS_IT_IS = {"lower", "upper", "strip", "toLowerCase", "toUpperCase", "trim", "toString"}
MAX_STEPS = 3
"""So many variables or callers may lie between a row's read and what is asked of it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A write of one row as a function sees it: the statement, or its call of the helper that holds that."""

    func: ir.Func
    module: Module
    node: ir.Node
    write: Statement
    use: ColumnUse
    keys: Keys


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row was read (or handed in), and by what it was asked for."""

    line: int
    keys: Keys


def points(ctx: Context, write: Statement) -> Iterator[Point]:
    """Where a write stands in functions: by itself, and one helper further out."""
    own = write.func
    asked = _keys(write) if own is not None else None
    if own is None or asked is None:
        return
    for use in write.columns:
        setter = use.node.within if use.node is not None else own
        if setter in (own, None):
            yield Point(own, write.module, write.node, write, use, asked)
        for site in ctx.program.callers.get(own, ()):
            func = site.call.within
            if func is None or func is own:
                continue
            if setter in (own, None) or (setter is func and _lies_in(use.node, site.call)):
                keys = _handed(write.module, site.call, own, asked)
                if keys is not None:
                    yield Point(func, site.module, site.call, write, use, keys)


def is_shared(ctx: Context, point: Point) -> bool:
    """Whether two may be at a write at once: not in jobs alone, and nothing named there keeps others out."""
    inner = point.write.func
    return (
        point.func not in ctx.once(_only_jobs)
        and not is_alone(ctx, point.func)
        and (inner is None or inner is point.func or not is_alone(ctx, inner))
        and not any(_claims(each, point) for each in ctx.statements_under.get(point.func, ()))
    )


def _claims(statement: Statement, point: Point) -> bool:
    """Whether a statement writes the row on condition of what is tested: who comes second writes nothing."""
    if statement.kind != "write" or statement.table != point.write.table:
        return False
    asked = {snake(each) for each in statement.where}
    return snake(point.use.column) in asked or any(STATE.search(each) for each in asked)


def _lies_in(node: ir.Node | None, call: ir.Call) -> bool:
    return node is not None and call in ir.ancestors(node)


def _only_jobs(ctx: Context) -> set[ir.Func | None]:
    """The functions that jobs and scripts run, as handlers or below them, and no request: one run at a time."""
    below: dict[ir.Func | None, set[ir.Func | None]] = {}
    for call, targets in ctx.program.callees.items():
        inner = {each.node for each in targets if isinstance(each.node, ir.Func)}
        for func in _around(call.within):
            below.setdefault(func, set()).update(inner)
    asked = {func for func, routes in ctx.handled_by.items() if any(each.is_http for each in routes)}
    return _under(below, set(ctx.handled_by) - asked) - _under(below, asked)


def _under(below: dict[ir.Func | None, set[ir.Func | None]], first: Iterable[ir.Func]) -> set[ir.Func | None]:
    """These functions and all that they run."""
    found: set[ir.Func | None] = set(first)
    last = found
    while last:
        last = {each for func in last for each in below.get(func, ())} - found
        found |= last
    return found


def _around(func: ir.Func | None) -> Iterator[ir.Func]:
    while func is not None:
        yield func
        func = func.within


def is_alone(ctx: Context, func: ir.Func) -> bool:
    """Whether a function, or the one that it is written in, has what keeps others out."""
    return ctx.once(_is_alone, outermost(func))


def _is_alone(ctx: Context, func: ir.Func) -> bool:
    return _APART.search(_text(ctx, func)) is not None or ctx.once(lets_one_in, func)


def asks_itself(ctx: Context, func: ir.Func) -> bool:
    """Whether a function names what tells it that it was here before."""
    return ctx.once(_asks_itself, func)


def _asks_itself(ctx: Context, func: ir.Func) -> bool:
    return _ONCE.search(_text(ctx, func)) is not None


def _text(ctx: Context, func: ir.Func) -> str:
    return "\n".join(ctx.program.module_of[func].lines[func.line - 1 : func.end])


def _keys(write: Statement) -> Keys | None:
    """By what a write selects its row, None where it asks for more than can be seen."""
    if isinstance(write.node, ir.Assign):
        return (("", write.node.target.obj),) if isinstance(write.node.target, ir.Attr) else None
    known = {name for name, _ in write.where_values}
    if not write.where_values or not known.issuperset(each for each in write.where if not _is_owner(each)):
        return None
    if any(call_name(each) in _CONDITIONS for each in ir.find(write.node, ir.Call)):
        return None
    return write.where_values


def _is_owner(column: str) -> bool:
    return _OWNS.search(snake(column)) is not None


def _handed(module: Module, call: ir.Call, func: ir.Func, asked: Keys) -> Keys | None:
    """The keys of a helper's statement as its caller gives them; None where they are not all handed in."""
    found: list[tuple[str, ir.Node]] = []
    for column, value in asked:
        root = origin(module, value)
        param = next(
            (each for each in func.params if isinstance(root, ir.Name) and each.name == root.id), None
        )
        given = argument_for(call, func, param) if param is not None else None
        if given is None and not _is_owner(column):
            return None
        if given is not None:
            found.append((column if root is value else "", given))
    return tuple(found) or None


def origin(module: Module, value: ir.Node) -> ir.Node:
    """The variable that a value is, or is a member of, over one that was made of it: `pid = pending["id"]`."""
    root = ir.root_of(value)
    made = [each.value for each in reaching(module, root) if each.kind == "assign" and not each.keys]
    inner = made[0] if len(made) == 1 else None
    return ir.root_of(inner) if isinstance(inner, ir.Attr | ir.Index) else root


def row_behind(ctx: Context, module: Module, source: ir.Node, table: str, depth: int = 0) -> Row | None:
    """Where the row was read that a variable holds, or that a call gives: by a statement, a helper, or a caller."""
    if isinstance(source, ir.Call):
        return _read_by(ctx, source, table)
    for binding in reaching(module, source) if depth <= MAX_STEPS else ():
        if binding.kind in {"assign", "loop"} and binding.value is not None:
            calls = [each for each in ir.find(binding.value, ir.Call) if each.within is source.within]
            found = next((row for each in calls if (row := _read_by(ctx, each, table))), None)
            root = ir.root_of(binding.value)
            if (
                found is None
                and isinstance(root, ir.Name)
                and isinstance(source, ir.Name)
                and root.id != source.id
            ):
                found = row_behind(ctx, module, root, table, depth + 1)
            if found is not None:
                return found
        elif binding.kind == "param" and _is_handed_row(ctx, binding.node, table, depth):
            return Row(binding.node.line, ())
    return None


def _is_handed_row(ctx: Context, param: ir.Node, table: str, depth: int) -> bool:
    """Whether a caller hands in a row of the table that it has read."""
    func = param.within
    if func is None or not isinstance(param, ir.Param):
        return False
    for site in ctx.program.callers.get(func, ()):
        given = argument_for(site.call, func, param)
        if given is not None and row_behind(ctx, site.module, given, table, depth + 1) is not None:
            return True
    return False


def _read_by(ctx: Context, call: ir.Call, table: str) -> Row | None:
    own = (each for each in ctx.statements_at.get(call, ()) if each.kind == "read" and each.table == table)
    for each in own:
        return Row(call.line, each.where_values)
    if not _READS.search(last_name(call.func)):
        return None
    for func in helpers_behind(ctx, call):
        if any(each.kind == "read" and each.table == table for each in ctx.statements_under.get(func, ())):
            return Row(call.line, tuple(("", each) for each in arguments(call)))
    return None


def is_same(point: Point, source: ir.Node, row: Row) -> bool:
    """Whether a write is of the row that was read, by a member of it or by the very value that it was asked by.

    One that asks for the column that it sets is of that row only as long as nobody was faster.
    """
    same = False
    for column, value in point.keys:
        if snake(column) == snake(point.use.column):
            return False
        read_by = [each for name, each in row.keys if not name or not column or snake(name) == snake(column)]
        if _is_member(point.module, value, source) or any(
            spelled(value) == spelled(each) for each in read_by
        ):
            same = True
        elif not _is_owner(column):
            return False
    return same


def _is_member(module: Module, value: ir.Node, source: ir.Node, depth: int = 0) -> bool:
    """Whether a value is the row itself or something of it: `row`, `row.id`, or a variable made of that."""
    root = ir.root_of(value)
    if not isinstance(root, ir.Name) or not isinstance(source, ir.Name):
        return False
    if root.id == source.id:
        return True
    made = (each.value for each in reaching(module, root) if each.value is not None and each.kind == "assign")
    return depth < 2 and any(_is_member(module, each, source, depth + 1) for each in made if not _calls(each))


def _calls(node: ir.Node) -> bool:
    return any(last_name(each.func) not in _HANDS_ON for each in ir.find(node, ir.Call))


def column_in(module: Module, node: ir.Node, depth: int = 0) -> tuple[ir.Node, str] | None:
    """The row (a variable, or the call that reads it) and the column that an expression asks for: `row.status`."""
    if (
        isinstance(node, ir.Bin)
        and node.op in {"??", "||", "or"}
        and isinstance(node.right, ir.Lit | ir.Name)
    ):
        return column_in(module, node.left, depth)
    if isinstance(node, ir.Call):
        return _called(module, node, depth)
    key = (
        node.name
        if isinstance(node, ir.Attr)
        else ir.text_of(node.key)
        if isinstance(node, ir.Index)
        else None
    )
    obj = node.obj if isinstance(node, ir.Attr | ir.Index) else None
    if key == "value" and isinstance(obj, ir.Attr):
        return column_in(module, obj, depth)
    if key is not None and isinstance(obj, ir.Name):
        return obj, key
    if isinstance(node, ir.Name) and depth < MAX_STEPS:
        bindings = [each for each in reaching(module, node) if each.value is not None]
        only = bindings[0] if len(bindings) == 1 and bindings[0].kind == "assign" else None
        if only is not None and only.value is not None and only.keys:
            value = only.value
            last = only.keys[-1]
            return (value, last) if isinstance(last, str) and isinstance(value, ir.Name | ir.Call) else None
        if only is not None and only.value is not None:
            return column_in(module, only.value, depth + 1)
    return None


def _called(module: Module, call: ir.Call, depth: int) -> tuple[ir.Node, str] | None:
    """`int(row.count)`, `row.status.lower()`, `row.get("status")`."""
    if isinstance(call.func, ir.Name):
        return column_in(module, call.args[0], depth) if call.func.id in _HANDS_ON and call.args else None
    if not isinstance(call.func, ir.Attr):
        return None
    obj = call.func.obj
    key = ir.text_of(call.args[0]) if call.args else None
    if call.func.name == "get" and key and isinstance(obj, ir.Name):
        return obj, key
    return column_in(module, obj, depth) if call.func.name in _AS_IT_IS else None
