"""Part of the rule on drifting schemas: columns that the code's models or types have and that no SQL file makes.

Only where SQL creates the same table; what a tool adds that keeps no files is not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from portraitist.audit.facts.base import Context, TableDef
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import live_statements
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.source import SourceFile

_SQL = {"create table", "alter table"}
_MODELS = {"prisma", "drizzle", "class", "generated types"}
_STEPS = re.compile(r"(^|/)(migrations?|alembic|versions|drizzle|supabase)(/|$)")
_RENAMED = re.compile(r"\brename\s+to\s+[\"`]?(\w+)", re.I)
_MAPPED = re.compile(r'@map\("(\w+)"\)')


def unmigrated(ctx: Context) -> Iterator[Finding]:
    """A column of a model, or of generated types, that no SQL file names for its table, where one creates that.

    One that SQL names in any other way than as another table's column may have been made so.
    """
    lost: dict[str, tuple[str, Place, Place]] = {}
    for name in sorted(ctx.tables):
        for each in ctx.tables[name]:
            lost.update(_lost(ctx, name, each))
    if not lost:
        return
    told: set[tuple[str, str]] = set()
    tables: set[str] = set()
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            key = f"{statement.table}.{use.column}"
            if key in lost and (use.path, key) not in told:
                told.add((use.path, key))
                column, defined, created = lost[key]
                message = f"{column} is written, stands in {defined.path}, and {_nowhere(ctx, column)}"
                weight = BARELY if statement.table in tables or ctx.once(_is_beside, column) else 40
                tables.add(statement.table)
                places = (Place(statement.module.path, statement.line), defined, created)
                yield Finding("schema-drift", use.path, use.line, use.line, message, f"unmigrated {key}", "",
                              places, weight)  # fmt: skip
    for key, (column, defined, created) in lost.items():
        message = f"{column} stands here, and {_nowhere(ctx, column)}"
        yield Finding("schema-drift", defined.path, defined.line, defined.line, message, f"unmigrated {key} here", "",
                      (created,), BARELY)  # fmt: skip


def _lost(ctx: Context, name: str, model: TableDef) -> dict[str, tuple[str, Place, Place]]:
    """The columns of a model that SQL does not make, where it creates the table: what, where, and where that is."""
    if model.source not in _MODELS:
        return {}
    tables = dict.fromkeys((name, model.property_names.get("@@map", name)))
    made = [each for one in tables for each in ctx.tables.get(one, ()) if each.source in _SQL]
    created = next((each for each in made if each.source == "create table"), None)
    if created is None:
        return {}
    known = {snake(column) for each in made for column in each.columns}
    plain = created.path.endswith(".sql") and not {each.lower() for each in tables} & ctx.once(_renamed)
    found: dict[str, tuple[str, Place, Place]] = {}
    for column, (_, place) in model.columns.items():
        stored = _stored_as(ctx, model, column, place)
        words = {stored.lower(), snake(stored)}
        if snake(stored) in known or (
            words & ctx.once(_words) and not (plain and words & ctx.once(_elsewhere))
        ):
            continue
        found[f"{name}.{column}"] = (f"{name}.{stored}", place, Place(created.path, created.line))
    return found if len(found) <= len(model.columns) / 2 else {}


def _nowhere(ctx: Context, column: str) -> str:
    """What SQL files do not say of a column: nothing names it, or it is other tables' alone."""
    if ctx.once(_is_beside, column):
        return "SQL files make such a column for other tables only"
    return "no SQL file names such a column"


def _is_beside(ctx: Context, column: str) -> bool:
    named = column.partition(".")[2]
    return not {named.lower(), snake(named)}.isdisjoint(ctx.once(_words))


def _stored_as(ctx: Context, model: TableDef, column: str, place: Place) -> str:
    """A column's name in the database."""
    if model.source != "prisma":
        return model.property_names.get(column) or column
    texts = (each.text for each in ctx.tree.files if each.path == place.path)
    mapped = _MAPPED.search(next(texts, "").split("\n")[place.line - 1])
    return mapped.group(1) if mapped else column


def _words(ctx: Context) -> frozenset[str]:
    """Every word of the files that say how tables are made."""
    return frozenset(ctx.once(_counted))


def _elsewhere(ctx: Context) -> frozenset[str]:
    """The words of these files that stand nowhere but where some table's column of that name is defined."""
    rest = Counter(ctx.once(_counted))
    defined = {
        (place, column.lower())
        for many in ctx.tables.values()
        for each in many
        if each.source in _SQL
        for column, (_, place) in each.columns.items()
    }
    lines = {each.path: each.text.lower().split("\n") for each in _steps(ctx)}
    for place, column in defined:
        text = lines.get(place.path, [])
        if 0 < place.line <= len(text):
            rest[column] -= len(re.findall(rf"\b{re.escape(column)}\b", text[place.line - 1]))
    return frozenset(column for _, column in defined if rest[column] <= 0)


def _renamed(ctx: Context) -> frozenset[str]:
    """The names that tables get later: SQLite's are made anew under another name, with all their columns."""
    texts = (each.text for each in _steps(ctx))
    return frozenset(name.lower() for each in texts for name in _RENAMED.findall(each))


def _counted(ctx: Context) -> Counter[str]:
    """How often each word stands in the files that say how tables are made."""
    found: Counter[str] = Counter()
    for file in _steps(ctx):
        found.update(re.findall(r"\w+", file.text.lower()))
    return found


def _steps(ctx: Context) -> Iterator[SourceFile]:
    """The files that say how tables are made."""
    ddl = {each.path for many in ctx.tables.values() for each in many if each.source in _SQL}
    models = {each.path for many in ctx.tables.values() for each in many if each.source not in _SQL}
    for file in ctx.tree.files:
        steps = file.language == "sql" or file.path in ddl or _STEPS.search(file.path)
        if (
            steps
            and file.path not in models - ddl
            and file.role in {*LIVE_ROLES, "backup", "removed", "generated"}
        ):
            yield file
