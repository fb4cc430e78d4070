"""The risk of credits that are not asked for, not taken, or not given back around a paid call.

Works on the functions between a route and the paid call, and on what helpers of the repository do for them.
What a database does by itself is not seen, but for triggers that take credits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.addresses.loose import answers_text
from portraitist.audit.rules.again.deliveries import counted_again
from portraitist.audit.rules.base import (
    finding,
    hears_provider,
    last_name,
    names_in,
    place,
    way_out_of,
)
from portraitist.audit.rules.credits.amounts import amounts
from portraitist.audit.rules.credits.background import marked_failed, queued_and_failed
from portraitist.audit.rules.credits.bots import of_members
from portraitist.audit.rules.credits.charged_twice import charged_twice
from portraitist.audit.rules.credits.counted import counted_first, given_twice
from portraitist.audit.rules.credits.decided import decided
from portraitist.audit.rules.credits.escaped import escaped
from portraitist.audit.rules.credits.flags import decided_by_request
from portraitist.audit.rules.credits.given_back import failed_branch, given_back_later
from portraitist.audit.rules.credits.granted import given_for_the_asking
from portraitist.audit.rules.credits.later import left_to_others
from portraitist.audit.rules.credits.ledger import MONEY, NOTHING, Ledger, named_kinds
from portraitist.audit.rules.credits.lowered import lowered
from portraitist.audit.rules.credits.nobody_asked import has_no_member
from portraitist.audit.rules.credits.one_at_a_time import lets_one_in
from portraitist.audit.rules.credits.priced import priced_by_request
from portraitist.audit.rules.credits.purses import stored
from portraitist.audit.rules.credits.raced import raced
from portraitist.audit.rules.credits.refunds import refunds
from portraitist.audit.rules.credits.rows_later import asks_number, by_rows, limits
from portraitist.audit.rules.credits.steps import Step, answers_of, before_call, goes_on, steps_of
from portraitist.audit.rules.credits.thrown import kept_when_thrown
from portraitist.audit.rules.credits.unbooked import unbooked
from portraitist.audit.rules.credits.unequal import unequal
from portraitist.audit.rules.credits.unheeded import unheeded
from portraitist.audit.rules.credits.ways_out import kept
from portraitist.audit.rules.failures.passed_over import beside
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler

MAX_STATEMENT = 12
"""How many lines a statement that takes credits may have: what is said of a line inside is said of the same."""


def credit_before_check(ctx: Context) -> Iterator[Finding]:
    """Credits around a paid call: not asked for, taken after it, not taken at all, or kept when it fails.

    Judged for each way from a route to the paid call: a call that nothing asks before while another paid route's
    credits are asked; a take behind the call (requests side by side all pass the check) or before the check; a take
    before the call that no code on the way gives back when it fails; credits that are looked at and never taken on
    the way or by a webhook. A check in a guard, a plan or a payment counts as one, and so does a state that lets once.
    Also credits given for the asking (`granted`) or lost twice (`charged_twice`), balances lowered in memory (`raced`),
    limits that count rows (`rows_later`), what is sold unpaid (`unpaid`), prices and flags that the request says itself
    (`priced`, `flags`), wrong refunds (`refunds`), limits nobody keeps to (`escaped`), two at once (`decided`).
    """
    ledger, flows = Ledger(ctx), of_members(ctx)
    yield from (told := [*_told(ctx, ledger, flows)])
    yield from beside(told, decided(ctx, ledger, flows))


def _told(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """What is seen on the ways to paid calls, and where credits are given or lost."""
    yield from given_for_the_asking(ctx)
    yield from unbooked(ctx)
    yield from priced_by_request(ctx)
    yield from counted_first(ctx)
    yield from counted_again(ctx)
    yield from given_twice(ctx, ledger)
    hooks = _hook_handlers(ctx)
    seen: dict[str, list[Finding]] = {}
    ways: tuple[Iterator[Finding], ...] = (by_rows(ctx, flows),)
    if _has_credits(ctx, ledger, flows):
        ways = (
            amounts(ctx, flows),
            *ways,
            unequal(ctx, list(dict.fromkeys(func for flow in flows for func in flow.funcs))),
            charged_twice(ctx, ledger, flows),
            _judged_all(ctx, ledger, flows, hooks),
            queued_and_failed(ctx, ledger),
            refunds(ctx, ledger, flows),
            raced(ctx),
            lowered(ctx, ledger),
        )
    first, last = decided_by_request(ctx, ledger, flows), escaped(ctx, ledger, flows, hooks)
    for found in itertools.chain(first, *ways, last):
        here = seen.setdefault(found.path, [])
        if not any(found.line in {each.line, *_lines_of_take(each)} for each in here):
            here.append(found)
            yield found


def _lines_of_take(found: Finding) -> range:
    """The lines of a statement that is judged already; the branches of handlers are no statements."""
    return range(
        found.line, found.end_line + 1 if found.end_line - found.line < MAX_STATEMENT else found.line
    )


def _judged_all(ctx: Context, ledger: Ledger, flows: list[Flow], hooks: list[ir.Func]) -> Iterator[Finding]:
    """The findings of every way."""
    for flow in flows:
        if any(func in hooks for func in flow.funcs):
            continue
        yield from _judged(ctx, ledger, flow, hooks)


def _has_credits(ctx: Context, ledger: Ledger, flows: list[Flow]) -> bool:
    """Whether the product knows credits: something takes them, stores them, or asks for them on a paid way."""
    kinds = ledger.kinds
    return (
        any("take" in each for each in kinds.values())
        or ctx.once(stored) is not None
        or any("check" in kinds.get(func, NOTHING) for flow in flows for func in flow.funcs)
        or any("check" in kinds.get(func, NOTHING) for func in ctx.handled_by)
    )


def _hook_handlers(ctx: Context) -> list[ir.Func]:
    """The handlers of any webhook, and of jobs, in their routes' order: what they start was asked for before."""
    found = (
        target.node
        for route in ctx.routes
        for target in route.handlers
        if isinstance(target.node, ir.Func)
        and (hears_provider(ctx, route) or re.search(r"webhook|callback|/hooks?/|cron", route.path, re.I))
    )
    return list(dict.fromkeys(found))


