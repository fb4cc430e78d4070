"""Part of the rule on credits: a balance that is set, when the work has failed, to what it was before the take.

What was bought, given or taken while the work was begun is undone by that. A lock around all of it is not seen, but
where a transaction is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements, names_in
from portraitist.audit.rules.credits.changes import CREDIT, is_called_new, signs_of
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.raced import conditioned
from portraitist.audit.rules.syntax import in_handler, outermost

_NOTED = re.compile(
    r"refund|used|spent|cost|price|amount|charged|granted|deducted|required|awarded|purchased|consumed|planned"
)
"""Columns and values that say how much one piece of work took or gave back, and are no balance."""
_TROUBLE = re.compile(r"fail|error|cancel|succe|exception|(^|_)(err|ok)(_|$)")
"""Names in a test, in snake case, of what went wrong."""


def set_back(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """A balance that is set, when the work has failed, to what it was when it was read before the take."""
    for statement in live_statements(ctx, "write"):
        func = statement.func
        if func is None or statement.insert or not (in_handler(statement.node) or _in_branch(statement.node)):
            continue
        for use in statement.columns:
            name = _former(ctx, statement, use)
            if not name or conditioned(statement, snake(use.column)):
                continue
            takes = [
                each
                for each in ledger.events(outermost(func))
                if each.kind == "take" and each.line < statement.line
            ]
            if takes:
                message = (
                    f"{statement.table}.{use.column} is set back to what was read before ({name}): what was taken or"
                    " bought meanwhile is undone"
                )
                yield finding("credit-before-check", statement.module, statement.node, message, weight=44,
                              line=statement.line, key=f"set back {use.column}", end=statement.end,
                              evidence=[Place(statement.module.path, takes[0].line)])  # fmt: skip


def _former(ctx: Context, statement: Statement, use: ColumnUse) -> str:
    """What a column is set to, where that is what it held before: by its name, or by a take of the very column."""
    value = use.node
    plain = isinstance(value, ir.Attr | ir.Name) and use.path == statement.module.path
    if value is None or not plain or signs_of(ctx, statement, use):
        return ""
    name, column = ir.dotted(value), snake(use.column)
    if _is_copied(statement, value, column):
        return name if not is_called_new(value, column) and _is_taken(ctx, statement, column) else ""
    if not CREDIT.search(column) or _NOTED.search(column) or _NOTED.search(snake(name)):
        return ""
    return name if CREDIT.search(snake(name)) and not is_called_new(value, "") else ""


def _is_copied(statement: Statement, value: ir.Node, column: str) -> bool:
    """Whether a value is the very column of a row, or a variable that was made of it alone."""
    made = (
        [each.value for each in reaching(statement.module, value)] if isinstance(value, ir.Name) else [value]
    )
    return bool(made) and all(isinstance(each, ir.Attr) and snake(each.name) == column for each in made)


def _is_taken(ctx: Context, statement: Statement, column: str) -> bool:
    """Whether the same function lowers, or counts up, the same column before."""
    assert statement.func is not None
    for func in ir.find(outermost(statement.func), ir.Func):
        for each in ctx.statements_under.get(func, ()):
            before = each.kind == "write" and each.table == statement.table and each.line < statement.line
            for use in each.columns if before and not each.insert else ():
                if snake(use.column) == column and signs_of(ctx, each, use):
                    return True
    return False


def _in_branch(node: ir.Node) -> bool:
    return any(
        isinstance(each, ir.If) and any(_TROUBLE.search(snake(name)) for name in names_in(each.test))
        for each in ir.ancestors(node)
    )
