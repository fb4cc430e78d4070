"""Part of the rule on states that stay open: a row that the provider's webhook cannot find yet.

How fast the provider is, is not known; a row that is found by what the webhook's address holds is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.values import render
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    provider_behind,
)
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.open_ends import path_of
from portraitist.audit.rules.syntax import fails


def stored_later(ctx: Context) -> Iterator[Finding]:
    """The id by which a webhook looks for its row, stored only after the call that lets the webhook come."""
    told = [each for each in ctx.creates() if _tells(each)]
    wanted = _looked_for(ctx) if told else {}
    for statement in live_statements(ctx, "write") if wanted else ():
        for use in statement.columns:
            hook = wanted.get((statement.table, snake(use.column)))
            call = _answered(ctx, use) if hook is not None else None
            if hook is not None and call in told:
                key = f"{statement.table}.{use.column}"
                message = (
                    f"{key} is stored after the work has begun: a webhook that comes first finds no row by it"
                )
                yield finding("stuck-status", statement.module, statement.node, message, key=f"{key} later",
                              weight=BARELY, line=statement.line, end=statement.end, evidence=[hook])  # fmt: skip
                yield from _passed_over(ctx, statement.table, snake(use.column), hook)
                break


def _passed_over(ctx: Context, table: str, column: str, hook: Place) -> Iterator[Finding]:
    """`if (!row) return 200` in the handler that looks for the row: the provider never tells it again."""
    for read in live_statements(ctx, "read"):
        func = read.func
        if read.table != table or func is None or column not in map(snake, read.where):
            continue
        if read.module.path != hook.path or func not in working(ctx).hooks:
            continue
        made = next((each for each in ir.ancestors(read.node) if isinstance(each, ir.Assign | ir.Func)), None)
        names = variables_in(made.target) if isinstance(made, ir.Assign) else set()
        for test in (each for each in ir.find(func, ir.If) if each.line >= read.line and exits(each.then)):
            leave = next((each for each in test.then if isinstance(each, ir.Return)), None)
            lacks = any(
                each.op in {"!", "not"} and names & names_in(each) for each in ir.find(test.test, ir.Bin)
            )
            if lacks and leave is not None and _is_well(ctx, leave):
                message = (
                    f"a webhook for which no row of {table} is there yet is passed over, and not told again"
                )
                yield finding("stuck-status", read.module, test, message, key=f"{table} unfound", weight=BARELY,
                              end=leave.end)  # fmt: skip
                break


def _is_well(ctx: Context, leave: ir.Return) -> bool:
    """Whether a way out answers that all is well: nobody can tell it from success."""
    return not fails(leave) and (leave.value is None or leave.within in ctx.handled_by)


def _tells(call: ProviderCall) -> bool:
    """Whether a call names a webhook whose address says nothing of the row."""
    sent = [render(each.value) or "" for each in call.fields("webhook")]
    return bool(sent) and all("?" not in each and re.fullmatch(r"/[^{}]+", path_of(each)) for each in sent)


def _looked_for(ctx: Context) -> dict[tuple[str, str], Place]:
    """The columns by which handlers of webhooks select rows."""
    hooks = working(ctx).hooks
    found: dict[tuple[str, str], Place] = {}
    for each in live_statements(ctx, "read", "write"):
        if each.func in hooks and not each.insert:
            for name in each.where:
                found.setdefault((each.table, snake(name)), Place(each.module.path, each.line))
    return found


def _answered(ctx: Context, use: ColumnUse) -> ProviderCall | None:
    """The call whose answer's id a column gets."""
    if not isinstance(use.node, ir.Attr | ir.Index) or last_name(use.node) != "id":
        return None
    return provider_behind(ctx, module_of(ctx, use), use.node, helpers=True)
