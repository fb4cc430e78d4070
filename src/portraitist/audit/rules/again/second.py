"""Paid work that is started a second time where the first start failed: by the same call, by another, or by a helper.

Reads handlers and what stands behind them, and the loops of attempts around helpers that lead to a paid call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.by_status import names_attempts
from portraitist.audit.rules.again.loops import after_what, end_of, repeats
from portraitist.audit.rules.again.refused import when_refused
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.own_requests import own_requests
from portraitist.audit.rules.syntax import attempt_around, calls_in, spelled


def second_attempts(ctx: Context) -> Iterator[Finding]:
    """The very same paid call, or the same work by another method, in the handler of the first one's errors."""
    for call in ctx.creates():
        yield from _after_a_failure(ctx, call)
        attempt = tried_before(call.call, call.func)
        if attempt is None:
            continue
        inside = {each for part in attempt.body for each in ir.walk(part)}
        tried = [
            each
            for each in ctx.creates()
            if each.call in inside and not _apart(attempt, each.call, call.call)
        ]
        first = next((each for each in tried if _alike(each, call)), None)
        if first is not None:
            message = f"{call.api} is sent a second time when the first fails, each time paid"
            yield finding("blind-post-retry", call.module, call.call, message, key=call.api, weight=62,
                          evidence=[place(first)])  # fmt: skip
        elif tried and not _tests_within(attempt, call.call):
            message = f"{call.api} is started as well when line {tried[0].call.line} fails in any way"
            yield finding("blind-post-retry", call.module, call.call, message, key=f"other {call.api}", weight=BARELY,
                          evidence=[place(tried[0])])  # fmt: skip
    yield from _called_again(ctx)


def _after_a_failure(ctx: Context, call: ProviderCall) -> Iterator[Finding]:
    """`try { return await pro() } catch { log }`, and behind that another paid call for the same."""
    above = set(ir.ancestors(call.call))
    for first in ctx.creates():
        if first.func is not call.func or first.func is None or first.call.line >= call.call.line:
            continue
        attempt = attempt_around(first.call)
        if (
            attempt is None
            or attempt in above
            or attempt.end >= call.call.line
            or attempt.parent not in above
        ):
            continue
        leaves = any(
            isinstance(one, ir.Return) and not one.throws for part in attempt.body for one in ir.walk(part)
        )
        logs = all(only_logs(each.body) for each in attempt.handlers)
        if leaves and logs:
            message = f"{call.api} is started as well when line {first.call.line} fails in any way"
            yield finding("blind-post-retry", call.module, call.call, message, key=f"after {call.api}", weight=BARELY,
                          evidence=[place(first)])  # fmt: skip
            return


def _alike(first: ProviderCall, again: ProviderCall) -> bool:
    return spelled(first.call) == spelled(again.call) or _same_work(first, again)


def _called_again(ctx: Context) -> Iterator[Finding]:
    """A helper on the way to a paid call, called again where its first call failed: alike, or in a loop of attempts."""
    sites = ctx.once(paid_sites)
    for call, (module, paid) in sites.items():
        loop = next((each for each in ir.ancestors(call) if _repeats_within(each, call)), None)
        if loop is not None and paid.call not in set(ir.walk(call)):
            message = f"{paid.api} is started again {after_what(call, loop=loop)}, each time paid"
            yield finding("blind-post-retry", module, call, message, key=f"loop {last_name(call.func)}", weight=60,
                          end=end_of(loop, call), evidence=[Place(module.path, loop.line), place(paid)])  # fmt: skip
            continue
        attempt = tried_before(call, call.within) if call.args or call.kw else None
        bodies = attempt.body if attempt is not None else []
        firsts = [each for part in bodies for each in ir.find(part, ir.Call) if each in sites]
        first = next((each for each in firsts if spelled(each) == spelled(call)), None)
        if first is not None and attempt is not None and not _apart(attempt, first, call):
            message = f"{paid.api} is started a second time when the first call fails, each time paid"
            yield finding("blind-post-retry", module, call, message, key=last_name(call.func), weight=62,
                          evidence=[Place(module.path, first.line), place(paid)])  # fmt: skip


