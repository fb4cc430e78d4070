"""Who writes, deletes and reads which columns: statements of every dialect become facts here.

A statement inside a helper is also anchored at the calls that hand it their columns.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from portraitist.audit import ir
from portraitist.audit.facts import db_chain, db_common, db_python, db_rest, db_sql
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.schema_classes import OPEN
from portraitist.audit.facts.schema_text import DOCUMENT
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold, is_null
from portraitist.audit.model import Place


def collect(ctx: Context) -> None:
    """Fills `ctx.statements` and adds `db.*` and `table.missing_column` facts."""
    tables = db_common.Tables(ctx)
    rows = db_python.Rows(ctx)
    for module in ctx.modules:
        if module.role in {"doc", "generated"}:
            continue
        ctx.statements.extend(db_sql.statements(ctx, module))
        ctx.statements.extend(db_chain.statements(ctx, tables, module))
        if module.language == "python":
            ctx.statements.extend(db_python.statements(ctx, rows, module))
    ctx.statements.extend(db_rest.statements(ctx))
    for each in ctx.statements:
        _facts(ctx, each)
    _missing_columns(ctx)


def _facts(ctx: Context, statement: Statement) -> None:
    kind = f"db.{statement.kind}"
    own = Place(statement.module.path, statement.line)
    if not statement.columns:
        token = shown(statement, statement.table)
        ctx.add(
            kind,
            statement.table,
            statement.module,
            statement.node,
            line=statement.line,
            end=statement.end,
            shows=token,
        )
    for use in statement.columns:
        key = f"{statement.table}.{use.column}"
        place = Place(use.path, use.line)
        value = fold(use.value) if use.value is not None else None
        inside = use.path == own.path and statement.line <= use.line <= max(statement.end, statement.node.end)
        token = _spelled(ctx, statement, use)
        ctx.add(kind, key, statement.module, statement.node, value=value, line=statement.line, end=statement.end,
                evidence=[place], shows=token)  # fmt: skip
        elsewhere = (
            use.path != own.path or ctx.program.modules[use.path].function_at(use.line) is not statement.func
        )
        if not inside and elsewhere:
            _at_caller(ctx, statement, use)
        if statement.kind == "write" and is_null(use.value) and not statement.insert:
            module = ctx.program.modules[use.path]
            anchor = ir.Other(use.line, use.line, [])
            anchor.parent = statement.node if module is statement.module else None
            ctx.add("db.null", key, module, anchor, evidence=[own], shows=use.column)


def shown(statement: Statement, name: str) -> str:
    """`name` when a line of the statement shows it, else "": a table named by a variable is not spelled out."""
    lines = statement.module.lines[statement.line - 1 : max(statement.end, statement.line)]
    return name if any(name.lower() in each.lower() or snake(name) in snake(each) for each in lines) else ""


def _spelled(ctx: Context, statement: Statement, use: ColumnUse) -> str:
    """The column's name, or what else the statement shows: a schema may call the column otherwise than the code."""
    lines = ctx.program.modules[use.path].lines
    line = lines[use.line - 1] if 0 < use.line <= len(lines) else ""
    if use.column.lower() in line.lower() or snake(use.column) in snake(line):
        return use.column
    return shown(statement, use.column) or shown(statement, statement.table)


def _at_caller(ctx: Context, statement: Statement, use: ColumnUse) -> None:
    """The call of a storage helper whose argument sets the column, or the line that sets it."""
    kind, key = f"db.{statement.kind}", f"{statement.table}.{use.column}"
    value = fold(use.value) if use.value is not None else None
    module = ctx.program.modules[use.path]
    func = statement.func
    for site in ctx.program.callers.get(func, []) if func is not None else []:
        if site.module is module and site.call.line <= use.line <= site.call.end:
            ctx.add(
                kind,
                key,
                module,
                site.call,
                value=value,
                evidence=[Place(use.path, use.line)],
                shows=use.column,
            )
            return
    anchor = ir.Other(use.line, use.line, [])
    ctx.add(
        kind,
        key,
        module,
        anchor,
        value=value,
        evidence=[Place(statement.module.path, statement.line)],
        shows=use.column,
    )


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@functools.cache
def snake(name: str) -> str:
    """`replicateModelId` as `replicate_model_id`."""
    lowered = name.lower()
    return name if name == lowered else _HUMP.sub("_", name).lower()


def columns_of(ctx: Context, table: str) -> set[str]:
    """Every known spelling of the columns of a table; empty when no definition is known."""
    found: set[str] = set()
    for each in ctx.tables.get(table, []):
        found.update(each.columns)
        found.update(each.property_names)
    return found


def _line_of(module: Module, use: ColumnUse, statement: Statement) -> int:
    """The line that spells the column: a text of several lines names it below its first one."""
    last = statement.end if module is statement.module else use.line
    spelled = re.compile(rf"\b{re.escape(use.column)}\b")
    lines = range(use.line, min(last, use.line + 200) + 1)
    return next((each for each in lines if spelled.search(module.text(each))), use.line)


_RELATIONAL = {"create table", "alter table", "prisma", "drizzle", "class", "generated types", DOCUMENT}
_DOCUMENTS = re.compile(r"^(set|add|update|get|delete)Docs?$|Document$")
_COLLECTIONS = {"collection", "collectionGroup", "doc", "document"}


