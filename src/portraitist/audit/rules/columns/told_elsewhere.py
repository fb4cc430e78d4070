"""Columns that a repository names though no definition of its database has them. Part of `schema-drift`.

Types of the database that are written by hand, SQL blocks of any document (a guide tells its reader to run them), and
SQL files that fill a column by hand: whoever wrote them had it.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context
from portraitist.audit.facts.schema_text import ROW, columns_in_types

_FENCE = re.compile(r"^[ \t]*```(?:sql|postgres\w*)[ \t]*\n(?P<sql>.*?)^[ \t]*```", re.M | re.S | re.I)
_MADE = re.compile(r"\btable\s+(?:if\s+(?:not\s+)?exists\s+)?(?:\w+\.)?[\"`]?(?P<table>\w+)[\"`]?", re.I)
_WORD = re.compile(
    r"(?:^[ \t]*|[(,]\s*|\bcolumn\s+(?:if\s+not\s+exists\s+)?)[\"`]?(?P<name>[A-Za-z_]\w*)", re.M | re.I
)


_PLANS = re.compile(r"audit|report|review|checklist|plan|todo|tasks?\b|proposal|spec\b", re.I)
"""Documents that say how things might be, or what is wrong with them."""


def told_elsewhere(ctx: Context, table: str) -> set[str]:
    """The columns of a table that types or documents name, in lower case."""
    return ctx.once(_told).get(table, set())


def _told(ctx: Context) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in ctx.tree.files:
        if file.language == "javascript" and "Row: {" in file.text:
            for each in ROW.finditer(file.text):
                found.setdefault(each.group("table"), set()).update(columns_in_types(each.group("columns")))
        elif file.language == "doc" and "```" in file.text and not _PLANS.search(file.path):
            for block in _FENCE.finditer(file.text):
                _of_block(block.group("sql"), found)
        elif file.language == "sql" and _UPDATES.search(file.words):
            _set_by_hand(file.text, found)
    return found


_UPDATES = re.compile(r"\b(update|insert)\b", re.I)
_FUNCTIONS = re.compile(r"(\$\w*\$).*?\1", re.S)
_UPDATED = re.compile(
    r"\bupdate\s+(?:only\s+)?(?:\w+\.)?[\"`]?(?P<table>\w+)[\"`]?\s+set\s+(?P<sets>.*?)(?=\bwhere\b|\breturning\b|;|\Z)",
    re.S | re.I,
)
_SET = re.compile(r"(?:^|,)\s*[\"`]?(?P<name>\w+)[\"`]?\s*=")


_INSERTED = re.compile(
    r"\binsert\s+into\s+(?:\w+\.)?[\"`]?(?P<table>\w+)[\"`]?\s*\((?P<names>[^()]*)\)\s*(?:values|select)\b",
    re.I,
)


def _set_by_hand(text: str, found: dict[str, set[str]]) -> None:
    """The columns that the statements of an SQL file fill, its functions left out: these run later, or never."""
    plain = _FUNCTIONS.sub("", text)
    for each in _INSERTED.finditer(plain):
        found.setdefault(each["table"], set()).update(re.findall(r"\w+", each["names"].lower()))
    for each in _UPDATED.finditer(plain):
        names = {one["name"].lower() for one in _SET.finditer(each["sets"].strip())}
        found.setdefault(each["table"], set()).update(names)


def _of_block(text: str, found: dict[str, set[str]]) -> None:
    """The words that stand where the columns of a table do, up to the end of its statement."""
    for each in _MADE.finditer(text):
        end = text.find(";", each.end())
        body = text[each.end() : end if end >= 0 else len(text)]
        names = {one.group("name").lower() for one in _WORD.finditer(body)}
        found.setdefault(each.group("table"), set()).update(names)
