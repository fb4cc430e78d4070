"""Columns that a helper sets to what it is handed: what the helper's callers make of a balance is done by them.

`update_credits(user_id, credits - 1)`: the helper's own statement neither takes nor gives. One helper deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES


def handed_in(ctx: Context, statement: Statement, use: ColumnUse) -> Iterator[tuple[ir.Call, ColumnUse]]:
    """The calls that hand a statement's function the value of a column, and the column as it is set by each of them."""
    func, node = statement.func, use.node
    if func is None or not isinstance(node, ir.Name) or statement.insert:
        return
    param = next((each for each in func.params if each.name == node.id), None)
    for site in ctx.program.callers.get(func, ()) if param is not None else ():
        given = argument_for(site.call, func, param) if param is not None else None
        if given is None or site.call.within in {None, func}:
            continue
        if ctx.role_at(site.module, site.call) in LIVE_ROLES:
            yield site.call, replace(use, node=given, path=site.module.path, line=given.line)
