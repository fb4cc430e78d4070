"""Part of the rule on working models: a training's result that is written by the name a member chose.

What a row is selected by is read from the statements; whether a name can occur twice, from how rows are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import is_null
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, live_statements, names_in, trace
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import LOST
from portraitist.audit.rules.states.marks import said, states_of

_NAME = re.compile(r"(^|_)(name|title|label)$")
_ONE_OF_A_KIND = re.compile(r"uuid|nanoid|cuid|ulid|random|^now$|timestamp|(^|_)id$|hash|slug", re.I)
"""What makes a name that nobody else's training has."""


def results_by_name(ctx: Context) -> Iterator[Finding]:
    """A webhook or poll that writes a version to all rows of one member and one name, whichever training it was.

    Only where each training's start makes a row of that name, the name is none that is made up to be different each
    time, and nothing asks for a row of that name before (a read, a constraint of the database). Also one that sets
    the state of such rows when a training failed.
    """
    seen: set[tuple[ir.Func | None, str]] = set()
    filled: set[tuple[ir.Func | None, str]] = set()
    found = list(_by_name(ctx))
    for statement, name, row in found:
        column = _version_in(ctx, statement)
        if not column or (statement.func, column) in seen:
            continue
        seen.add((statement.func, column))
        filled.add((statement.func, statement.table))
        key = f"{statement.table}.{column}"
        message = f"{key} is written to every row with this {name}: a second training takes the working model"
        yield _told(statement, key, message, row, 76)
    models = {table for _, table in filled}
    for statement, name, row in found:
        use = _failure_in(statement, (statement.func, statement.table) in filled)
        if use is None or statement.table not in models or _version_in(ctx, statement):
            continue
        if (statement.func, use.column) in seen:
            continue
        seen.add((statement.func, use.column))
        key = f"{statement.table}.{use.column}"
        message = (
            f"{key} of every row with this {name} is set when a training fails: a later one of that name marks the "
            "finished model so, too"
        )
        yield _told(statement, key, message, row, 60)


def _told(statement: Statement, key: str, message: str, row: Statement, weight: int) -> Finding:
    found = finding("clears-working-model", statement.module, statement.node, message, key=key, weight=weight,
                    line=statement.line, end=max(statement.end, statement.node.end),
                    evidence=[Place(row.module.path, row.line)])  # fmt: skip
    return replace(found, fix="clears-working-model.name")


def _by_name(ctx: Context) -> Iterator[tuple[Statement, str, Statement]]:
    """The statements of what hears of trainings that select rows by a name, the name, and where such rows are made."""
    hearing = _hearing(ctx)
    starts = _starts(ctx)
    made = [each for each in live_statements(ctx, "write") if each.insert and each.func in starts]
    for statement in live_statements(ctx, "write") if made else ():
        if statement.insert or statement.func not in hearing or statement.func in starts:
            continue
        name = _only_name(ctx, statement)
        row = next((each for each in made if name and _makes(ctx, each, statement.table, name)), None)
        if row is None or not name or not (_version_in(ctx, statement) or states_of(statement)):
            continue
        if _is_asked_for(ctx, starts, statement.table, name) or _is_unique(ctx, statement.table, name):
            continue
        yield statement, name, row


def _failure_in(statement: Statement, beside_success: bool) -> ColumnUse | None:
    """The state that a statement sets to a failure: a word for one, or any word where success is written beside it."""
    for use in states_of(statement):
        word = said(use)
        if word in LOST or (not word and beside_success):
            return use
    return None


def _hearing(ctx: Context) -> set[ir.Func]:
    """The functions that hear how a training went: below webhooks, and where the provider is asked for it."""
    asks = {
        each.func
        for each in ctx.calls
        if each.purpose == "status" and each.func is not None and ctx.role_at(each.module, each.call) in LIVE_ROLES
    }  # fmt: skip
    callers = {site.call.within for func in asks for site in ctx.program.callers.get(func, [])}
    return working(ctx).hooks | asks | {each for each in callers if each is not None}


def _starts(ctx: Context) -> set[ir.Func]:
    """The functions on the way to a training, and the helpers that they call."""
    ways = {func for flow in ctx.flows if flow.call.purpose == "training" for func in flow.funcs}
    return ways.union(*(helpers_of(ctx, func) for func in ways))


def _only_name(ctx: Context, statement: Statement) -> str:
    """The column with a name by which rows are selected, where nothing but their owner narrows them further."""
    names = [each for each in statement.where if _NAME.search(snake(each))]
    rest = {snake(each) for each in statement.where if each not in names}
    return names[0] if len(set(names)) == 1 and rest <= ctx.words.owner_columns else ""


def _version_in(ctx: Context, statement: Statement) -> str:
    """The model's column that a statement fills, "" where it has none."""
    return next(
        (
            each.column
            for each in statement.columns
            if snake(each.column) in ctx.words.model_columns - {"model_id"} and not is_null(each.value)
        ),
        "",
    )


def _makes(ctx: Context, row: Statement, table: str, name: str) -> bool:
    """Whether a statement makes a row of a table with a name that may have been given before."""
    if row.table != table:
        return False
    for use in row.columns:
        if use.column == name:
            module = ctx.program.modules[use.path]
            parts = list(trace(ctx, module, use.node, helpers=True))
            words = {one for _, part in parts for one in names_in(part)}
            return bool(parts) and not any(_ONE_OF_A_KIND.search(snake(each)) for each in words)
    return False


def _is_asked_for(ctx: Context, starts: set[ir.Func], table: str, name: str) -> bool:
    """Whether something on the way to a training looks for rows of that name, or removes them."""
    return any(
        each.table == table and name in each.where
        for each in live_statements(ctx, "read", "delete")
        if each.func in starts
    )


def _is_unique(ctx: Context, table: str, name: str) -> bool:
    """Whether a definition may keep a second row of that name out."""
    names = rf"\b({re.escape(name)}|{re.escape(snake(name))})\b"
    unique = re.compile(rf"unique[^;]{{0,120}}{names}|{names}[^,;\n]*unique", re.I)
    homes = {each.path for each in ctx.tables.get(table, ())}
    files = (each for each in ctx.tree.files if each.path in homes or each.language in {"sql", "prisma"})
    return any(unique.search(each.text) for each in files)
