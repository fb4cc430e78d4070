"""What a database's stored functions do with a balance, read from the SQL that defines them.

Only functions that raise or lower a column by what they are handed; names and callers are in `ledger`.
"""

from __future__ import annotations

import re

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
            params = set(re.findall(r"\w+", each["params"].lower()))
            found.setdefault(each["name"], set()).update(
                meaning(moved["column"], sign_of(moved))
                for moved in MOVED_IN_SQL.finditer(each["body"])
                if moved["by"].lower() in params and CREDIT.search(snake(moved["column"]))
            )
    return {name: next(iter(kinds)) for name, kinds in found.items() if len(kinds) == 1}
