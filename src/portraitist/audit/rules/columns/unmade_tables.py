"""Part of the rule on drifting schemas: tables of an embedded database that nothing makes, models that Prisma lacks.

An embedded database holds what the code creates, unless a file of it is kept in the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.schema_text import DOCUMENT
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements

_EMBEDDED = re.compile(
    r"^\s*(?:import|from)\s+(?:aiosqlite|sqlite3)\b|better-sqlite3|require\([\"']sqlite3", re.M
)
_KEPT = (".db", ".sqlite", ".sqlite3", ".db3")
_CATALOG = re.compile(
    r"^(sqlite_\w+|pragma_\w+|information_schema|pg_\w+|dual|json_each|new|old|excluded)$", re.I
)
_MODELS = re.compile(r"^model\s+(\w+)\s*\{", re.M)
_ASKS = re.compile(
    r"^(find(Unique|First|Many)(OrThrow)?|create(Many)?|update(Many)?|upsert|delete(Many)?|count|aggregate)$"
)


def unmade_tables(ctx: Context) -> Iterator[Finding]:
    """Statements on a table that no code creates, in an embedded database whose other tables the code creates."""
    if any(path.endswith(_KEPT) for path in (*ctx.tree.paths, *ctx.unparsed)):
        return
    made = {
        name.lower() for name, found in ctx.tables.items() if any(each.source != DOCUMENT for each in found)
    }
    created = any(each.source == "create table" for found in ctx.tables.values() for each in found)
    seen: set[str] = set()
    for each in live_statements(ctx, "write", "read", "delete") if created else ():
        table = each.table.lower()
        if table in made or table in seen or not re.fullmatch(r"\w+", table) or _CATALOG.match(table):
            continue
        if not _EMBEDDED.search(each.module.file.text) or not _is_text(each) or _is_made(ctx, table):
            continue
        seen.add(table)
        message = f"nothing in the repository creates the table {each.table} of the embedded database"
        others = [Place(one.module.path, one.line) for one in ctx.statements if one.table == each.table][:4]
        yield finding("schema-drift", each.module, each.node, message, key=f"unmade {table}", weight=58, line=each.line,
                      end=each.end, evidence=others)  # fmt: skip


def _is_text(statement: Statement) -> bool:
    """Whether a statement is SQL that is spelled out, and no chain of a mapper's calls."""
    text = "\n".join(statement.module.lines[statement.line - 1 : statement.end])
    named = re.search(rf"\b(into|from|update|join)\s+[\"`]?{re.escape(statement.table)}\b", text, re.I)
    return named is not None and not re.search(
        rf"\bwith\s+(recursive\s+)?{re.escape(statement.table)}\s+as\b", text, re.I
    )


def _is_made(ctx: Context, table: str) -> bool:
    """Whether any file names the table where one is created, whatever stands around it."""
    pattern = re.compile(
        rf"(create\b[^;\n]*|rename\s+to\s+|attach\b[^;\n]*)[\"`'\[\s.]{re.escape(table)}\b", re.I
    )
    return any(
        each.language != "doc" and table in each.text.lower() and pattern.search(each.text)
        for each in ctx.tree.files
    )


def unmodelled(ctx: Context) -> Iterator[Finding]:
    """`prisma.gallery.findMany()` where no schema of Prisma has such a model."""
    schemas = [each for each in ctx.tree.files if each.language == "prisma"]
    models = {name.lower() for each in schemas for name in _MODELS.findall(each.text)}
    seen: set[str] = set()
    for module in ctx.live if models else ():
        if "prisma" not in module.lowered or module.language != "javascript":
            continue
        for call in module.all(ir.Call):
            func = call.func
            client = func.obj if isinstance(func, ir.Attr) and _ASKS.match(func.name) else None
            if (
                not isinstance(client, ir.Attr)
                or not isinstance(client.obj, ir.Name)
                or client.obj.id != "prisma"
            ):
                continue
            if (
                client.name.lower() not in models
                and client.name not in seen
                and not client.name.startswith("$")
            ):
                seen.add(client.name)
                message = f"no schema of Prisma has a model {client.name}"
                yield finding("schema-drift", module, call, message, key=f"model {client.name}", weight=50,
                              evidence=[Place(schemas[0].path, 1)])  # fmt: skip