def paid_sites(ctx: Context) -> dict[ir.Call, tuple[Module, ProviderCall]]:
    """The live calls of functions on the way to a paid call, each with its file and that call; to be asked once.

    A request to a route of the repository that leads to one is such a call, too.
    """
    paying = {func: flow.call for flow in ctx.flows if flow.route is not None for func in flow.route.funcs}
    asked = {
        call: (ctx.program.module_of[call.within], paying[func])
        for call, route in ctx.once(own_requests).items()
        for func in route.funcs
        if func in paying and call.within is not None
    }
    return asked | {
        site.call: (site.module, flow.call)
        for flow in ctx.flows
        for func in flow.funcs
        for site in ctx.program.callers.get(func, [])
        if ctx.role_at(site.module, site.call) in LIVE_ROLES
    }


def _repeats_within(loop: ir.Node, call: ir.Call) -> bool:
    """Whether a loop of the same function that names its attempts calls a helper again when it fails.

    What is handed to that function is told where it is handed over.
    """
    if not isinstance(loop, ir.Loop) or loop.within is not call.within or not repeats(loop, call):
        return False
    handed = {each.name for each in loop.within.params} if loop.within is not None else set()
    return names_attempts(loop) and not (isinstance(call.func, ir.Name) and call.func.id in handed)


def tried_before(call: ir.Call, func: ir.Func | None) -> ir.Try | None:
    """The attempt in whose handler a call stands, unless that asks whether the first was turned away."""
    handler = ir.enclosing(call, ir.Handler)
    attempt = handler.parent if handler is not None else None
    if handler is None or not isinstance(attempt, ir.Try) or ir.enclosing(handler, ir.Func) is not func:
        return None
    return None if is_before_start(handler, attempt) or when_refused(call) else attempt


def is_before_start(handler: ir.Handler, attempt: ir.Try) -> bool:
    """Whether a handler is for errors that are raised before anything is paid."""
    return any(_REFUSED.search(each) for each in names_in(handler.catches)) or _lacks_loop(handler, attempt)


def _lacks_loop(handler: ir.Handler, attempt: ir.Try) -> bool:
    """`loop = asyncio.get_event_loop() … except RuntimeError`: what failed is the loop, before anything was sent."""
    asks = (last_name(each.func) for each in calls_in(attempt.body))
    return names_in(handler.catches) == {"RuntimeError"} and any(each in _LOOPS for each in asks)


_LOOPS = {"get_event_loop", "get_running_loop"}
_REFUSED = re.compile(r"limit|refus|auth|valid|value|type|key|import|attribute", re.I)
"""Names of errors that are raised before anything is paid."""


def _apart(attempt: ir.Try, first: ir.Node, again: ir.Node) -> bool:
    """Whether the second call stands under a test of what decided that the first is made: it may be another way."""
    asked = [_tests_within(attempt, each) for each in (first, again)]
    return bool(asked[0] & asked[1])


def _tests_within(attempt: ir.Try, node: ir.Node) -> set[str]:
    """The names in the tests between a node and the attempt around it."""
    names: set[str] = set()
    for each in ir.ancestors(node):
        if each is attempt:
            break
        if isinstance(each, ir.If):
            names |= names_in(each.test)
    return names


def _same_work(first: ProviderCall, again: ProviderCall) -> bool:
    """Whether two calls of different methods name the same model and send the same input, spelled alike."""
    given, inputs = [], []
    for each in (first, again):
        named = [one.node for one in each.fields("version", "model") if one.node is not None]
        head = each.call.args[0] if each.call.args else None
        given.append(named[0] if named else head)
        inputs.append(ir.keyword(each.call, "input"))
    one, two = given
    return (
        one is not None
        and two is not None
        and not isinstance(one, ir.Obj)
        and bool(spelled(one) == spelled(two))
        and inputs[0] is not None
        and inputs[1] is not None
        and (spelled(inputs[0]) == spelled(inputs[1]) or _holds_all(inputs[1], inputs[0]))
    )


def _holds_all(more: ir.Node, given: ir.Node) -> bool:
    """Whether an object is another one with something added: `{**params, "trigger_word": word}`."""
    spread = [each.value for each in more.props if each.spread] if isinstance(more, ir.Obj) else []
    return any(spelled(each) == spelled(given) for each in spread)
