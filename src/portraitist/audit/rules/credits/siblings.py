"""Part of the rule on credits: a paid way without the gate that a sibling asks before its own paid call.

A gate is a function of the repository that is named for what may be spent and turns away: by its answer, which the
caller tests and leaves by, or by what it throws. A guard of the whole route is no gate here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.addresses.loose import answers_text
from portraitist.audit.rules.base import finding, helpers_behind, last_name, place
from portraitist.audit.rules.credits.nobody_asked import has_no_member
from portraitist.audit.rules.credits.steps import goes_on
from portraitist.audit.rules.gravity import BARELY

_GATES = re.compile(
    r"(^|_)gate(_|$)|(^|_)(spend|spending|budget|usage|daily|monthly|generation|image|video|plan|tier|trial)_?\w*_?"
    r"(cap|limits?|budget|quota|allowance)(_|$)|quota|entitle|afford|(^|_)can_(\w+_)?(generate|train|create|spend|use)(_|$)"
    r"|(check|enforce|require|assert|ensure|verify)_\w*(credit|balance|quota|usage|spend|budget|cap|plan|subscription|limit)"
)
_RATE = re.compile(r"rate|throttle|ip_")
_ELSE = re.compile(r"file|size|upload|length|format|auth|log|record|track")


def siblings(ctx: Context, ways: list[Flow], opened: list[Flow]) -> Iterator[Finding]:
    """The ways on which nothing is asked (`opened`), where another route asks a gate before its own paid call."""
    if len(ways) < 2 or not opened:
        return
    asked = {each: dict(_gates(ctx, each)) for each in ways}
    known = {name: (flow, line) for flow, own in asked.items() for name, line in own.items()}
    strong = [each for each in sorted(known) if not _RATE.search(snake(each))]
    told: set[tuple[str, int]] = set()
    for flow in opened if known else ():
        call, route = flow.call, flow.route
        module, line = _place_in(ctx, flow)
        if asked[flow] or route is None or (module.path, line) in told:
            continue
        told.add((module.path, line))
        name = (strong or sorted(known))[0]
        other, at = known[name]
        if other.route is None or ctx.role_at(call.module, call.call) not in LIVE_ROLES:
            continue
        quiet = not strong or has_no_member(ctx, flow) or answers_text(call)
        message = f"nothing asks {name} before this paid {call.purpose}; {other.route.key} does"
        yield finding("credit-before-check", module, ir.Other(line, line, []), message, key=f"sibling {route.key}",
                      weight=BARELY if quiet else 44, evidence=[at, place(call)])  # fmt: skip


def _place_in(ctx: Context, flow: Flow) -> tuple[Module, int]:
    """Where the way's first function goes on to the paid call."""
    func = flow.funcs[0]
    module = ctx.program.module_of[func]
    return (
        (module, goes_on(flow, module, func))
        if len(flow.funcs) > 1
        else (flow.call.module, flow.call.call.line)
    )


def _gates(ctx: Context, flow: Flow) -> Iterator[tuple[str, Place]]:
    """The gates that are asked on a way before it goes on, by name, and where."""
    for func in flow.funcs:
        module = ctx.program.module_of[func]
        line = goes_on(flow, module, func)
        for call in ir.find(func, ir.Call):
            name = last_name(call.func)
            plain = snake(name) if call.line < line else ""
            if plain and _GATES.search(plain) and not _ELSE.search(plain) and _turns_away(ctx, func, call):
                yield name, Place(module.path, call.line)


def _turns_away(ctx: Context, func: ir.Func, call: ir.Call) -> bool:
    """Whether a function leaves by what a call answers, or what is called throws."""
    made = ir.enclosing(call, ir.Assign)
    names = variables_in(made.target) if made is not None and made.within is call.within else set()
    for test in ir.find(func, ir.If):
        inside = call in set(ir.walk(test.test))
        if test.line >= call.line and exits(test.then) and (inside or names & variables_in(test.test)):
            return True
    helpers = helpers_behind(ctx, call)
    return any(each.throws for one in helpers for each in ir.find(one, ir.Return))