def _judged(ctx: Context, ledger: Ledger, flow: Flow, hooks: list[ir.Func]) -> Iterator[Finding]:
    steps = steps_of(ctx, ledger, flow)
    kinds = {each.event.kind for each in steps}
    if "take" not in kinds:
        counted = any(ctx.once(limits, each) or ctx.once(asks_number, each) for each in flow.funcs)
        if not (kinds or counted or _asked_in_front(flow) or _allowed_once(ctx, flow)):
            yield _unasked(ctx, ledger, flow)
        elif any(_is_asked_for(each) for each in steps):
            left = left_to_others(ctx, ledger, flow, hooks, steps)
            if left is not None:
                yield _at_call(flow, left[0], 45, left[1])
                asked = [each for each in steps if _is_asked_for(each)][-1]
                yield _at_step(
                    flow, asked, left[0].replace("looked at", "asked for here"), BARELY, key="asked "
                )
        return
    takes = [each for each in steps if each.event.kind == "take" and not in_handler(each.event.node)]
    if not takes:
        return  # what is done about a failure takes nothing, whatever it is called
    checks = [each for each in steps if each.event.kind == "check"]
    early = before_call(flow, takes)
    if early:
        if not _in_transaction(flow.call.call):
            yield from _kept(ctx, ledger, flow, steps, early[0])
            yield from _kept_by_webhook(ctx, ledger, flow, early[0], hooks)
            yield from kept(ctx, ledger, flow, steps, early[0])
        yield from _taken_unchecked(flow, early[0], checks)
        yield from _unheeded(ctx, flow, early[0], checks)
    elif not any(each.before and _asks(each) for each in steps):
        yield _at_call(
            flow,
            f"the paid {flow.call.purpose} runs before any look at the credits that are taken",
            52,
            Place(takes[0].module.path, takes[0].event.line),
        )
        message = f"credits are taken here, and nothing looked at them before the paid {flow.call.purpose}"
        yield _at_step(flow, takes[0], message, BARELY, key="taken ")
    elif not any(ctx.once(lets_one_in, each) for each in flow.funcs):
        yield _at_step(
            flow,
            takes[0],
            f"credits are taken only after the paid {flow.call.purpose}: requests side by side all pass",
            46,
        )
        for asked in [each for each in checks if each.before][-1:]:
            message = f"what is asked for here is taken only after the paid {flow.call.purpose}"
            yield _at_step(flow, asked, message, BARELY, key="asked ")


def _asks(step: Step) -> bool:
    """Whether a step tests or calls something; a row that is only read decides nothing."""
    return step.event.kind == "check" or isinstance(step.event.node, ir.If | ir.Cond)


