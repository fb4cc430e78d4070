"""Which column of the product says how much a member may make: credits, a limit, a table of balances.

Told by the names of columns and tables, and by the types that are declared. Who takes from it is in `charges`.
"""

from __future__ import annotations

import re

from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Place

_LIMIT = re.compile(
    r"(^|_)(image|generation|model|training|photo|picture|avatar)s?_(\w+_)?(limit|used|left|remaining|allowed)$"
    r"|(^|_)(image_generation|model_training)_count$|(?<!cost_)credit(?!s?_?(card|cost|used|price|purchased|bought|spent))|quota"
)
"""Columns that say how much a member may make, or has made."""
_WORDS = re.compile(r"(text|string|(var)?char|uuid|json|bool)", re.I)
"""The types of columns that hold no number: `modelUsed String` says which model it was."""
_PURSE = re.compile(
    r"(^|_)(credits?|token_balances?|credit_(balances?|wallets?))\.(amount|balance|remaining)$"
)
"""A table of its own for what members may spend, and its column."""
_OWED = re.compile(r"credit_(limit|terms|days|period)$")
_DEBTORS = re.compile(r"(^|_)(clients?|customers?|suppliers?|vendors?|companies|company|dealers?|partners?)$")
"""What a business lets its customers owe is no credit for pictures."""


def stored(ctx: Context) -> tuple[str, Place] | None:
    """The first column of credits, or of a limit to what is made, that a table of the product has."""
    for table in sorted(ctx.tables):
        for one in ctx.tables[table]:
            for name, (kind, at) in sorted(one.columns.items()):
                if _is_limit(snake(table), snake(name)) and not _WORDS.match(kind):
                    return f"{table}.{name}", at
    return None


def _is_limit(table: str, column: str) -> bool:
    """Whether a column says by its name, or its table's, how much a member may make."""
    owed = _OWED.match(column) and _DEBTORS.search(table)
    return not owed and (_LIMIT.search(column) is not None or _PURSE.search(f"{table}.{column}") is not None)
