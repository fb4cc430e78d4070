"""Part of the rule on drifting schemas: upserts of Supabase's client that can match no row.

Without `onConflict` a row is matched by the table's primary key. Judged where SQL tells that key, in files or, where no
file of SQL makes the table, in a document; and where all that the row holds is written down. Only tables of which a row
is asked for by what the upsert holds, as the only one: else another row each time may be what is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.facts.schema import ALTERED, CREATED
from portraitist.audit.facts.schema_text import documented_sql
from portraitist.audit.link.bindings import reaching
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.columns.admitted import definitions
from portraitist.audit.rules.gravity import BARELY

_PRIMARY = re.compile(r"\bprimary\s+key\s*\((?P<columns>[^()]*)\)", re.I)
_OWN = re.compile(r"\bprimary\s+key\b(?!\s*\()", re.I)
_ONE = {"single", "maybeSingle", "maybe_single"}


def keyless_upserts(ctx: Context) -> Iterator[Finding]:
    """`from("purses").upsert({ member_id, credits })` where the key of purses is an id that the row does not hold."""
    for statement in live_statements(ctx, "write"):
        call = _bare_upsert(statement)
        held = _held(statement, call) if call is not None else None
        if call is None or held is None:
            continue
        keys = ctx.once(_primary).get(statement.table.lower())
        if not keys or keys <= held:
            continue
        one = _asked_as_one(ctx, statement, held)
        if one is None:
            continue
        message = (
            f"this upsert matches {statement.table} by its key ({', '.join(sorted(keys))}), which the row does not"
            f" hold: where line {one.line} of {one.module.path} expects one row there is a second, or it is refused"
        )
        yield finding("schema-drift", statement.module, statement.node, message, weight=BARELY,
                      key=f"keyless {statement.table}", line=statement.line, end=statement.end,
                      evidence=[Place(one.module.path, one.line)])  # fmt: skip


def _bare_upsert(statement: Statement) -> ir.Call | None:
    """A call of `upsert` that names no columns to match by."""
    calls = [each for each in chain_calls(statement.node) if call_name(each) == "upsert"]
    names = {call_name(each) for each in chain_calls(statement.node)}
    if (
        not calls
        or not names & {"from", "table"}
        or ir.keyword(calls[0], "onConflict", "on_conflict") is not None
    ):
        return None
    plain = len(calls[0].args) == 1 and calls[0].kw is None
    return calls[0] if plain else None


def _held(statement: Statement, call: ir.Call) -> set[str] | None:
    """The columns that the row holds, None where some may not be seen."""
    given = call.args[0]
    rows: list[ir.Node | None] = [given]
    if isinstance(given, ir.Name):
        rows = [each.value for each in reaching(statement.module, given)]
    rows = [one for each in rows for one in (each.items if isinstance(each, ir.Arr) else [each])]
    held: set[str] = set()
    for row in rows:
        if not isinstance(row, ir.Obj) or any(each.spread or each.key is None for each in row.props):
            return None
        held |= {str(each.key).lower() for each in row.props}
    around = statement.func if isinstance(given, ir.Name) else None
    for each in ir.find(around, ir.Assign) if around is not None else ():
        root = ir.root_of(each.target) if isinstance(each.target, ir.Attr | ir.Index) else None
        if isinstance(root, ir.Name) and isinstance(given, ir.Name) and root.id == given.id:
            return None  # something is put into the row behind
    return held or None


def _asked_as_one(ctx: Context, upsert: Statement, held: set[str]) -> Statement | None:
    """A read that expects one row of the table by columns that the upsert holds."""
    for read in live_statements(ctx, "read"):
        if read.table != upsert.table or not read.where or not {each.lower() for each in read.where} <= held:
            continue
        if _ONE & {call_name(each) for each in chain_calls(read.node)}:
            return read
    return None


def _primary(ctx: Context) -> dict[str, frozenset[str]]:
    """The primary key of each table that SQL creates; of those that only documents create, theirs."""
    found: dict[str, frozenset[str]] = {}
    for text in (*(text for _, text in ctx.once(definitions)), *_documented(ctx)):
        own: dict[str, frozenset[str]] = {}
        for match in CREATED.finditer(text):
            for piece, _ in sql._parenthesised(text, match.end() - 1)[0]:
                own.update({sql.bare(match["table"]).lower(): each for each in _of_piece(piece)})
        for match in ALTERED.finditer(text):
            own.update({sql.bare(match["table"]).lower(): each for each in _of_piece(match["rest"])})
        found = {**own, **found}
    return found


def _documented(ctx: Context) -> Iterator[str]:
    for each in ctx.tree.files:
        if each.language == "doc":
            yield from (sql.strip_comments(text) for text, _ in documented_sql(each))


def _of_piece(piece: str) -> Iterator[frozenset[str]]:
    for match in _PRIMARY.finditer(piece):
        yield frozenset(
            sql.bare(each.strip()).lower() for each in match["columns"].split(",") if each.strip()
        )
    if _OWN.search(re.sub(r"'[^']*'", "", piece)) and not re.match(
        r"\s*(add|alter|constraint)\b", piece, re.I
    ):
        yield frozenset({sql.bare(piece.split(maxsplit=1)[0]).lower()})
