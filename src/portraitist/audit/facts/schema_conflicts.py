"""Definitions of one table that differ: `table.type_conflict` facts.

The definitions are found in `schema`; what tests define for themselves differs from nobody's.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context, TableDef
from portraitist.audit.model import Place


def collect(ctx: Context) -> None:
    """Adds the second definition of a column whose type family differs from the first."""
    for name in sorted(ctx.tables):
        seen: dict[str, tuple[str, Place]] = {}
        for each in in_earnest(ctx, name):
            for column, (kind, place) in each.columns.items():
                first = seen.setdefault(column, (kind, place))
                if family(first[0]) != family(kind) and family(kind) and family(first[0]):
                    ctx.add_at("table.type_conflict", f"{name}.{column}", place.path, place.line,
                               value=[first[0], kind], evidence=[first[1]], shows=column)  # fmt: skip


_FAMILIES = {
    "text": (
        "text",
        "varchar",
        "char",
        "character",
        "string",
        "uuid",
        "citext",
        "charfield",
        "textfield",
        "urlfield",
        "nvarchar",
    ),
    "integer": (
        "int",
        "integer",
        "serial",
        "bigint",
        "bigserial",
        "smallint",
        "int4",
        "int8",
        "integerfield",
        "biginteger",
    ),
    "number": ("numeric", "decimal", "real", "double", "float", "doubleprecision", "floatfield", "money"),
    "time": ("timestamp", "timestamptz", "date", "datetime", "time", "datetimefield"),
    "flag": ("boolean", "bool", "booleanfield"),
    "json": ("json", "jsonb", "jsonfield"),
}


def family(kind: str) -> str:
    """A coarse type: text, integer, number, time, flag, json or ""."""
    lowered = re.sub(r"[^a-z0-9].*", "", kind.lower())
    return next((name for name, words in _FAMILIES.items() if lowered in words), "")


def in_earnest(ctx: Context, table: str) -> list[TableDef]:
    """The definitions of a table but those that tests make for themselves, in the order of their files."""
    made = [each for each in ctx.tables[table] if each.path not in ctx.once(_tests)]
    return sorted(made, key=lambda each: (each.path, each.line))


def _tests(ctx: Context) -> set[str]:
    return {each.path for each in ctx.tree.files if each.role == "test"}
