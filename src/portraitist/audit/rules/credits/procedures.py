"""What a database's stored functions do with a balance, read from the SQL that defines them.

Only functions that raise or lower a column by what they are handed; names and callers are in `ledger`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.credits.changes import (
    CREDIT,
    MOVED_IN_SQL,
    TURNED,
    is_negative,
    meaning,
    sign_of,
)


def stored_kind(ctx: Context, call: ir.Call) -> str:
    """`give` or `take` where an `rpc` runs a function that moves a balance by a number it is handed, else nothing."""
    name = ir.text_of(call.args[0]) if call.args and last_name(call.func) == "rpc" else None
    kind = ctx.once(_stored).get(name or "", "")
    given = call.args[1] if kind and len(call.args) > 1 else None
    values = [each.value for each in given.props] if isinstance(given, ir.Obj) else []
    return TURNED[kind] if kind and any(map(is_negative, values)) else kind


def _stored(ctx: Context) -> dict[str, str]:
    """By a function's name: whether it raises or lowers a balance by what it is handed; to be asked once."""
    found: dict[str, set[str]] = {}
    for file in ctx.tree.files:
        if file.language != "sql" or file.role == "doc" or "function" not in file.text.lower():
            continue
        for each in sql.STORED_FUNCTION.finditer(file.text):
            found.setdefault(each["name"], set()).update(_moved(each["params"], each["body"]))
    return {name: next(iter(kinds)) for name, kinds in found.items() if len(kinds) == 1}


_HELD = re.compile(r"(^|_)(reserved|held|hold|pending|locked|frozen)(_|$)")
_USED = re.compile(r"(^|_)(used|spent|consumed)(_|$)")


def _moved(params: str, body: str) -> Iterator[str]:
    """What a body does with balances; what settles a reservation (less reserved, more used) took it before."""
    names = set(re.findall(r"\w+", params.lower()))
    moves = [
        each
        for each in MOVED_IN_SQL.finditer(body)
        if each["by"].lower() in names and CREDIT.search(snake(each["column"]))
    ]
    settles = any(_HELD.search(each["column"].lower()) for each in moves)
    for each in moves:
        column = each["column"].lower()
        if not _HELD.search(column) and not (settles and _USED.search(column)):
            yield meaning(column, sign_of(each))
