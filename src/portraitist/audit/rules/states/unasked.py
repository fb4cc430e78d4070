"""Part of the rule on states that stay open: routes that tell a row's state, which nobody asks the provider for.

Only the route and the functions that it calls itself are read.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, helpers_of, live_statements, names_in
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.states.marks import WAITED_FOR, marks, writers
from portraitist.audit.rules.states.picked import put_right


def told_from_the_row(ctx: Context) -> Iterator[Finding]:
    """A GET of one row's state that asks nobody, where the row waits for a webhook alone."""
    ways = working(ctx)
    begun = {func for flow in ctx.flows if flow.call.api not in WAITED_FOR for func in flow.funcs}
    waiting = {
        each.statement.table: each for each in marks(ctx) if each.func in begun and not put_right(ctx, each)
    }
    asking = askers(ctx)
    for table, mark in sorted(waiting.items()):
        ends = [each for each in writers(ctx, table) if each.func in ways.hooks]
        others = [each for each in writers(ctx, table) if each.func not in ways]
        if not ends or others:
            continue
        for each in live_statements(ctx, "read"):
            if each.table == table and each.func is not None and _tells_one(ctx, each, asking):
                message = (
                    f"tells the state of {table} from the row alone: after a lost webhook it never changes"
                )
                yield finding("stuck-status", each.module, each.func, message, key=f"{table} told", weight=BARELY,
                              end=each.func.end, evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


def _tells_one(ctx: Context, read: Statement, asking: set[ir.Func | None]) -> bool:
    """Whether a route that only reads looks for one row and answers its state, asking no provider."""
    func = read.func
    routes = ctx.handled_by.get(func, []) if func is not None else []
    if func is None or not routes or any(each.method != "GET" or not each.is_http for each in routes):
        return False
    reached = {func, *helpers_of(ctx, func)}
    one = any(snake(each) in {"id", "prediction_id", "training_id", "job_id"} for each in read.where)
    states = {each for each in columns_of(ctx, read.table) if STATE.search(snake(each))} | {"status"}
    live = ctx.role_at(read.module, func) in LIVE_ROLES
    return live and one and not reached & asking and bool(states & names_in(func))
