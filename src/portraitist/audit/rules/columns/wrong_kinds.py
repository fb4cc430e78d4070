"""Part of the rule on drifting schemas: words that are put into columns of another kind.

A UUID into a number, a text that is no UUID into a column of UUIDs, words into numbers and flags. Only where every
definition of the column says the same kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.schema_conflicts import family
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    at_column,
    finding,
    last_name,
    live_statements,
    module_of,
    trace,
)
from portraitist.audit.rules.columns.written import words_of
from portraitist.audit.rules.gravity import BARELY

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


_UUID = re.compile(r"(?:urn:uuid:)?\{?[0-9a-f]{4,8}-?[0-9a-f-]*\}?$", re.I)
_NO_HEX = re.compile(r"[^0-9a-f{}:-]", re.I)
_FLAGS = {"t", "f", "true", "false", "yes", "no", "y", "n", "on", "off", "1", "0"}
_SQL = {"create table", "alter table"}


def words_of_another_kind(ctx: Context) -> Iterator[Finding]:
    """`insert({ user_id: `guest_${ip}` })` where SQL makes the column a UUID; words where it is a number or a flag."""
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            kind, places = _of_sql(ctx, statement.table, use.column)
            said = (
                next((each for each in words_of(ctx, statement, use) if _is_other(kind, each)), None)
                if kind
                else None
            )
            if said is not None:
                key = f"{statement.table}.{use.column}"
                message = f'{key} is {_AN[kind]} by its definition, and gets "{said[:40]}": the write fails'
                yield finding("schema-drift", *at_column(ctx, statement, use), message, key=f"kind {key}",
                              weight=BARELY, evidence=places)  # fmt: skip


_AN = {"uuid": "a UUID", "integer": "a number", "number": "a number", "flag": "a flag"}


def _of_sql(ctx: Context, table: str, column: str) -> tuple[str, list[Place]]:
    """The kind that SQL gives a column wherever it defines it, and the places; "" where they differ or are not told."""
    found = [each.columns[column] for each in ctx.tables.get(table, ()) if column in each.columns]
    own = [each.source in _SQL for each in ctx.tables.get(table, ()) if column in each.columns]
    kinds = {"uuid" if re.match(r"uuid\b(?!\[)", kind, re.I) else family(kind) for kind, _ in found}
    if len(kinds) != 1 or not all(own) or any("[" in kind for kind, _ in found):
        return "", []
    kind = kinds.pop()
    return (kind, [place for _, place in found[:2]]) if kind in _AN else ("", [])


def _is_other(kind: str, said: str) -> bool:
    """Whether a text can never be of a kind: by a letter that it may not have."""
    if not said or (said.startswith("{") and said.endswith("}")):
        return False
    if kind == "uuid":
        return _NO_HEX.search(said) is not None or ("{" not in said and _UUID.match(said) is None)
    if kind == "flag":
        return "{" not in said and said.strip().lower() not in _FLAGS
    return "{" not in said and re.search(r"[a-z]", said, re.I) is not None and _NUMBER.match(said) is None


_NUMBER = re.compile(r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$|^[-+]?(nan|infinity|inf)$|^0x", re.I)
