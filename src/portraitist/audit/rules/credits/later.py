"""Part of the rule on credits: a paid way that looks at credits and leaves it to something else to take them.

That may be nothing, a webhook or a poll when the work is done, or a trigger of the database (`triggered`). Of triggers
that cannot be read nothing is said; what an unknown service takes is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import WAITED_FOR, Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Place
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.steps import Step
from portraitist.audit.rules.credits.triggered import taken_by_trigger

_TRIGGER = re.compile(
    r"returns\s+trigger\b(?:(?!\$\$\s*;).){0,800}?(credit|balance|coin|count)\w*\s*-\s*\w", re.I | re.S
)
_WAITS = re.compile(r"status|poll|sync|complete|finish|check", re.I)


def left_to_others(
    ctx: Context, ledger: Ledger, flow: Flow, hooks: list[ir.Func], steps: list[Step]
) -> tuple[str, Place] | None:
    """What is said of a way that looks at credits and takes none, and the place that takes them later, if any."""
    looked = f"credits are looked at before the paid {flow.call.purpose} and"
    here = Place(flow.call.module.path, flow.call.call.line)
    if ctx.once(_triggered):
        taken = taken_by_trigger(ctx, flow, steps) if not _counts_running(ctx, flow) else None
        return (f"{looked} {taken[0]}", taken[1]) if taken is not None else None
    if not any("take" in each for each in ledger.kinds.values()):
        return None
    heard = [*hooks, *_named_hooks(ctx, flow)] if _may_be_heard(flow) else []
    for func in (*heard, *_waiting(ctx, flow)):
        for event in ledger.events(func):
            if event.kind != "take":
                continue
            if not flow.call.fields(*_HOOKS) or _counts_running(ctx, flow):
                return None
            message = f"{looked} taken only when it is done: until then any number of requests pass"
            return message, Place(ctx.program.module_of[func].path, event.line)
    return f"{looked} never taken on this way", here


_HOOKS = ("webhook", "webhook_completed")
_NAMED = re.compile(r"hook|callback|replicate|prediction|completed|generated|finished", re.I)


def _named_hooks(ctx: Context, flow: Flow) -> Iterator[ir.Func]:
    """The open routes that may be the webhook of a call by their names, where only a setting knows its address."""
    if flow.call.fields(*_HOOKS):
        for route in ctx.routes:
            if route.is_http and route.method != "GET" and not route.guarded_by and _NAMED.search(route.path):
                yield from route.funcs


def _may_be_heard(flow: Flow) -> bool:
    """Whether a webhook may tell of the work: nobody is told of one that is waited for."""
    return flow.call.api not in WAITED_FOR


def _waiting(ctx: Context, flow: Flow) -> Iterator[ir.Func]:
    """The jobs, and the handlers of routes that are asked for the state of work that runs."""
    for route in ctx.routes:
        waits = _WAITS.search(route.path) and _may_be_heard(flow)
        if route.method == "JOB" or waits:
            yield from route.funcs


def _counts_running(ctx: Context, flow: Flow) -> bool:
    """Whether a way asks the database for rows by their state, as one that counts what still runs does."""
    reads = (
        each for func in flow.funcs for each in ctx.statements_under.get(func, ()) if each.kind == "read"
    )
    return any(re.search(r"status|state", column, re.I) for each in reads for column in each.where)


def _triggered(ctx: Context) -> bool:
    """Whether a trigger of the database takes credits."""
    return any(_TRIGGER.search(each.text) for each in ctx.tree.files if each.language in {"sql", "doc"})
