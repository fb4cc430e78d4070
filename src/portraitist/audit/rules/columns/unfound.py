"""Part of the rule on columns that do not fit: rows that are looked for by a run's id in a column that no start fills.

Only tables whose rows' columns are seen wherever they are made; databases that fill a column by themselves are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.link.bindings import visible
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import structs
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    askers,
    finding,
    hears_provider,
    last_name,
    live_statements,
    module_of,
    trace,
)

_KEY = re.compile(r"\bprimary\s+key\b|\bdefault\b|\bgenerated\b|@id\b|@default\b", re.I)
_WRITES = {
    "insert",
    "upsert",
    "update",
    "set",
    "values",
    "add",
    "create",
    "createMany",
    "updateMany",
    "insertOne",
}
_BODY = {"json", "body", "parse", "loads", "get_json", "text", "payload", "data"}
"""Where a webhook's handler has its body from."""


def never_found(ctx: Context) -> Iterator[Finding]:
    """Rows that a webhook, or who asks the provider, finds by a run's id, which the starts write to another column.

    A column that anything writes is left alone, but for handlers that ask the provider for the state: they mend rows.
    So is a function that looks by the column that is written as well. Also a column that nothing at all writes, where
    no start keeps its run's id: then nothing may so much as name it beside a value.
    """
    kept = ctx.once(_kept_ids)
    for each in live_statements(ctx, "read", "write", "delete"):
        columns = kept.get(each.table, {})
        if each.insert or not each.where_values or each.func is None:
            continue
        for name, value in each.where_values:
            column = snake(name)
            within = not column.isidentifier()  # `metadata->>run`: what a column holds
            known = column in columns or column in {"id", "_id"}
            if within or known or not _told_id(ctx, each, value):
                continue
            filled = ctx.once(_filled, each.table)
            if filled is None or column in filled or _looks_by(ctx, each, columns):
                continue
            if not columns and (column in ctx.once(_spelled) or _looks_otherwise(ctx, each, name)):
                continue
            if not _by_itself(ctx, each.table, column) and not _names_it(ctx, each.table, column):
                yield _not_found(each, name, value, columns)
                break


def _not_found(
    statement: Statement, name: str, value: ir.Node, columns: dict[str, list[ColumnUse]]
) -> Finding:
    key = f"{statement.table}.{name}"
    why = (
        f"the starts write that to {' or '.join(sorted(columns))}"
        if columns
        else "nothing writes that column"
    )
    message = f"{key} is compared with a run's id here, and {why}"
    places = [Place(use.path, use.line) for uses in columns.values() for use in uses]
    return finding(
        "column-mismatch", statement.module, value, message, key=key, weight=78, evidence=places[:4]
    )


def _looks_otherwise(ctx: Context, statement: Statement, name: str) -> bool:
    """Whether a function also looks for the row by something else that the provider told it."""
    beside = ctx.statements_under.get(statement.func, ()) if statement.func is not None else ()
    return any(
        other != name and _told_id(ctx, each, value)
        for each in beside
        if each.table == statement.table
        for other, value in each.where_values
    )


def _spelled(ctx: Context) -> set[str]:
    """The names that live code gives a value, as keys of objects or members, but where rows are asked for by them."""
    asked = {value for each in ctx.statements for _, value in each.where_values}
    keys = {one.key for each in ctx.live for one in each.all(ir.Prop) if one.key and one.value not in asked}
    keys |= {
        last_name(one.target)
        for each in ctx.live
        for one in each.all(ir.Assign)
        if type(one.target) is ir.Attr
    }
    return {snake(each) for each in keys}


def _looks_by(ctx: Context, statement: Statement, columns: dict[str, list[ColumnUse]]) -> bool:
    """Whether a function also looks for the row by a column that holds the id."""
    beside = ctx.statements_under.get(statement.func, ()) if statement.func is not None else ()
    return any(
        each.table == statement.table and {snake(one) for one in each.where} & columns.keys()
        for each in beside
    )


def _kept_ids(ctx: Context) -> dict[str, dict[str, list[ColumnUse]]]:
    """The columns of each table that get the id of a run that was just started, and where."""
    found: dict[str, dict[str, list[ColumnUse]]] = {}
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            if re.search(r"id$|ref$|job|run", snake(use.column)) and _of_start(ctx, use):
                found.setdefault(statement.table, {}).setdefault(snake(use.column), []).append(use)
    return found


def _of_start(ctx: Context, use: ColumnUse) -> bool:
    """`training.id`, where the training is what a paid call answered."""
    if use.node is None:
        return False
    parts = [part for _, part in trace(ctx, module_of(ctx, use), use.node, helpers=True)]
    paid = any(
        isinstance(each, ir.Call) and each in ctx.call_at and ctx.call_at[each].creates for each in parts
    )
    return paid and any(_is_id(module_of(ctx, use), each) for each in parts[:3])


