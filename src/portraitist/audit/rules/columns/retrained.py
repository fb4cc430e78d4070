"""Part of the rule on models that are lost: a training that has just begun is written over what the last one made.

Looks at updates on the way to a training; where a row of the same table is made on that way, it is a new one's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.values import Known
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, line_of, live_statements, module_of, names_in, place
from portraitist.audit.rules.references import BARE, COMPOSED, WHOLE, forms
from portraitist.audit.rules.state_words import DONE, RUNNING

_STATES = DONE | RUNNING


def overwritten(ctx: Context) -> Iterator[Finding]:
    """The column with the finished model, set to something else by the start of the next training.

    Says nothing where the start refuses by the row's state, or by the column itself.
    """
    trainings = [each for each in ctx.creates() if each.purpose == "training"]
    finished = _finished(ctx) if trainings else {}
    if not finished:
        return
    ways: dict[ProviderCall, set[ir.Func | None]] = {each: {each.func} for each in trainings}
    for flow in ctx.flows:
        ways.get(flow.call, set()).update(flow.funcs)
    for statement in live_statements(ctx, "write"):
        call = next((each for each, funcs in ways.items() if statement.func in funcs), None)
        if statement.insert or statement.func is None or call is None:
            continue
        for use in statement.columns:
            made = finished.get((statement.table, snake(use.column)), [])
            elsewhere = [each for each, func in made if func not in ways[call]]
            if not elsewhere or len(elsewhere) < len(made) or not _is_new(use):
                continue
            if _made_here(ctx, statement, ways[call]) or _asks_state(statement, use):
                continue
            key = f"{statement.table}.{use.column}"
            message = f"{key} holds the finished model and is overwritten as the next training begins, which may fail"
            node = line_of(use)
            yield finding("clears-working-model", module_of(ctx, use), node, message, key=key, weight=92,
                          evidence=[elsewhere[0], place(call)])  # fmt: skip


def _finished(ctx: Context) -> dict[tuple[str, str], list[tuple[Place, ir.Func | None]]]:
    """The columns that get a finished model's reference, with the places where they do."""
    found: dict[tuple[str, str], list[tuple[Place, ir.Func | None]]] = {}
    for statement in live_statements(ctx, "write"):
        for use in statement.columns:
            if any(
                each.kind in {WHOLE, BARE, COMPOSED} for each in forms(ctx, module_of(ctx, use), use.node)
            ):
                entry = (Place(use.path, use.line), statement.func)
                found.setdefault((statement.table, snake(use.column)), []).append(entry)
    return found


def _is_new(use: ColumnUse) -> bool:
    """Whether a value is something of the training that begins: no literal, and named so."""
    if use.node is None or isinstance(use.value, Known):
        return False
    return re.search(r"train|predict|destination|model", " ".join(names_in(use.node)), re.I) is not None


def _made_here(ctx: Context, statement: Statement, funcs: set[ir.Func | None]) -> bool:
    made = (each for func in funcs if func is not None for each in ctx.statements_under.get(func, ()))
    return any(each.insert and each.kind == "write" and each.table == statement.table for each in made)


def _asks_state(statement: Statement, use: ColumnUse) -> bool:
    """Whether the function leaves by a row's state, or where the column is filled, or the statement itself asks."""
    if any(
        re.search(r"status|state", each, re.I) or snake(each) == snake(use.column) for each in statement.where
    ):
        return True
    for each in ir.find(statement.func, ir.If) if statement.func is not None else ():
        names = names_in(each.test) if each.line < statement.line and exits(each.then) else set()
        states = any(re.search(r"status|state", one, re.I) for one in names)
        if (states and {one.lower() for one in names} & _STATES) or use.column in names:
            return True
    return False
