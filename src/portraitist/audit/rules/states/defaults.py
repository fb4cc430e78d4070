"""Part of the rules on states that stay open: the word that a state begins with where an insert names none.

Read from the lines of the table's definition: SQL, Prisma, Drizzle, SQLAlchemy, Django, Mongoose. A default that
a trigger sets is not seen.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.state_words import RESTING, RUNNING, STATE

_DEFAULT = re.compile(r"""\b(?:server_)?default\b\s*[(:=]?\s*['"`]?(?:[A-Z]\w*\.)?(\w+)""", re.I)
_LINES = 4
"""A column's definition is read for so many lines, up to the next column's."""


def begins_as(ctx: Context, statement: Statement) -> tuple[str, str] | None:
    """The state column and the open word that a row is inserted with, where the statement plainly names no state."""
    if not statement.insert or not statement.columns or statement.table not in ctx.tables:
        return None
    if any(STATE.search(snake(each.column)) for each in statement.columns):
        return None
    spread = any(each.spread or each.key is None for each in ir.find(statement.node, ir.Prop))
    begun = ctx.once(_defaults, statement.table)
    return begun[0] if len(begun) == 1 and not spread else None


def _defaults(ctx: Context, table: str) -> list[tuple[str, str]]:
    """The states of a table that begin with an open word, with it."""
    found: dict[str, str] = {}
    texts = ctx.once(_texts)
    for made in ctx.tables[table]:
        starts = sorted(place.line for _, place in made.columns.values())
        for name, (_, place) in made.columns.items():
            if not STATE.search(snake(name)) or place.path not in texts:
                continue
            last = next((each for each in starts if each > place.line), place.line + _LINES)
            lines = texts[place.path][place.line - 1 : min(last, place.line + _LINES) - 1]
            said = _DEFAULT.search("\n".join(lines) or texts[place.path][place.line - 1])
            word = said[1].lower() if said else ""
            if word in RUNNING | RESTING:
                found[name] = word
    return sorted(found.items())


def _texts(ctx: Context) -> dict[str, list[str]]:
    """The lines of the files that define tables."""
    paths = {each.path for made in ctx.tables.values() for each in made}
    return {each.path: each.text.split("\n") for each in ctx.tree.files if each.path in paths}
