"""Part of the rule on states that stay open: a refusal of the provider that is read as work that still runs.

Only requests that do not throw where they are refused, and whose answer nobody asks whether it is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in
from portraitist.audit.rules.failures.quiet import goes_round
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE, LOST, RESTING, RUNNING
from portraitist.audit.rules.states.marks import states_of
from portraitist.audit.rules.states.rest import is_open, rest_of

_ASKS_NOTHING = re.compile(r"^fetch$|(^|\.)(requests|httpx|session|client|http|cl|s)\.get$")
_CHECKS = {
    "ok",
    "raise_for_status",
    "status_code",
    "statusText",
    "is_success",
    "is_error",
    "detail",
    "error",
    "title",
}
_OPEN = RUNNING | RESTING


def refusals_as_work(ctx: Context) -> Iterator[Finding]:
    """`(await fetch(prediction)).json()`, its state tested for the last words, and all else called under way.

    A 401, a 404 and a 500 have no state that is one of those. What takes a member that must be there raises, and is
    left alone.
    """
    for call in ctx.calls:
        func = call.func
        if call.sdk or call.purpose != "status" or func is None or not _unchecked(ctx, call, func):
            continue
        end = _taken_for_work(call, func)
        if end is not None and ctx.role_at(call.module, call.call) in LIVE_ROLES:
            keeps = any(each.func is func and states_of(each) for each in live_statements(ctx, "write"))
            message = "a refusal of the provider (401, 404, 500) has no such state, and counts as work under way here"
            weight = 30 if keeps else BARELY
            yield finding("stuck-status", call.module, call.call, message, key="refusal", weight=weight,
                          end=max(end.end, call.call.end), evidence=[Place(call.module.path, end.line)])  # fmt: skip


def _unchecked(ctx: Context, call: ProviderCall, func: ir.Func) -> bool:
    """Whether the request does not throw for a refusal, and nothing in its function asks whether it was one."""
    if not _ASKS_NOTHING.search(ir.plain_dotted(call.call.func)) or ctx.program.functions_called(call.call):
        return False
    if _CHECKS & {each.name for each in ir.find(func, ir.Attr)} or _CHECKS & _asked(func):
        return False
    if any(ir.text_of(each.key) == "status" for each in ir.find(func, ir.Index)):
        return False
    made = next((each for each in ir.ancestors(call.call) if isinstance(each, ir.Assign | ir.Func)), None)
    name = made.target.id if isinstance(made, ir.Assign) and isinstance(made.target, ir.Name) else ""
    return not any(
        each.name == "status" and last_name(each.obj) == name for each in ir.find(func, ir.Attr) if name
    )


def _asked(func: ir.Func) -> set[str]:
    """What `answer.get("…")` asks for."""
    gets = (each for each in ir.find(func, ir.Call) if last_name(each.func) == "get" and each.args)
    return {text for each in gets if (text := ir.text_of(each.args[0]))}


def _taken_for_work(call: ProviderCall, func: ir.Func) -> ir.Node | None:
    """Where what is neither done nor lost goes on: the last branch, the last way out, or a further round."""
    tests = [
        each
        for each in ir.find(func, ir.Bin)
        if "succeeded" in names_in(each) and each.line >= call.call.line
    ]
    if not tests and not any("succeeded" in names_in(each.test) for each in ir.find(func, ir.Loop)):
        return None
    rest = next((each[0] for each in rest_of(func) if is_open(each)), None)
    if rest is not None:
        return rest
    for each in ir.ancestors(call.call):
        if each is func:
            break
        if isinstance(each, ir.Loop) and goes_round(each):
            return each.test or each
    return next((each for each in ir.find(func, ir.Return) if _is_last(each, func, tests)), None)


def _is_last(leave: ir.Return, func: ir.Func, tests: list[ir.Bin]) -> bool:
    """`return "training"` below the tests, under none of them."""
    words = {str(text).lower() for each in ir.find(leave, ir.Lit) if (text := ir.text_of(each))}
    below = leave.within is func and bool(tests) and leave.line > tests[0].line
    if not below or not words & _OPEN or words & (DONE | LOST):
        return False
    return not any(
        isinstance(each, ir.If | ir.Handler) and each.within is func for each in ir.ancestors(leave)
    )