def _is_asked_for(step: Step) -> bool:
    """Whether a step asks for something that is taken: credits, not a quota that is counted from rows."""
    if step.event.kind != "check" or not step.before:
        return False
    words = names_in(
        step.event.node.test if isinstance(step.event.node, ir.If | ir.Cond) else step.event.node
    )
    return any(re.search(r"credit|balance|coins", each, re.I) for each in words if " " not in each)


def _asked_in_front(flow: Flow) -> bool:
    """Whether a guard of the route, or a dependency that its handler declares, is named for money or a role."""
    guards = [node for _, node in flow.route.guards] if flow.route is not None else []
    declared = [each.default for func in flow.funcs for each in func.params if each.default is not None]
    return any(MONEY.search(snake(name)) for each in (*guards, *declared) for name in names_in(each))


def _allowed_once(ctx: Context, flow: Flow) -> bool:
    """Whether a state of the row turns everybody away who was here before: asked for, and changed, on the way."""
    for func in flow.funcs:
        line = goes_on(flow, ctx.program.module_of[func], func)
        written = {
            snake(use.column)
            for each in ctx.statements_under.get(func, [])
            if each.kind == "write" and not each.insert
            for use in each.columns
        }
        for branch in ir.find(func, ir.If) if written else ():
            tests = ir.find(branch.test, ir.Bin) if branch.line < line and exits(branch.then) else ()
            if any(snake(last_name(each.left)) in written and ir.text_of(each.right) for each in tests):
                return True
    return False


def _taken_unchecked(flow: Flow, take: Step, checks: list[Step]) -> Iterator[Finding]:
    """A take that stands before every check in its own function."""
    if any(each.event.node is take.event.node for each in checks):
        return  # the take itself checks
    mine = [each for each in checks if each.func is take.func]
    before = [each for each in mine if each.before]
    later = before and all(each.event.line > take.event.end for each in before)
    elsewhere = any(each.func is not take.func for each in checks)
    if later and not elsewhere and not _answer_tested(take, before):
        yield _at_step(flow, take, "credits are taken before they are checked", 52)


def _unheeded(ctx: Context, flow: Flow, take: Step, checks: list[Step]) -> Iterator[Finding]:
    """A take whose no nobody hears; worse where nothing else asks."""
    why = unheeded(ctx, take.event.node, take.func)
    if why:
        asked = any(each.before and each.event.node is not take.event.node for each in checks)
        message = f"{why}: the paid {flow.call.purpose} is made all the same"
        yield _at_step(flow, take, message, 47 if asked else 58)


def _answer_tested(take: Step, later: list[Step]) -> bool:
    """Whether the tests behind a take ask for its answer: `const took = await use(); if (!took.credits) …`."""
    made = ir.enclosing(take.event.node, ir.Assign)
    names = variables_in(made.target) if made is not None else set()
    return any(
        names & names_in(each.event.node.test)
        for each in later
        if isinstance(each.event.node, ir.If | ir.Cond)
    )


def _kept(ctx: Context, ledger: Ledger, flow: Flow, steps: list[Step], take: Step) -> Iterator[Finding]:
    """A take before the call that nothing on the way gives back, or not everything that leaves."""
    left = _leaves_without(ledger, take)
    if not any(each.event.kind == "give" for each in steps):
        back = given_back_later(ctx, ledger, flow)
        fails = "fails" if back is None else "cannot be started: only a run that fails later gives them back"
        message = f"credits are taken before the paid {flow.call.purpose} and not given back when it {fails}"
        taken = Place(take.module.path, take.event.line)
        yield _at_step(flow, take, message, 50, *([back] if back else []))
        if marked := marked_failed(ctx, ledger, flow, take.func, taken):
            yield marked
    elif left is not None:
        message = f"credits are taken here and kept when line {left.line} leaves with an error"
        yield _at_step(flow, take, message, 50)
    elif (given := _plain_give(ctx, steps, take)) is not None and kept_when_thrown(
        ctx, ledger, flow, take.func
    ):
        where = Place(given.module.path, given.event.line)
        kind = flow.call.purpose
        message = (
            f"no error of the {kind} comes to line {where.line}, where the credits taken here are given back"
        )
        yield _at_step(flow, take, message, 49, where)


def _plain_give(ctx: Context, steps: list[Step], take: Step) -> Step | None:
    """A step that gives back by its own name or statement, and takes nothing."""
    for each in steps:
        node = each.event.node
        helper = isinstance(node, ir.Call) and bool(ctx.program.functions_called(node))
        named = not helper or (isinstance(node, ir.Call) and "give" in named_kinds(node))
        if each.event.kind == "give" and named and node is not take.event.node:
            return each
    return None


