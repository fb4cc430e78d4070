"""Part of the rule on credits: credits that could not be taken, which nobody hears of before the paid call.

A stored function of Supabase answers with an error instead of throwing; a helper of the repository may say no by its
answer. What a helper from outside answers is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.calls import returns
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name
from portraitist.audit.rules.credits.effects import balance_effects
from portraitist.audit.rules.failures.answers import error_of
from portraitist.audit.rules.syntax import in_handler, in_other_arm, stands_alone

_QUEUES = re.compile(
    r"(^|_)(enqueue|queue|dispatch|publish|delay|apply_async|add_?(task|job)|(create|submit|start)_?(task|job))",
    re.I,
)
_WORDS = {"success", "ok", "allowed", "deducted"}


def unheeded(ctx: Context, take: ir.Node, func: ir.Func) -> str:
    """Why a take may have failed unheard, or ""; `func` is the function that it stands in."""
    if not isinstance(take, ir.Call):
        return ""
    if isinstance(take.func, ir.Attr) and take.func.name == "rpc":
        module = ctx.program.module_of[func]
        chained = isinstance(take.parent, ir.Attr)
        if module.language != "javascript" or chained:
            return ""
        told = error_of(take, func)
        if told is None:
            return "the error in the answer of what takes the credits is never looked at"
        return "a failure of what takes the credits is only logged" if isinstance(told, ir.If) else ""
    dropped = _is_dropped(take)
    helpers = helpers_behind(ctx, take)
    if dropped and helpers and all(_says_no(each) for each in helpers):
        return f"{helpers[0].name} says by its answer whether it took the credits, and nobody looks at that"
    return ""


def unheard_before_queue(ctx: Context) -> Iterator[Finding]:
    """A helper that lowers a balance, or says no and lowers nothing: its answer is dropped, and the work is queued.

    What a worker makes of a queue's entry is seldom found, so no way leads to the paid call: told by the queue's name.
    """
    paid = {func for flow in ctx.flows for func in flow.funcs}
    for helper, effects in ctx.once(balance_effects).items():
        if {each.kind for each in effects} != {"take"} or not _says_no(helper):
            continue  # what is told by its caller whether to give or to take is followed nowhere here
        there = Place(ctx.program.module_of[helper].path, effects[0].node.line)
        for site in ctx.program.callers.get(helper, ()):
            func, call = site.call.within, site.call
            if func is None or func in paid or not _is_dropped(call) or in_handler(call):
                continue
            queued = next(
                (
                    each
                    for each in ir.find(func, ir.Call)
                    if each.line > call.end and _is_queued(each) and not in_other_arm(call, each)
                ),
                None,
            )
            if queued is not None and ctx.role_at(site.module, call) in LIVE_ROLES:
                message = (
                    f"{helper.name} says by its answer whether it took the credits, and nobody looks at that: line"
                    f" {queued.line} queues the work all the same"
                )
                yield finding("credit-before-check", site.module, call, message, key=f"unheard {helper.name}",
                              weight=50, evidence=[there])  # fmt: skip


def _is_queued(call: ir.Call) -> bool:
    """Whether a call hands work to a queue; `asyncio.create_task` goes on with it here."""
    return _QUEUES.search(last_name(call.func)) is not None and ir.dotted(call.func) != "asyncio.create_task"


def _is_dropped(call: ir.Call) -> bool:
    """Whether nothing takes what a call answers, in the body of a `with` too."""
    around = call.parent
    inside = isinstance(around, ir.Other) and around.kind == "with" and call.line > around.line
    return inside or stands_alone(call)


def _says_no(func: ir.Func) -> bool:
    """Whether a function gives back a no in one place and something else in another, and throws nothing."""
    given = returns(func)
    no = [each for each in given if _is_no(each)]
    throws = any(each.throws and each.within is func for each in ir.find(func, ir.Return))
    return bool(no) and len(no) < len(given) and not throws


def _is_no(value: ir.Node) -> bool:
    if isinstance(value, ir.Obj):
        told = value.get(*_WORDS)
        return isinstance(told, ir.Lit) and told.value is False
    if isinstance(value, ir.Arr) and value.items:
        return _is_no(value.items[0])
    return isinstance(value, ir.Lit) and value.value is False
