"""Whether anything reads a column: what nothing reads does no harm, however it is set."""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.open_ways.open_database import all_sql


def is_read(ctx: Context, column: str) -> bool:
    """Whether live code takes a column of a row or names it in a query, or SQL asks for it; whichever table's it is.

    Types, definitions and what only sets it are no readers; what is spelled together at run time is not seen.
    """
    return ctx.once(_is_read, column)


def _is_read(ctx: Context, column: str) -> bool:
    words = snake(column).split("_")
    spelled = {column, "_".join(words), words[0] + "".join(each.capitalize() for each in words[1:])}
    name = "(" + "|".join(sorted(map(re.escape, spelled))) + ")"
    read = re.compile(
        rf"\.{name}\b(?!\s*=[^=])|(?<![\w.]){name}\s*[,}})\]'\"`]|[\"'`]{name}\b|\bby_?{name}\b", re.I
    )
    if any(read.search(each.file.text) for each in ctx.live):
        return True
    asked = re.compile(
        rf"(\b(where|and|or|if|when|case)|using\s*\(|\.)\s*\(*\s*(\w+\.)?{name}\s*(=|<>|!=|in\b|not\b|when\b)"
        rf"|\bselect\s[^;]*\b{name}\b[^;]*\sfrom\s",
        re.I,
    )
    return asked.search(ctx.once(all_sql)) is not None
