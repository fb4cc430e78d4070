"""Part of the rule on drifting schemas: upserts on columns that nothing keeps unique.

PostgreSQL refuses `ON CONFLICT (a, b)` where no unique index or constraint is on these very columns. Judged where SQL
files create the table; indexes that were made by hand are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.facts.schema import ALTERED, CREATED
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.columns.admitted import definitions
from portraitist.audit.rules.gravity import BARELY

_INDEX = re.compile(
    rf"{sql.first('create')}\s+unique\s+index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?(?:[\w\".]+\s+)?on\s+"
    r"(?:only\s+)?(?:\"?\w+\"?\s*\.\s*)?\"?(?P<table>\w+)\"?\s*(?:using\s+\w+\s*)?\((?P<columns>[^()]*(?:\([^()]*\)[^()]*)*)\)",
    re.I,
)
_KEYS = re.compile(
    r"\b(?:unique|primary\s+key)\b(?:\s+nulls\s+not\s+distinct)?\s*(?:\w+\s*)?\((?P<columns>[^()]*)\)", re.I
)
_OWN_KEY = re.compile(r"\b(unique|primary\s+key)\b(?!\s*\()|\b(big)?serial\s+primary", re.I)
Unique = dict[str, set[frozenset[str]]]


def without_constraint(ctx: Context) -> Iterator[Finding]:
    """`upsert(row, { onConflict: "user_id" })` where SQL makes the table and no key or unique index on that column."""
    for statement in live_statements(ctx, "write"):
        told = _target(statement)
        if told is None:
            continue
        node, columns = told
        unique = ctx.once(_unique).get(statement.table.lower())
        if unique is None or frozenset(columns) in unique:
            continue
        shown = ", ".join(columns)
        message = f"{statement.table} has no key or unique index on ({shown}) in SQL: the upsert fails"
        yield finding("schema-drift", statement.module, node, message, weight=BARELY,
                      key=f"conflict {statement.table} {shown}", line=node.line, end=node.line)  # fmt: skip


def _target(statement: Statement) -> tuple[ir.Node, list[str]] | None:
    """The columns on which an upsert of Supabase's client expects a conflict, and where they are named."""
    calls = [each for each in chain_calls(statement.node) if call_name(each) == "upsert"]
    node = ir.keyword(calls[0], "onConflict", "on_conflict") if calls else None
    text = ir.text_of(node)
    if node is None or text is None:
        return None
    return node, [each.strip().strip('"').lower() for each in text.split(",") if each.strip()]


def _unique(ctx: Context) -> Unique:
    """The sets of columns that are unique, of each table that SQL creates."""
    found: Unique = {}
    indexed: list[tuple[str, str]] = []
    for _, text in ctx.once(definitions):
        for match in CREATED.finditer(text):
            table = found.setdefault(sql.bare(match["table"]).lower(), set())
            for piece, _ in sql._parenthesised(text, match.end() - 1)[0]:
                table.update(_of_piece(piece))
        for match in ALTERED.finditer(text):
            added = re.sub(r"^\s*add\s+(column\s+)?(if\s+not\s+exists\s+)?", "", match["rest"], flags=re.I)
            pieces = [each for each, _ in sql._split(added, 0)]
            own = found.setdefault(sql.bare(match["table"]).lower(), set()) if pieces else set()
            for piece in pieces:
                own.update(
                    _of_piece(re.sub(r"^\s*add\s+(column\s+)?(if\s+not\s+exists\s+)?", "", piece, flags=re.I))
                )
        indexed += [(each["table"].lower(), each["columns"]) for each in _INDEX.finditer(text)]
    for name, columns in indexed:
        if name in found:
            found[name].add(_names(columns))
    made = {
        name.lower()
        for name, defined in ctx.tables.items()
        if any(one.source == "create table" for one in defined)
    }
    return {name: each for name, each in found.items() if name in made}


def _of_piece(piece: str) -> Iterator[frozenset[str]]:
    """The unique sets of a column's or a constraint's definition; a constraint by an index may be any."""
    for match in _KEYS.finditer(piece):
        yield _names(match["columns"])
    if _OWN_KEY.search(re.sub(r"'[^']*'", "", piece)):
        yield frozenset({sql.bare(piece.split(maxsplit=1)[0]).lower()})


def _names(listed: str) -> frozenset[str]:
    return frozenset(sql.bare(each.split()[0]).lower() for each in listed.split(",") if each.split())
