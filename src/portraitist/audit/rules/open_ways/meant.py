"""Doors that are meant for everybody: by what is written above them, or because a visit is all that they store.

Part of `missing-auth`; doors that are so by their address are in `open_data` and `open_rows`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.open_ways.open_data import PEOPLE

_COMMENT = re.compile(r"^\s*(//|/?\*|#|\"\"\")")
_PUBLIC = re.compile(
    r"\bpublic (routes?|endpoints?|api|access|profiles?|pages?|read)\b|@access\s+public\b"
    r"|\b(any(one|body)|every(one|body)|guests?|visitors?) (can|may)\b"
    r"|\bno (auth(entication|orization)?|login)( is)? (required|needed)\b|\b(rotas?|rutas?) p[uú]blicas?\b",
    re.I,
)
MAX_ABOVE = 12
"""So many lines above a registration belong to its paragraph."""


def declared_public(route: Route) -> bool:
    """Whether a comment of the paragraph in which a route is registered says that it is for everybody.

    `// Public routes - anyone can view profiles` above a row of registrations.
    """
    lines = route.module.lines[max(0, route.node.line - 1 - MAX_ABOVE) : route.node.line - 1]
    for line in reversed(lines):
        if not line.strip():
            return False
        if _COMMENT.match(line) and _PUBLIC.search(line):
            return True
    return False


_CAME = r"click|view|hit|visit|open|impression|download|scan|play|share"
_VISITS = re.compile(
    rf"({_CAME})s?(_(count(er)?|total))?|(count|total|number)_(of_)?({_CAME})s|times_(viewed|opened|played|downloaded)"
)
_USES = re.compile(r"(usages?|uses?)_(count(er)?|total)|times_used")
_WHEN = re.compile(r"(last_)?(viewed|opened|visited|seen|used|updated|accessed)(_at)?")


def counts_visits(func: ir.Func, statement: Statement) -> bool:
    """Whether a function stores no more than that somebody came by: `clicks: link.clicks + 1`.

    Also how often something was used, which is no member's allowance: `{ usageCount: { increment: 1 } }`.
    """
    uses = PEOPLE.search(snake(statement.table)) is None
    named = ((each, snake((each.key or "").lstrip("_"))) for each in ir.find(func, ir.Prop))
    ones = (each for each, name in named if _is_count(name, uses=uses))
    if not any(_is_raised(one) for each in ones for one in ir.walk(each.value)):
        return False
    columns = (snake(each.column) for each in statement.columns)
    return all(_is_count(each, uses=uses) or _WHEN.fullmatch(each) for each in columns)


def _is_count(name: str, *, uses: bool) -> bool:
    return _VISITS.fullmatch(name) is not None or (uses and _USES.fullmatch(name) is not None)


def _is_raised(node: ir.Node) -> bool:
    if isinstance(node, ir.Lit):
        return isinstance(node.value, str) and _ONE_MORE.search(node.value) is not None
    return (isinstance(node, ir.Bin) and node.op == "+") or (
        isinstance(node, ir.Prop) and node.key in {"increment", "$inc"}
    )


_ONE_MORE = re.compile(r"\+\s*1\s*$")
"""What a text of SQL ends with that raises a column: sql`${songs.plays} + 1`."""
