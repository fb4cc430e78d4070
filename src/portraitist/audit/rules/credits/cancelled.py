"""Part of the rule on credits: work that is called off, and the credits taken for it are kept.

A trigger of the database that gives them back is looked for by its words only; what an operator gives back by hand is
not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, live_statements
from portraitist.audit.rules.credits.ledger import Ledger

_OFF = re.compile(r"cancell?ed|aborted|stopped", re.I)
_FAILED = re.compile(r"failed|error|failure", re.I)
_STATE = re.compile(r"status|state|stage|phase")


def cancelled(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """A row is marked as called off where nothing is given back, though its failure gives back what its start took.

    Only tables whose rows are made where credits are taken, and marked as failed where some are given.
    """
    marks = [each for each in live_statements(ctx, "write") if not each.insert and _says(each, _OFF)]
    if not marks or _by_trigger(ctx):
        return
    writes = list(live_statements(ctx, "write"))
    paid = {each.table: each for each in writes if each.insert and _does(ledger, each, "take")}
    back = {each.table: each for each in writes if _says(each, _FAILED) and _does(ledger, each, "give")}
    for each in marks:
        func = _outer(each)
        if each.table not in paid or each.table not in back or func is None or _does(ledger, each, "give"):
            continue
        callers = [site.call.within for site in ctx.program.callers.get(func, ())]
        if any("give" in ledger.kinds.get(one, ()) for one in callers if one is not None):
            continue
        took, gave = paid[each.table], back[each.table]
        message = f"{each.table} is called off here and keeps the credits that were taken; a failure gives them back"
        yield finding("credit-before-check", each.module, each.node, message, key=f"called off {each.table}", weight=45,
                      line=each.line, end=each.end,
                      evidence=[Place(took.module.path, took.line), Place(gave.module.path, gave.line)])  # fmt: skip


def _says(statement: Statement, word: re.Pattern[str]) -> bool:
    """Whether a statement sets a state to one of these words, as it stands there: no state that is taken over."""
    here = [each for each in statement.columns if statement.line <= each.line <= statement.end]
    states = [each.node for each in here if _STATE.search(snake(each.column))]
    return any(isinstance(each, ir.Lit) and word.fullmatch(str(each.value)) is not None for each in states)


def _outer(statement: Statement) -> ir.Func | None:
    func = statement.func
    while func is not None and func.within is not None:
        func = func.within
    return func


def _does(ledger: Ledger, statement: Statement, kind: str) -> bool:
    func = _outer(statement)
    return func is not None and any(each.kind == kind for each in ledger.events(func))


def _by_trigger(ctx: Context) -> bool:
    """Whether an SQL file has a trigger and speaks of what is called off."""
    texts = (each.text.lower() for each in ctx.tree.files if each.language == "sql")
    return any("trigger" in each and "cancel" in each and "refund" in each for each in texts)
