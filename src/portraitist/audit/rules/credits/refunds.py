"""Part of the rule on credits: refunds that come twice, of the wrong sum, or not where a failure is heard of.

What a helper or a stored function asks before it gives back is not seen, but where it is told for which work: such a
refund counts as asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name, names_in
from portraitist.audit.rules.credits.cancelled import cancelled
from portraitist.audit.rules.credits.copied_status import copied_status
from portraitist.audit.rules.credits.counted import gives_blindly
from portraitist.audit.rules.credits.effects import AMOUNT
from portraitist.audit.rules.credits.given_back import failed_branch, given_back_later
from portraitist.audit.rules.credits.ledger import Event, Ledger, named_kinds
from portraitist.audit.rules.credits.one_way_back import one_way_back
from portraitist.audit.rules.credits.set_back import set_back
from portraitist.audit.rules.credits.stale_rows import stale_rows
from portraitist.audit.rules.credits.steps import Step, steps_of
from portraitist.audit.rules.credits.unequal import in_any_case
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, outermost

_BALANCE = re.compile(r"(^|_)balance$|^(current|old|previous|original)_credits$")
_OUTPUT = re.compile(r"(output|image|picture|photo|video|result)s?$|(^|_)urls?$")


def refunds(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """Everything of this file, on the ways to paid calls and where their outcome is heard of."""
    for func in dict.fromkeys(func for flow in flows for func in flow.funcs):
        if ctx.role_at(ctx.program.module_of[func], func) in LIVE_ROLES:
            yield from _given_again(ctx, ledger, func)
    yield from set_back(ctx, ledger)
    yield from _whole(ctx, ledger)
    yield from _heard(ctx, ledger, flows)
    yield from _without_output(ctx, ledger)
    yield from cancelled(ctx, ledger)
    yield from one_way_back(ctx)
    yield from copied_status(ctx, ledger, flows)
    yield from stale_rows(ctx, flows)


def _gives(ledger: Ledger, func: ir.Func) -> list[Event]:
    return [each for each in ledger.events(func) if each.kind == "give"]


def _given_again(ctx: Context, ledger: Ledger, func: ir.Func) -> Iterator[Finding]:
    """A refund in a `try`, and one for every error of it: what is thrown behind the first comes to the second too."""
    own = [each for inner in ir.find(func, ir.Func) for each in ledger.own.get(inner, ())]
    gives = [each for each in own if each.kind == "give"]  # what a helper does in its turn may be for later
    module = ctx.program.module_of[func]
    for attempt in ir.find(func, ir.Try) if len(gives) > 1 else ():
        handler = attempt.handlers[-1] if attempt.handlers else None
        back = next((each for each in gives if handler is not None and _within(each, handler)), None)
        if (
            handler is None
            or back is None
            or not in_any_case(back.node, handler)
            or not gives_blindly(back.node)
        ):
            continue
        inside = [each for each in gives if any(_within(each, part) for part in attempt.body)]
        for give in inside:
            caught = in_handler(give.node) and ir.enclosing(give.node, ir.Try) is not attempt
            if caught or give.node.within is not attempt.within:
                continue
            ways = _behind(give.node, attempt)
            thrown = next((each for each in ways if isinstance(each, ir.Return)), None)
            proof = [Place(module.path, back.line)]
            if isinstance(thrown, ir.Return) and thrown.throws:
                message = (
                    f"credits are given back here, and once more by line {back.line}, where the error of line"
                    f" {thrown.line} comes"
                )
                yield finding("credit-before-check", module, give.node, message, key="again given", weight=61,
                              end=thrown.end, evidence=proof)  # fmt: skip
            elif thrown is None and any(
                each.line > give.end for part in attempt.body for each in ir.find(part, ir.Call)
            ):
                message = (
                    "credits are given back here, and an error behind it gives them back once more at line"
                    f" {back.line}"
                )
                yield finding("credit-before-check", module, give.node, message, key="again given", weight=BARELY,
                              end=give.end, evidence=proof)  # fmt: skip


def _within(event: Event, node: ir.Node) -> bool:
    return node.line <= event.line and event.end <= node.end


def _behind(node: ir.Node, attempt: ir.Try) -> Iterator[ir.Node]:
    """The statements that follow one, out to the attempt that it stands in."""
    below = node
    for each in ir.ancestors(node):
        for body in ir.bodies_of(each):
            if below in body:
                yield from body[body.index(below) + 1 :]
        if each is attempt:
            return
        below = each


def _whole(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """A refund of what the balance was, to a helper that takes an amount."""
    for func, events in ledger.own.items():
        for event in events:
            call = event.node
            if event.kind != "give" or not isinstance(call, ir.Call) or "give" not in named_kinds(call):
                continue
            for helper, told in _told_balance(ctx, call):
                module = ctx.program.module_of[func]
                message = f"{helper.name} is told the whole balance ({told}) as the amount to give"
                proof = [Place(ctx.program.module_of[helper].path, helper.line)]
                yield finding("credit-before-check", module, call, message, key="whole balance", weight=60,
                              end=call.end, evidence=proof)  # fmt: skip


def _told_balance(ctx: Context, call: ir.Call) -> Iterator[tuple[ir.Func, str]]:
    """The helper that a call hands a balance for an amount, and the balance."""
    for helper in helpers_behind(ctx, call)[:1]:
        for param in helper.params:
            given = argument_for(call, helper, param)
            balance = isinstance(given, ir.Attr | ir.Name) and _BALANCE.search(snake(last_name(given)))
            if balance and given is not None and AMOUNT.search(snake(param.name or "")):
                yield helper, ir.dotted(given)


def _heard(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """A failure that is heard of where the work is asked for, whose credits are given back nowhere."""
    told: set[ir.Node] = set()
    asking = [each for each in ctx.calls if each.purpose == "status" and each.func is not None]
    starting = {func for flow in flows for func in flow.funcs}
    for flow in flows:
        takes = [each for each in steps_of(ctx, ledger, flow) if each.event.kind == "take"]
        if not takes or any(_gives(ledger, func) for func in flow.funcs):
            continue
        if not flow.call.api.endswith("create") or given_back_later(ctx, ledger, flow) is not None:
            continue
        for call in asking:
            func = call.func
            if func is None or not _same_kind(call, flow) or _gives(ledger, outermost(func)):
                continue
            if func in starting and func not in flow.funcs:
                continue  # asks for what it has started itself
            branch = _lost_branch(ctx, outermost(func), call.call.line)
            take = next((each for each in takes if branch is not None and _taken_before(each, branch)), None)
            if (
                branch is None
                or take is None
                or branch in told
                or ctx.role_at(call.module, branch) not in LIVE_ROLES
            ):
                continue
            told.add(branch)
            message = f"a failed {flow.call.purpose} is heard of here and the credits taken for it are not given back"
            yield finding("credit-before-check", call.module, branch, message, key=f"heard {flow.call.purpose}",
                          weight=48 if func in flow.funcs else BARELY, end=branch.end,
                          evidence=[Place(take.module.path, take.event.line)])  # fmt: skip


def _taken_before(take: Step, branch: ir.Node) -> bool:
    """Whether credits are taken before the work is begun, or above a branch in the same function."""
    inside = take.func.line <= branch.line <= take.func.end
    return take.before or (inside and take.event.end < branch.line)


def _same_kind(call: ProviderCall, flow: Flow) -> bool:
    """Whether a question is for the kind of work that a way starts."""
    return ("training" in call.api) == (flow.call.purpose == "training")


def _lost_branch(ctx: Context, func: ir.Func, line: int) -> ir.Node | None:
    """The branch of a function for work that failed, behind a line: named so, or what else a success leaves."""
    branch = failed_branch(ctx, func)
    if branch is not None and branch.line > line:
        return branch
    for each in ir.find(func, ir.If):
        words = names_in(each.test)
        if each.line > line and "succeeded" in words and each.other and exits(each.other):
            first, last = each.other[0], each.other[-1]
            return ir.Other(first.line, last.end, [])
    return None


def _without_output(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """A way out for work that ended without a result, in a function that gives credits back for failures only."""
    for func, kinds in ledger.kinds.items():
        branch = failed_branch(ctx, func) if func.within is None and "give" in kinds else None
        gives = _gives(ledger, func) if branch is not None else []
        if branch is None or not any(branch.line < each.line <= branch.end for each in gives):
            continue
        module = ctx.program.module_of[func]
        for test in ir.find(func, ir.If):
            leaves = [
                each for part in test.then for each in ir.find(part, ir.Return) if each.within is test.within
            ]
            quiet = leaves and not any(each.throws for each in leaves)
            given = any(test.line <= each.line <= test.end for each in gives)
            if quiet and not given and _asks_for_none(test) and ctx.role_at(module, test) in LIVE_ROLES:
                message = (
                    "work that ended without a result leaves here, and only a failure gives its credits back"
                )
                last = max(each.end for each in test.then)
                yield finding("credit-before-check", module, test, message, key="no result", weight=BARELY, end=last,
                              evidence=[Place(module.path, branch.line)])  # fmt: skip
                break


def _asks_for_none(test: ir.If) -> bool:
    """Whether a branch is for work that succeeded without a result: `!output`, `urls.length === 0`."""
    asked = test.test
    nothing = isinstance(asked, ir.Bin) and (
        asked.op in {"!", "not"}
        or (
            asked.op in {"==", "===", "is"}
            and isinstance(asked.right, ir.Lit)
            and asked.right.value in {0, None}
        )
    )
    named = any(_OUTPUT.search(snake(each)) for each in names_in(asked) if " " not in each)
    around = (each for each in ir.ancestors(test) if isinstance(each, ir.If))
    return nothing and named and any("succeeded" in names_in(each.test) for each in around)
