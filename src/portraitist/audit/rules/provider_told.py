"""Statements that write what another service says: whoever asks for it, the row becomes what it is.

Used where an open route, or one that asks for no owner, changes a row by an id of the request.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement


def asks_provider(ctx: Context, statement: Statement) -> bool:
    """Whether a function writes what the provider says of the work: whoever asks, the row becomes what it is.

    So it is with another service that is asked for the state by the very id.
    """
    if any(each.purpose == "status" and each.func is statement.func for each in ctx.calls):
        return True
    ids = plain_ids(statement)
    asked = ir.find(statement.func, ir.Call) if statement.func is not None else ()
    return any(
        _ASKS_STATE.search(ir.dotted(each.func))
        and any(isinstance(arg, ir.Name) and arg.id in ids for arg in each.args)
        for each in asked
        if each.line < statement.line
    )


_ASKS_STATE = re.compile(r"\.(get|fetch|check|query|poll|retrieve)_?\w*(status|state|result)$", re.I)


def plain_ids(statement: Statement) -> set[str]:
    """The variables that a statement's conditions are, whole: not the request that an id is taken from."""
    return {node.id for _, node in statement.where_values if isinstance(node, ir.Name)}
