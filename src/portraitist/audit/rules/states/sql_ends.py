"""Who ends the states of a table inside the database: its functions, its triggers and its own timers.

Read from SQL files. What is changed once, beside them, when a file is run, ends no row that is made later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.states.marks import Mark


def ended_in_sql(ctx: Context, mark: Mark) -> bool:
    """Whether a function of the database, as its SQL files define it, may end or delete a row that is marked so."""
    table = mark.statement.table
    return any(_may_end(each, mark) for each in ctx.once(_changes, table)) or ctx.once(_calls_unseen, table)


_CALLED = re.compile(r"\brpc\(\s*[\"'`](\w+)")


def _calls_unseen(ctx: Context, table: str) -> bool:
    """Whether a function of the database that no SQL file defines is called, whose name has a word of the table's."""
    parts = [each.removesuffix("s") for each in snake(table).split("_") if len(each) > 2]
    return any(part in name for name in ctx.once(_unseen) for part in parts)


def _unseen(ctx: Context) -> set[str]:
    """The functions of the database that live code calls and no SQL file defines."""
    called = {
        name
        for module in ctx.live
        if "rpc" in module.file.words
        for name in _CALLED.findall(module.file.text)
    }
    defined = "\n".join(each.text for each in ctx.tree.files if each.language == "sql") if called else ""
    return {each for each in called if re.search(rf"\bfunction\s+[\w.\"]*\b{each}\b", defined, re.I) is None}


_QUOTED = re.compile(r"(\bdo\s+)?\$(\w*)\$(.*?)\$\2\$", re.I | re.S)
_UNQUOTED = re.compile(
    r"\bcreate\s+(or\s+replace\s+)?(definer\s*=\s*\S+\s+)?(trigger|procedure|event|function)\b|\bcron\.schedule",
    re.I,
)


def _bodies(text: str) -> Iterator[str]:
    """What runs when a function is called; the whole file, where it quotes none and yet defines one."""
    quoted = list(_QUOTED.finditer(text))
    yield from (each[3] for each in quoted if not each[1])
    rest = _QUOTED.sub(" $$ ", text)
    if _UNQUOTED.search(
        re.sub(r"(?is)\bcreate\b[^;]*?(\$\$|\bexecute\s+(function|procedure)\b)[^;]*;", "", rest)
    ):
        yield rest


def _changes(ctx: Context, table: str) -> list[str]:
    """The statements in functions of the database that change or delete rows of a table."""
    changes = re.compile(
        rf"\b(update|delete\s+from|insert\s+into)\s+(only\s+)?(\w+\.)?[\"`]?{re.escape(table)}\b[^;]*", re.I
    )
    near = (body for text, bodies in ctx.once(_run) if table in text for body in bodies)
    return [found[0] for body in near for found in changes.finditer(body)]


def _run(ctx: Context) -> list[tuple[str, list[str]]]:
    """The text of each SQL file, and of it what runs when a function is called."""
    files = (each for each in ctx.tree.files if each.language == "sql" and each.role != "doc")
    return [(each.text, [*_bodies(each.text)]) for each in files]


def _may_end(statement: str, mark: Mark) -> bool:
    """Whether a statement sets the state, or deletes, and does not ask for other states alone.

    A row that is inserted ends no other, unless it takes the place of one that is there.
    """
    if statement[:6].lower() == "insert":
        again = re.search(r"\bdo\s+update\b(.*)", statement, re.I | re.S)
        return again is not None and re.search(rf"\b{snake(mark.column)}\b", again[1], re.I) is not None
    given, asked = _parted(statement)
    if statement[:6].lower() == "update" and not re.search(rf"\b{snake(mark.column)}\b", given, re.I):
        return False
    words = {
        each.lower() for each in re.findall(rf"\b{snake(mark.column)}[\"`]?\s*=\s*'([\w-]+)'", asked, re.I)
    }
    for listed in re.findall(rf"\b{snake(mark.column)}[\"`]?\s+in\s*\(([^)]*)\)", asked, re.I):
        words |= {each.lower() for each in re.findall(r"'([\w-]+)'", listed)}
    return not words or mark.word in {each.replace("-", "_") for each in words}


def _parted(statement: str) -> tuple[str, str]:
    """What stands before and behind `where`."""
    found = re.search(r"\bwhere\b", statement, re.I)
    return (statement[: found.start()], statement[found.end() :]) if found else (statement, "")