def _is_id(module: Module, node: ir.Node) -> bool:
    if isinstance(node, ir.Attr | ir.Index):
        return last_name(node) == "id"
    if isinstance(node, ir.Call):
        return last_name(node.func) == "get" and bool(node.args) and ir.text_of(node.args[0]) == "id"
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    return found is not None and any(each.keys == ("id",) for each in visible(found[1], node))


def _filled(ctx: Context, table: str) -> set[str] | None:
    """The columns of a table that anything may write at a start; None where a new row is not all seen."""
    mending = askers(ctx)
    starting = {each.func for each in ctx.calls if each.creates}
    writes = [each for each in ctx.statements if each.kind == "write" and each.table == table]
    if any(_open(ctx, each) for each in writes) or not any(each.insert for each in writes):
        return None
    return {
        snake(use.column)
        for each in writes
        if each.insert or each.func in starting or each.func not in mending
        for use in each.columns
    }


def _open(ctx: Context, statement: Statement) -> bool:
    """Whether a statement may write any column: what it is given comes from a caller or a request, or is not seen.

    Of an update alone whose keys are made in its own function, the columns are those that its file names.
    """
    given = _data(statement)
    known = [part for each in given for part in structs(ctx.ev.eval(statement.module, each))]
    if (known and not any(each.open for each in known)) or not given:
        return not statement.columns
    if statement.insert and not (statement.columns and all(isinstance(each, ir.Arr) for each in given)):
        return True
    return any(_from_outside(ctx, statement.module, part) for each in given for part in _merged(each))


def _data(statement: Statement) -> list[ir.Node]:
    """What a statement writes: the first argument of the call of its chain that says so, or what that calls `data`."""
    found = [each.args[0] for each in chain_calls(statement.node) if call_name(each) in _WRITES and each.args]
    named = [each.get("data", "create") if isinstance(each, ir.Obj) else None for each in found]
    return [inner or each for inner, each in zip(named, found, strict=True)]


def _names_it(ctx: Context, table: str, column: str) -> bool:
    """Whether a file names the column and writes to the table what is not all spelled out."""
    names = re.compile(rf"\b({re.escape(column)}|{re.escape(column.replace('_', ''))})\b", re.I)
    return any(
        names.search(each.module.file.text)
        for each in ctx.statements
        if each.kind == "write" and each.table == table
        if not each.columns or any(len(list(_merged(one))) > 1 for one in _data(each))
    )


def _merged(given: ir.Node) -> Iterator[ir.Node]:
    """What an object takes whole, and the names of its computed keys: the object itself where it is a name."""
    yield given
    for prop in ir.find(given, ir.Prop):
        if prop.spread:
            yield prop.value
        elif prop.computed is not None:
            yield prop.computed


def _from_outside(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether something is a parameter, or comes from a request's body."""
    for where, part in trace(ctx, module, node):
        if last_name(part.func if isinstance(part, ir.Call) else part) in _BODY:
            return True
        found = where.lookup(part.id, part) if isinstance(part, ir.Name) else None
        if found is not None and any(each.kind == "param" for each in found[1]):
            return True
    return False


def _by_itself(ctx: Context, table: str, column: str) -> bool:
    """Whether a database may fill a column: a key, a default, a function or a trigger that names it."""
    for definition in ctx.tables.get(table, []):
        place = next((at for name, (_, at) in definition.columns.items() if snake(name) == column), None)
        text = _line(ctx, place) if place is not None else ""
        if _KEY.search(text):
            return True
    own = re.escape(column)
    set_ = re.compile(rf"\b(new\.{own}|{own}\s*:?=)|insert\s+into[^;]*\b{own}\b", re.I)
    return any(each.language == "sql" and set_.search(each.text) for each in ctx.tree.files)


def _line(ctx: Context, place: Place) -> str:
    file = next((each for each in ctx.tree.files if each.path == place.path), None)
    lines = file.text.split("\n") if file is not None else []
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""


def _told_id(ctx: Context, statement: Statement, value: ir.Node) -> bool:
    """Whether a row is asked for by what the provider calls the run: in its webhook's body, or asked of it here."""
    func = statement.func
    if func is None:
        return False
    module = statement.module
    if ctx.once(_receives, func):
        return _names_run(ctx, module, value)
    spelled = ir.plain_dotted(value) if func in ctx.once(askers) else ""
    return bool(spelled) and any(
        each.func is func
        and each.purpose == "status"
        and any(ir.plain_dotted(one) == spelled for one in each.call.args[:1])
        for each in ctx.calls
    )


def _receives(ctx: Context, func: ir.Func) -> bool:
    """Whether a function handles the provider's webhooks."""
    routes = [each for each in ctx.handled_by.get(func, []) if each.method != "GET"]
    return any(hears_provider(ctx, each) for each in routes)


def _names_run(ctx: Context, module: Module, value: ir.Node) -> bool:
    """`body.id` or `{ id: trainingId } = await request.json()`."""
    parts = [part for _, part in trace(ctx, module, value)]
    names = {last_name(each.func if isinstance(each, ir.Call) else each) for each in parts}
    return bool(names & _BODY) and any(_is_id(module, each) for each in parts[:3])