def _is_elsewhere(ctx: Context, statement: Statement) -> bool:
    """Whether a statement speaks to a store of documents while every definition of that name is a table of rows.

    Also of a batch, which is handed the document: `batch.set(userRef, …)`.
    """
    node = statement.node
    if not isinstance(node, ir.Call) or any(
        each.source not in _RELATIONAL for each in ctx.tables[statement.table]
    ):
        return False
    handed = [each.value for each in bindings_of(statement.module, node.args[0])] if node.args else []
    chains = [node, *(each for each in handed if isinstance(each, ir.Call))]
    names = {db_common.call_name(each) for chain in chains for each in db_common.chain_calls(chain)}
    return not _COLLECTIONS.isdisjoint(names) or any(_DOCUMENTS.search(each) for each in names)


MAX_STEPS = 3
"""How many calls down from a statement's function the object may be made that it stores."""
_LITERAL = {"create table", "alter table", "generated types", DOCUMENT}
"""Sources of definitions that spell the columns as the database does."""


_OF_EVERY_TABLE = {"rowid", "_rowid_", "oid", "ctid", "xmin"}
"""What a database keeps beside each row by itself."""


def _as_spelled(ctx: Context, statement: Statement) -> set[str] | None:
    """The columns in lower case where a client sends the very names it is given (`from("x")`), else None."""
    if not isinstance(statement.node, ir.Call) or not (statement.columns or statement.where_values):
        return None
    definitions = ctx.tables[statement.table]
    starts = {db_common.call_name(each) for each in db_common.chain_calls(statement.node)}
    named = statement.signed is not None or not starts.isdisjoint({"from", "table"})
    if not named or any(each.source not in _LITERAL for each in definitions):
        return None
    return {name.lower() for each in definitions for name in each.columns}


def _missing_columns(ctx: Context) -> None:
    """Adds the columns that no definition has: what is written or read, then what rows are asked for by."""
    for statement in ctx.statements:
        _not_defined(ctx, statement, statement.columns)
    told = {(each.path, each.key) for each in ctx.of("table.missing_column")}
    for statement in ctx.statements:
        if statement.table in ctx.tables and _as_spelled(ctx, statement) is not None:
            path = statement.module.path
            _not_defined(ctx, statement, [
                ColumnUse(name, path, node.line, None, node)
                for name, node in statement.where_values
                if (path, f"{statement.table}.{name}") not in told
            ])  # fmt: skip


def _is_one_of_many(ctx: Context, statement: Statement, path: str) -> bool:
    """Whether a helper that is handed its columns is one of several that a call may run: each has its own."""
    sites = ctx.program.callers.get(statement.func, []) if statement.func is not None else []
    own = [each for each in sites if each.module.path == path]
    return bool(own) and all(len(ctx.program.functions_called(each.call)) > 1 for each in own)


def _not_defined(ctx: Context, statement: Statement, uses: Iterable[ColumnUse]) -> None:
    created = any(each.source != "alter table" for each in ctx.tables.get(statement.table, []))
    known = {snake(each) for each in columns_of(ctx, statement.table)}
    if not known or not created or _is_elsewhere(ctx, statement):
        return
    if any(OPEN in each.property_names for each in ctx.tables[statement.table]):
        return
    documented = all(each.source == DOCUMENT for each in ctx.tables[statement.table])
    alike = {each.replace("_", "") for each in known} if documented else set()
    exact = _as_spelled(ctx, statement)
    for use in uses:
        name = use.column
        relation = isinstance(use.value, object) and name.endswith("_id") and name[:-3] in known
        if (
            (snake(name) in known if exact is None else name.lower() in exact)
            or relation
            or not re.match(r"^[A-Za-z_]\w*$", name)
            or name.lower() in _OF_EVERY_TABLE
            or f"{snake(name)}_id" in known
            or (documented and snake(name).replace("_", "") not in alike)
            or (use.path != statement.module.path and _is_one_of_many(ctx, statement, use.path))
        ):
            continue
        module = ctx.program.modules[use.path]
        line = _line_of(module, use, statement)
        anchor: ir.Node = ir.Other(line, line, [])
        anchor.parent = statement.node if module is statement.module else None
        definition = ctx.tables[statement.table][0]
        evidence, spelled = [Place(definition.path, definition.line)], name
        if _is_given_back(ctx, statement, use):
            evidence.append(Place(use.path, line))
            module, anchor, spelled = statement.module, statement.node, shown(statement, statement.table)
        ctx.add("table.missing_column", f"{statement.table}.{name}", module, anchor, evidence=evidence,
                shows=spelled)  # fmt: skip


def _is_given_back(ctx: Context, statement: Statement, use: ColumnUse) -> bool:
    """Whether another file's function, which the writer calls, made the object: it need not be meant for a row."""
    made_by = ctx.program.modules[use.path].function_at(use.line)
    if use.path == statement.module.path or made_by is None or statement.func is None:
        return False
    level = {made_by}
    for _ in range(MAX_STEPS):
        sites = (site.call.within for each in level for site in ctx.program.callers.get(each, ()))
        level = {each for each in sites if each is not None}
        if statement.func in level:
            return True
    return False