def _kept_by_webhook(
    ctx: Context, ledger: Ledger, flow: Flow, take: Step, hooks: list[ir.Func]
) -> Iterator[Finding]:
    """A take before the call that the handler of the provider's webhook does not give back on a failure."""
    if not (flow.call.fields("webhook") or flow.call.api.endswith("create")):
        return
    places = {(each.path, each.line) for each in ctx.of("webhook")}
    for func in hooks:
        branch = failed_branch(ctx, func)
        module = ctx.program.module_of[func]
        told = branch is not None and (module.path, func.line) in places
        if told and branch is not None and not any(each.kind == "give" for each in ledger.events(func)):
            message = "a failure is heard of here and the credits taken for it are not given back"
            last = max(each.end for each in (branch.test, *branch.then))
            yield finding("credit-before-check", module, branch, message, key="refund", weight=48,
                          end=last, evidence=[Place(take.module.path, take.event.line)])  # fmt: skip


def _in_transaction(call: ir.Call) -> bool:
    """Whether a paid call stands inside a transaction, which takes everything back when it throws."""
    around = (each for each in ir.ancestors(call) if isinstance(each, ir.Call))
    return any(re.search(r"transaction|atomic", ir.dotted(each.func)) for each in around)


def _leaves_without(ledger: Ledger, take: Step) -> ir.Return | None:
    """An error answered behind a take, in a branch that gives nothing back and does not ask for the take's answer."""
    gives = {each.node for each in ledger.events(take.func) if each.kind == "give"}
    names = answers_of(take)
    for leave in ir.find(take.func, ir.Return):
        branch = way_out_of(leave)
        caught = in_handler(leave)
        outside = leave.within is not take.func or leave.throws or caught or leave.line <= take.event.end
        tests = [each.test for each in ir.ancestors(leave) if isinstance(each, ir.If)]
        if outside or not isinstance(branch, ir.If) or any(names & names_in(each) for each in tests):
            continue
        if _is_error(leave) and not gives & set(ir.walk(branch)):
            return leave
    return None


def _is_error(leave: ir.Return) -> bool:
    """Whether an answer has a status of 400 or more: an option, the second of a pair, `res.status(400)`."""
    value = leave.value
    given = [each.value for each in ir.find(leave, ir.Prop) if each.key in {"status", "status_code"}]
    if isinstance(value, ir.Arr) and len(value.items) > 1:
        given.append(value.items[1])
    calls = ir.find(value, ir.Call) if isinstance(value, ir.Call) else ()
    given += [each.args[0] for each in calls if last_name(each.func) == "status" and len(each.args) == 1]
    numbers = [each.value for each in given if isinstance(each, ir.Lit) and isinstance(each.value, int)]
    return any(each >= 400 for each in numbers)


def _unasked(ctx: Context, ledger: Ledger, flow: Flow) -> Finding:
    message = f"the {flow.call.purpose} is paid here and nothing on the way asks for credits or a limit"
    kept = ctx.once(stored)
    taken = any("take" in each for each in ledger.kinds.values())
    quiet = has_no_member(ctx, flow)
    if kept is None or taken:
        weight = 50 if taken and not quiet and not answers_text(flow.call) else BARELY
        return _at_call(flow, message, weight, place(flow.call))
    return _at_call(flow, f"{message}: nothing takes from {kept[0]}", BARELY if quiet else 46, kept[1])


def _at_call(flow: Flow, message: str, weight: int, proof: Place) -> Finding:
    """A finding at the line by which the way's first function goes on to the paid call."""
    module, node = _first_step(flow)
    return finding("credit-before-check", module, node, message, key=flow.call.api, weight=weight,
                   evidence=[proof], line=node.line)  # fmt: skip


def _first_step(flow: Flow) -> tuple[Module, ir.Node]:
    call = flow.call
    for each in flow.steps[1:] if flow.route is not None else ():
        if flow.route is not None and each.path == flow.route.module.path:
            return flow.route.module, ir.Other(each.line, each.line, [])
    return call.module, call.call


def _at_step(flow: Flow, step: Step, message: str, weight: int, *more: Place, key: str = "") -> Finding:
    return finding("credit-before-check", step.module, step.event.node, message, key=key + flow.call.api, weight=weight,
                   line=step.event.line, end=step.event.end, evidence=[place(flow.call), *more])  # fmt: skip
