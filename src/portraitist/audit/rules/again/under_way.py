"""Paid work that is started beside work under way, or behind work whose verdict was no success. Low weight.

A row that is asked only whether it is finished, and a helper that is called once more further down its own function.
Locks of a database and unique columns are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.anew import starts
from portraitist.audit.rules.again.refused import speaks_of_refusal
from portraitist.audit.rules.base import finding, helpers_behind, last_name, names_in, place, trace
from portraitist.audit.rules.credits.steps import goes_on
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE
from portraitist.audit.rules.syntax import branches_around, in_handler

_STATE = re.compile(r"status|state$", re.I)
_RUNNING = re.compile(
    r"process|pending|queue|running|starting|progress|generating|training|submitted|started|lock|claim|prediction_?id"
    r"|job_?id|active|inflight|in_flight",
    re.I,
)
"""What says in a test that work is under way."""


def beside_running(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    told: set[ir.Node] = set()
    for flow in ctx.flows:
        for func in flow.funcs if flow.call.creates and flow.route is not None else ():
            module = ctx.program.module_of[func]
            test = (
                _only_finished(ctx, flow, module, func) if ctx.role_at(module, func) in LIVE_ROLES else None
            )
            if test is not None and test not in told:
                told.add(test)
                message = f"only a finished one is looked for: while one is under way {flow.call.api} is started again"
                end = max(each.end for each in (test.test, *test.then))
                yield finding("blind-post-retry", module, test, message, key=f"finished {flow.call.api}",
                              weight=BARELY, end=end, evidence=[place(flow.call)])  # fmt: skip
    yield from _behind_verdict(ctx)


def _only_finished(ctx: Context, flow: Flow, module: Module, func: ir.Func) -> ir.If | None:
    """The test that answers with a row which is finished, where no test asks for one that is not."""
    tests = [*ir.find(func, ir.If)]
    if any(_RUNNING.search(name) for each in tests for name in names_in(each.test)):
        return None
    marks = (each.value for each in ir.find(func, ir.Prop) if _STATE.search(each.key or ""))
    if not any(_RUNNING.search(ir.text_of(each) or "") for each in marks):
        return None
    line = goes_on(flow, module, func)
    for test in tests:
        if test.end < line and exits(test.then) and not in_handler(test):
            for each in ir.find(test.test, ir.Bin):
                done = (ir.text_of(each.right) or "").lower() in DONE and _STATE.search(last_name(each.left))
                equal = each.op in EQUALITY and each.op not in {"!=", "!=="}
                if done and equal and _is_read(ctx, module, each.left):
                    return test
    return None


def _is_read(ctx: Context, module: Module, state: ir.Node) -> bool:
    """Whether a state is a row's: what a statement read, here or in the helper that was asked for it."""
    root = ir.root_of(state)
    for _, part in trace(ctx, module, root):
        if not isinstance(part, ir.Call):
            continue
        asked = [*ctx.statements_at.get(part, ())]
        asked += [each for one in helpers_behind(ctx, part) for each in ctx.statements_under.get(one, ())]
        if any(each.kind == "read" for each in asked):
            return True
    return False


def _behind_verdict(ctx: Context) -> Iterator[Finding]:
    """`one = await paint(a); if (one.ok) return one; …; two = await paint(b)`."""
    by_func: dict[ir.Func, list[tuple[Module, ir.Call, ProviderCall]]] = {}
    for module, call, paid in starts(ctx):
        if call.within is not None and call is not paid.call and ir.plain_dotted(call.func):
            by_func.setdefault(call.within, []).append((module, call, paid))
    for func, calls in by_func.items():
        calls.sort(key=lambda each: each[1].line)
        for at, (module, again, paid) in enumerate(calls):
            first = next((one for _, one, _ in calls[:at][::-1] if _failed_before(func, one, again)), None)
            if first is not None:
                message = (
                    f"{paid.api} is started again whatever line {first.line} told but success, each time paid"
                )
                yield finding("blind-post-retry", module, again, message, key=f"verdict {last_name(again.func)}",
                              weight=BARELY, evidence=[Place(module.path, first.line), place(paid)])  # fmt: skip


def _failed_before(func: ir.Func, first: ir.Call, again: ir.Call) -> bool:
    """Whether one call of a helper succeeds by leaving, and else the same helper is called further down."""
    up = first.parent
    name = last_name(up.target) if isinstance(up, ir.Assign) else ""
    if not name or ir.plain_dotted(first.func) != ir.plain_dotted(again.func) or again.line <= first.end:
        return False
    if any(isinstance(each, ir.Loop | ir.Handler) for each in ir.ancestors(again) if each.within is func):
        return False
    above = {*ir.ancestors(again)}
    around = [each for each in ir.ancestors(first) if isinstance(each, ir.If)]
    if any(each in above or each.other or _always_leaves(each.then) for each in around):
        return False
    tests = (each.test for each in branches_around(again) if name in names_in(each.test))
    if any(speaks_of_refusal(one) for each in tests for one in ir.walk(each)):
        return False
    return any(
        first.end <= test.line < again.line
        and name in names_in(test.test)
        and _is_success(test.test)
        and any(isinstance(each, ir.Return) and not each.throws for each in test.then)
        for test in ir.find(func, ir.If)
    )


def _always_leaves(body: list[ir.Node]) -> bool:
    return bool(body) and isinstance(body[-1], ir.Return)


def _is_success(test: ir.Node) -> bool:
    """`one`, `one.ok`, `one.kind === "success"`: what holds where the first came through."""
    if isinstance(test, ir.Bin) and test.op in EQUALITY:
        return test.op not in {"!=", "!=="} and (ir.text_of(test.right) or "").lower() in DONE
    return isinstance(test, ir.Name | ir.Attr)
