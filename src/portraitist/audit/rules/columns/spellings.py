"""Part of the rule on columns that do not fit: one column under two spellings, written by one, asked for by the other.

Tables whose definition has both are left alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, line_of, live_statements, module_of

_LEAST = 7
"""Shorter names than this may be alike and differ in meaning."""


def spelled_twice(ctx: Context) -> Iterator[Finding]:
    """A column that is only ever written, and one by which rows of the same table are found, a letter apart.

    A letter that is missing, doubled, changed or out of place inside the name; a plural or a number at its end is none.
    """
    written: dict[str, dict[str, ColumnUse]] = {}
    asked: dict[str, dict[str, Statement]] = {}
    read: dict[str, set[str]] = {}
    for each in live_statements(ctx, "write", "read", "delete"):
        for use in each.columns if each.kind == "write" else ():
            written.setdefault(each.table, {}).setdefault(snake(use.column), use)
        if each.kind == "read":
            read.setdefault(each.table, set()).update(snake(use.column) for use in each.columns)
        for name in each.where:
            asked.setdefault(each.table, {}).setdefault(snake(name), each)
    for table in sorted(written.keys() & asked.keys()):
        known = {snake(each) for each in columns_of(ctx, table)}
        uses, wheres = written[table], asked[table]
        for name in sorted(uses.keys() - wheres.keys() - read.get(table, set())):
            other = next((each for each in sorted(wheres) if _is_slip(name, each)), None)
            if other is not None and not {name, other} <= known:
                use, where = uses[name], wheres[other]
                message = f"{table}.{name} is written here and never asked for; rows are found by {other}"
                yield finding("column-mismatch", module_of(ctx, use), line_of(use), message,
                              key=f"{table}.{name}", weight=68,
                              evidence=[Place(where.module.path, where.line)])  # fmt: skip


def _is_slip(name: str, other: str) -> bool:
    """Whether two names differ by a slip of one letter, or two neighbours that changed places."""
    if min(len(name), len(other)) < _LEAST or abs(len(name) - len(other)) > 1 or name[0] != other[0]:
        return False
    if re.sub(r"[\d_]", "", name) == re.sub(r"[\d_]", "", other) or name[-1] != other[-1]:
        return False
    steps = [
        each for each in difflib.SequenceMatcher(None, name, other, False).get_opcodes() if each[0] != "equal"
    ]
    changed = sum(max(each[2] - each[1], each[4] - each[3]) for each in steps)
    swapped = changed == 2 and sorted(name) == sorted(other) and len(steps) == 2
    parts = zip(name.split("_"), other.split("_"), strict=False)
    longer = [(one, two) for one, two in parts if one != two]
    return (changed == 1 or swapped) and len(longer) == 1 and min(map(len, longer[0])) > 4
