"""Columns of a member's row that are a balance or a count by what is done with them, whatever they are called.

A balance is lowered somewhere and compared by order, or with zero, somewhere; a count is raised by one and compared.
What only a database's own functions change is not seen.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.base import last_name, live_statements
from portraitist.audit.rules.credits.changes import CREDIT, balance, is_one, signs_of
from portraitist.audit.rules.syntax import ORDER

_MEMBERS = re.compile(
    r"user|profile|account|member|customer|subscri|organi[sz]ation|team|workspace|wallet|usage|guest|visitor|people|client"
)
_ELSE = re.compile(
    r"login|attempt|fail|retr(y|ies)|error|view|visit|like|follow|download|unread|post|friend|stock|version|(^|_)age$"
    r"|position|order|streak|xp$|level|score|warning|strike|report|referral|invite|login|session|page|page_?count|progress"
)
"""Numbers of a member that say nothing of what he may make."""
_COMPARED = {"gte", "gt", "lte", "lt", "$gte", "$gt"}


def balances(ctx: Context) -> frozenset[str]:
    """The columns, as `table.column`, that are lowered when something is used, under no name of a balance."""
    return ctx.once(_learned)[0]


def counts(ctx: Context) -> frozenset[str]:
    """The columns, as `table.column`, that are raised by one when something is used."""
    return ctx.once(_learned)[1]


def _learned(ctx: Context) -> tuple[frozenset[str], frozenset[str]]:
    lowered: dict[str, str] = {}
    raised: dict[str, str] = {}
    for each in live_statements(ctx, "write"):
        if each.insert or not _MEMBERS.search(snake(each.table)):
            continue
        for use in each.columns:
            plain = snake(use.column)
            key = f"{each.table}.{use.column}"
            if isinstance(use.node, ir.Lit) or CREDIT.search(plain) or _ELSE.search(plain):
                continue
            signs = signs_of(ctx, each, use)
            if signs == {"take"}:
                lowered[key] = plain
            elif signs == {"give"} and _by_one(use):
                raised[key] = plain
    both = lowered.keys() & raised.keys()  # a balance that is given back, or a count that is taken back
    lowered = {key: plain for key, plain in lowered.items() if key not in both or balance(plain)}
    raised = {key: plain for key, plain in raised.items() if key not in both or not balance(plain)}
    wanted = {*lowered.values(), *raised.values()}
    asked = _compared(ctx, wanted) if wanted else set()
    return (
        frozenset(key for key, plain in lowered.items() if plain in asked),
        frozenset(key for key, plain in raised.items() if plain in asked),
    )


def _by_one(use: ColumnUse) -> bool:
    """Whether what is added is one: no time, price or size."""
    node = use.node
    if node is None:
        return False
    around = node.parent
    if isinstance(around, ir.Assign) and around.value is node and around.op == "+=":
        return is_one(node)
    entries = [each.get("increment") for each in ir.find(node, ir.Obj)]
    sums = [each.right for each in ir.find(node, ir.Bin) if each.op == "+"]
    return any(is_one(each) for each in (*entries, *sums))


def _compared(ctx: Context, wanted: set[str]) -> set[str]:
    """Which of these names something compares by order: a test, an answer, or the selection of a row."""
    found: set[str] = set()
    for module in ctx.live:
        text = module.file.text.lower().replace("_", "")
        here = {each for each in wanted - found if each.replace("_", "") in text}
        if not here:
            continue
        for each in module.all(ir.Bin):
            if each.op in ORDER or (
                each.op in EQUALITY and isinstance(each.right, ir.Lit) and each.right.value == 0
            ):
                found |= {snake(last_name(side)) for side in (each.left, each.right)} & here
        for entry in module.all(ir.Prop):
            if entry.key in _COMPARED and isinstance(entry.parent, ir.Obj):
                outer = entry.parent.parent
                found |= {snake(outer.key or "")} & here if isinstance(outer, ir.Prop) else set()
        for call in module.calls(_COMPARED):
            named = call.args[0] if call.args else None
            found |= {snake(ir.text_of(named) or last_name(named))} & here
    return found


def is_learned(ctx: Context, statement: Statement, column: str) -> bool:
    """Whether a column of a statement's table is such a balance."""
    return f"{statement.table}.{column}" in balances(ctx)
