"""Part of the rule on drifting schemas: a UUID that is put into a column that holds a number."""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.schema import family
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    at_column,
    finding,
    last_name,
    live_statements,
    module_of,
    trace,
)

_UUIDS = {"uuid4", "uuid1", "uuidv4", "randomUUID"}


def uuids_as_numbers(ctx: Context) -> Iterator[Finding]:
    """`User(id=str(uuid.uuid4()))` where every definition of `users.id` is a number."""
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            kinds = [] if use.node is None else _kinds(ctx, statement, use)
            if kinds and _is_uuid(ctx, use):
                key = f"{statement.table}.{use.column}"
                message = f"{key} is a number by its definition, and gets a UUID: the write fails"
                yield finding(
                    "schema-drift",
                    *at_column(ctx, statement, use),
                    message,
                    key=f"uuid {key}",
                    weight=56,
                    evidence=kinds,
                )


def _kinds(ctx: Context, statement: Statement, use: ColumnUse) -> list[Place]:
    """Where a column is defined, when it is a number wherever it is."""
    found = [
        each.columns[use.column] for each in ctx.tables.get(statement.table, ()) if use.column in each.columns
    ]
    return (
        [place for _, place in found] if found and all(family(kind) == "integer" for kind, _ in found) else []
    )


def _is_uuid(ctx: Context, use: ColumnUse) -> bool:
    parts = [part for _, part in trace(ctx, module_of(ctx, use), use.node)]
    made = any(isinstance(each, ir.Call) and last_name(each.func) in _UUIDS for each in parts)
    return made and not any(isinstance(each, ir.Attr) and each.name == "int" for each in parts)
