"""Part of the rule on states that stay open: a row is marked as running, and a failure leaves it so.

What a watchdog outside the repository puts right is not seen; one inside it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import Known
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, leads_to, live_statements

_RUNNING = {"training", "processing", "generating", "running", "in_progress", "starting", "started"}
_STATE = re.compile(r"(^|_)(status|state)$")
_SETTLES = re.compile(r"fail|mark|status|state|update|set_|rollback|delete|remove|release|cleanup", re.I)
_LOGS = re.compile(r"^(console|log|logger|logging|sentry)\b|^print$", re.I)


def left_in_progress(ctx: Context) -> Iterator[Finding]:
    """Rows marked as running before a paid call whose failure is caught and does not change them.

    A table that something else clears of such rows, by selecting on the state, is left alone.
    """
    written = [
        each for each in live_statements(ctx, "write", "delete") if _states(each) or each.kind == "delete"
    ]
    cleared = {each.table for each in written if any(_STATE.search(snake(one)) for one in each.where)}
    for statement in written:
        marks = [each for each in _states(statement) if _is_running(each)]
        for mark in marks if statement.table not in cleared else []:
            call = _started(ctx, statement)
            handler = _without_end(ctx, written, statement, call) if call is not None else None
            if handler is not None:
                key = f"{statement.table}.{mark.column}"
                message = f"{key} stays as it is here when what follows fails: the handler does not change it"
                yield finding(
                    "stuck-status",
                    statement.module,
                    statement.node,
                    message,
                    key=key,
                    weight=52,
                    line=statement.line,
                    end=statement.end,
                    evidence=[Place(statement.module.path, handler.line)],
                )


def _states(statement: Statement) -> list[ColumnUse]:
    return [each for each in statement.columns if _STATE.search(snake(each.column))]


def _is_running(use: ColumnUse) -> bool:
    word = use.value.value if isinstance(use.value, Known) else None
    return isinstance(word, str) and word.lower().replace("-", "_") in _RUNNING


def _started(ctx: Context, statement: Statement) -> ProviderCall | None:
    """The paid call that follows in the same function."""
    after = (
        each
        for each in ctx.creates()
        if each.module is statement.module and each.func is statement.func and each.call.line > statement.end
    )
    return next(after, None) if statement.func is not None else None


def _without_end(
    ctx: Context, written: list[Statement], statement: Statement, call: ProviderCall
) -> ir.Handler | None:
    """The handler at which a failure of what follows ends, the row still marked; None when there is none."""
    for attempt in (each for each in ir.ancestors(call.call) if isinstance(each, ir.Try)):
        if attempt.within is not call.func or not any(
            call.call in set(ir.walk(each)) for each in attempt.body
        ):
            continue
        ends = [*attempt.handlers, *attempt.final]
        if not attempt.handlers or any(_settles(ctx, written, statement, each) for each in ends):
            return None
        if all(_passes_on(each) for each in attempt.handlers):
            continue
        return attempt.handlers[0] if call.sdk or _throws(ctx, written, statement, attempt) else None
    return None


def _passes_on(handler: ir.Handler) -> bool:
    return any(isinstance(each, ir.Return) and each.throws for each in handler.body)


def _throws(ctx: Context, written: list[Statement], statement: Statement, attempt: ir.Try) -> bool:
    """Whether a raise stands after the mark that nothing in its own block has settled before."""
    for each in (one for part in attempt.body for one in ir.find(part, ir.Return) if one.throws):
        block = each.parent
        settled = isinstance(block, ir.If) and _settles(ctx, written, statement, block)
        if each.line > statement.end and each.within is statement.func and not settled:
            return True
    return False


def _settles(ctx: Context, written: list[Statement], statement: Statement, node: ir.Node) -> bool:
    """Whether something below a node writes the table's state, or deletes the row, or may do so unseen."""
    own = {each.node for each in written if each.table == statement.table}
    inside = set(ir.walk(node))
    if own & inside:
        return True
    writers = {each.func for each in written if each.table == statement.table}
    for call in ir.find(node, ir.Call):
        name = ir.dotted(call.func)
        targets = [each.node for each in ctx.program.functions_called(call) if isinstance(each.node, ir.Func)]
        if any(leads_to(ctx, each, writers) for each in targets):
            return True
        if not targets and _SETTLES.search(name.rpartition(".")[2]) and not _LOGS.search(name):
            return True
    return False
