"""Part of the rule on credits: a take whose own condition may match no row, and nobody asks how many it matched.

Such an update lowers nothing where the balance has changed or is too low, and that is no error. Clients whose update
throws then, and answers that are handed on, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, meaning, signs_of
from portraitist.audit.rules.syntax import stands_alone

_QUIET = re.compile(r"^(updateMany|update_many|updateOne|update_one|findOneAndUpdate|find_one_and_update)$")
"""Updates that say only by their answer that no row was met."""
_ASKS = {"select", "single", "maybeSingle", "maybe_single", "returning", "throwOnError", "orFail", "orfail"}
_ERRORS = {"error", "status", "statusText"}
"""What an answer of Supabase says of a failure; that no row was met is none."""


def unmatched(ctx: Context) -> Iterator[Finding]:
    """`update({ credits: c - 1 }).eq("id", id).eq("credits", c)`, of whose answer at most the error is read."""
    for each in live_statements(ctx, "write"):
        column = _guarded_by(ctx, each)
        if not column or not _is_quiet(each) or not _is_unread(each):
            continue
        if ctx.role_at(each.module, each.node) in LIVE_ROLES:
            message = (
                f"this take is bound to {column}, and nobody asks whether it met a row: where it met none, nothing "
                "is taken and no error is told"
            )
            yield finding("credit-before-check", each.module, each.node, message, weight=55, end=each.end,
                          key=f"unmatched {each.table}.{column}")  # fmt: skip


def _guarded_by(ctx: Context, each: Statement) -> str:
    """The balance that a statement lowers and that its own condition asks for."""
    for use in each.columns if not each.insert else ():
        asked = use.column in each.where and CREDIT.search(snake(use.column)) is not None
        if asked and {meaning(use.column, one) for one in signs_of(ctx, each, use)} == {"take"}:
            return use.column
    return ""


def _is_quiet(each: Statement) -> bool:
    """Whether no row is no error for the client: Supabase's `update`, and updates of many."""
    if not isinstance(each.node, ir.Call):
        return False
    steps = set(ir.dotted(each.node.func).split("."))
    if steps & _ASKS:
        return False
    return _QUIET.match(last_name(each.node.func)) is not None or (
        "update" in steps and bool(steps & {"from", "table", "from_"}) and "eq" in steps
    )


def _is_unread(each: Statement) -> bool:
    """Whether nothing takes the answer, or nothing but its error."""
    node, around = each.node, each.node.parent
    if isinstance(node, ir.Call) and stands_alone(node):
        return True
    if not isinstance(around, ir.Assign) or around.value is not node:
        return False
    if isinstance(around.target, ir.Obj):
        return all(one.key in _ERRORS and not one.spread for one in around.target.props)
    if not isinstance(around.target, ir.Name) or each.func is None:
        return False
    name = around.target.id
    uses = [one for one in ir.find(each.func, ir.Name) if one.id == name and one is not around.target]
    return all(isinstance(one.parent, ir.Attr) and one.parent.name in _ERRORS for one in uses)
