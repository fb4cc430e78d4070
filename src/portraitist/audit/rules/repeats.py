"""The risk of paid calls that are made again when they fail: in loops, helpers and tasks.

Only the repeating itself is seen; a key that makes the second call harmless is not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.automatic import repeated_by_itself
from portraitist.audit.rules.again.by_status import asked_again, begun_again, names_attempts
from portraitist.audit.rules.again.deliveries import paid_again
from portraitist.audit.rules.again.errors import never_leave, only_answered
from portraitist.audit.rules.again.refused import (
    asks_helper_first,
    only_when_refused,
    when_refused,
)
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.failures.quiet import goes_round, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import calls_in

MAX_HELPERS = 3
"""How many helpers below a paid call its request may be repeated."""


def blind_post_retry(ctx: Context) -> Iterator[Finding]:
    """A paid create call that is repeated on failure: in a loop with a catch, in the catch, under a retry helper, task.

    A helper that repeats every request it is given repeats the paid ones too. Where only a call that was turned away
    (429) is made again, nothing is paid twice.
    """
    yield from paid_again(ctx)
    yield from repeated_by_itself(ctx)
    yield from _repeating_helpers(ctx)
    yield from _repeating_tasks(ctx)
    yield from _second_attempts(ctx)
    for call in ctx.creates():
        for each in (call.call, *ir.ancestors(call.call)):
            helper = isinstance(each, ir.Call) and re.search(
                r"(^|\.)(p?_?retry|with_?retry|retry_?with\w*|back_?off|fetch_?with_?retry)$",
                ir.dotted(each.func),
                re.I,
            )
            decorated = isinstance(each, ir.Func) and any(
                re.search(r"retry|backoff|on_exception", ir.dotted(one)) and not never_leave(ctx, one, call)
                for one in each.decorators
            )
            own = isinstance(each, ir.Call) and _own_retry(ctx, each)
            again = _is_repeated(ctx, each, call.call) or asked_again(each, call) or begun_again(each, call)
            if again or helper or own or decorated or _calls_itself(each, call):
                yield finding(
                    "blind-post-retry",
                    call.module,
                    call.call,
                    f"{call.api} is sent again when it fails, each time paid, though the first may have come through",
                    key=call.api,
                    weight=BARELY if again and only_answered(each, call) else 62,
                    line=each.line if helper or own else 0,
                    end=_end_of(each, call.call),
                    evidence=[Place(call.module.path, each.line)],
                )
                break
            if isinstance(each, ir.Func) and not decorated and each.name:
                break


def _end_of(around: ir.Node, call: ir.Node) -> int:
    """The last line of what makes a call again: of the handlers between it and the loop around it, else its own."""
    if isinstance(around, ir.Func) and around.name:
        own = [each.line for each in ir.find(around, ir.Call) if last_name(each.func) == around.name]
        return max([call.end, *own])
    if not isinstance(around, ir.Loop):
        return call.end
    between = itertools.takewhile(lambda each: each is not around, ir.ancestors(call))
    return max(
        (one.end for each in between if isinstance(each, ir.Try) for one in each.handlers), default=call.end
    )


def _own_retry(ctx: Context, call: ir.Call) -> bool:
    """Whether a function that is handed to a helper of the repository is called there again when it fails."""
    for func in (each.node for each in ctx.program.functions_called(call)):
        if not isinstance(func, ir.Func):
            continue
        handed = {each.name for each in func.params if isinstance(argument_for(call, func, each), ir.Func)}
        calls = (
            one for one in ir.find(func, ir.Call) if isinstance(one.func, ir.Name) and one.func.id in handed
        )
        if any(
            _is_repeated(ctx, each, one) or _begins_anew(each, func)
            for one in calls
            for each in ir.ancestors(one)
        ):
            return True
    return False


def _begins_anew(attempt: ir.Node, func: ir.Func) -> bool:
    """Whether the handlers of an attempt call the function around it, not for a refusal alone."""
    if not isinstance(attempt, ir.Try) or attempt.within is not func or only_when_refused(attempt):
        return False
    again = [each for each in calls_in(attempt.handlers) if last_name(each.func) == func.name]
    return bool(again) and not all(map(when_refused, again))


def _calls_itself(attempt: ir.Node, call: ProviderCall) -> bool:
    """Whether the handler of a failed call calls the function that it stands in: `return paint(prompt, tries + 1)`."""
    if not isinstance(attempt, ir.Try) or call.func is None or not call.func.name:
        return False
    again = calls_in(attempt.handlers)
    return any(last_name(one.func) == call.func.name for one in again)


def _second_attempts(ctx: Context) -> Iterator[Finding]:
    """The very same paid call, or the same work by another method, in the handler of the first one's errors."""
    for call in ctx.creates():
        yield from _after_a_failure(ctx, call)
        attempt = _tried_before(call.call, call.func)
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
        attempt = next(
            (each for each in ir.ancestors(first.call) if isinstance(each, ir.Try) and each.handlers), None
        )
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
    return _spelled(first.call) == _spelled(again.call) or _same_work(first, again)


def _called_again(ctx: Context) -> Iterator[Finding]:
    """A helper on the way to a paid call, called again where its first call failed: alike, or in a loop of attempts."""
    sites = {
        site.call: (site.module, flow.call)
        for flow in ctx.flows
        for func in flow.funcs
        for site in ctx.program.callers.get(func, [])
        if ctx.role_at(site.module, site.call) in LIVE_ROLES
    }
    for call, (module, paid) in sites.items():
        loop = next((each for each in ir.ancestors(call) if _repeats_within(each, call)), None)
        if loop is not None and paid.call not in set(ir.walk(call)):
            message = f"{paid.api} is started again when anything in this attempt fails, each time paid"
            yield finding("blind-post-retry", module, call, message, key=f"loop {last_name(call.func)}", weight=60,
                          end=_end_of(loop, call), evidence=[Place(module.path, loop.line), place(paid)])  # fmt: skip
            continue
        attempt = _tried_before(call, call.within) if call.args or call.kw else None
        bodies = attempt.body if attempt is not None else []
        firsts = [each for part in bodies for each in ir.find(part, ir.Call) if each in sites]
        first = next((each for each in firsts if _spelled(each) == _spelled(call)), None)
        if first is not None and attempt is not None and not _apart(attempt, first, call):
            message = f"{paid.api} is started a second time when the first call fails, each time paid"
            yield finding("blind-post-retry", module, call, message, key=last_name(call.func), weight=62,
                          evidence=[Place(module.path, first.line), place(paid)])  # fmt: skip


def _repeats_within(loop: ir.Node, call: ir.Call) -> bool:
    """Whether a loop of the same function that names its attempts calls a helper again when it fails."""
    if not isinstance(loop, ir.Loop) or loop.within is not call.within or not _counts_attempts(loop, call):
        return False
    return names_attempts(loop)


def _tried_before(call: ir.Call, func: ir.Func | None) -> ir.Try | None:
    """The attempt in whose handler a call stands, unless that asks whether the first was turned away."""
    handler = ir.enclosing(call, ir.Handler)
    attempt = handler.parent if handler is not None else None
    if handler is None or not isinstance(attempt, ir.Try) or ir.enclosing(handler, ir.Func) is not func:
        return None
    refused = any(_REFUSED.search(each) for each in names_in(handler.catches))
    return None if refused or when_refused(call) else attempt


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
        and bool(_spelled(one) == _spelled(two))
        and inputs[0] is not None
        and inputs[1] is not None
        and (_spelled(inputs[0]) == _spelled(inputs[1]) or _holds_all(inputs[1], inputs[0]))
    )


def _holds_all(more: ir.Node, given: ir.Node) -> bool:
    """Whether an object is another one with something added: `{**params, "trigger_word": word}`."""
    spread = [each.value for each in more.props if each.spread] if isinstance(more, ir.Obj) else []
    return any(_spelled(each) == _spelled(given) for each in spread)


def _spelled(node: ir.Node) -> list[object]:
    """What a piece of syntax is made of, for comparison."""
    return [
        getattr(each, "id", None) or getattr(each, "name", None) or getattr(each, "value", None)
        if isinstance(each, ir.Name | ir.Attr | ir.Lit)
        else each.key
        if isinstance(each, ir.Prop)
        else type(each)
        for each in ir.walk(node)
    ]


def _repeating_helpers(ctx: Context) -> Iterator[Finding]:
    """The requests inside helpers of paid raw calls that stand in a loop with a catch."""
    seen: set[ir.Call] = set()
    for call in ctx.creates():
        pending = [(target, 0) for target in ctx.program.functions_called(call.call) if not call.sdk]
        while pending:
            target, depth = pending.pop()
            for request in ir.find(target.node, ir.Call) if target.node is not None and target.module else ():
                sends = last_name(request.func).lower() in ctx.words.http_verbs
                loops = [each for each in ir.ancestors(request) if sends and _is_repeated(ctx, each, request)]
                if loops and request not in seen and target.module is not None:
                    seen.add(request)
                    message = f"every request through here is repeated on failure, {call.api} as well, each time paid"
                    yield finding("blind-post-retry", target.module, request, message,
                                  key=target.module.scope_name(request), weight=62, evidence=[place(call)])  # fmt: skip
                if depth < MAX_HELPERS:
                    pending.extend((each, depth + 1) for each in ctx.program.functions_called(request))


def _repeating_tasks(ctx: Context) -> Iterator[Finding]:
    """Tasks of a queue that run again after any error: `autoretry_for=(Exception,)`, `self.retry` in a handler."""
    for flow in ctx.flows:
        for func in flow.funcs:
            for node in _asks_again(func) if func.decorators else ():
                message = (
                    f"{func.name} runs again after any error, and {flow.call.api} with it, each time paid"
                )
                yield finding(
                    "blind-post-retry",
                    ctx.program.module_of[func],
                    node,
                    message,
                    key=func.name,
                    weight=62,
                    evidence=[place(flow.call)],
                )


def _asks_again(func: ir.Func) -> Iterator[ir.Node]:
    for each in func.decorators:
        given = ir.keyword(each, "autoretry_for") if isinstance(each, ir.Call) else None
        if given is not None and _anything(given):
            yield each
    for call in ir.find(func, ir.Call):
        handler = ir.enclosing(call, ir.Handler)
        if last_name(call.func) == "retry" and handler is not None and _anything(handler.catches):
            yield call


def _anything(caught: ir.Node | None) -> bool:
    """Whether a handler takes every error."""
    return caught is None or bool(names_in(caught) & {"Exception", "BaseException"})


def _is_repeated(ctx: Context, loop: ir.Node, call: ir.Node) -> bool:
    """Whether a loop asks again when the call fails, and no helper lets it only where the call was turned away."""
    return repeats(loop, call) and not ctx.once(asks_helper_first, call)


def repeats(loop: ir.Node, call: ir.Node) -> bool:
    """Whether a loop asks again when the call fails: it counts, or has no end of its own, around a catch."""
    if not isinstance(loop, ir.Loop) or loop.target is not None:
        return _counts_attempts(loop, call)
    tries = [one for one in ir.find(loop, ir.Try) if _around(one, call)]
    return bool(tries) and (goes_round(loop) or _leaves(tries[0], call))


def _counts_attempts(loop: ir.Node, call: ir.Node) -> bool:
    """`for attempt in range(n)` around a try around the call."""
    if not isinstance(loop, ir.Loop) or not isinstance(loop.source, ir.Call) or loop.target is None:
        return False
    tries = [one for one in ir.find(loop, ir.Try) if _around(one, call)]
    return bool(tries) and (
        names_attempts(loop) or (last_name(loop.source.func) == "range" and _leaves(tries[0], call))
    )


def _leaves(attempt: ir.Try, call: ir.Node) -> bool:
    """Whether what the call gives is returned at once, and a failure goes on to the next round."""
    gives = any(
        isinstance(each, ir.Return) and not each.throws and each.within is attempt.within
        for part in attempt.body
        for each in ir.walk(part)
        if each.line >= call.line
    )
    ends = [one for each in attempt.handlers for one in ir.find(each, ir.Return)]
    return gives and not any(each in handler.body for each in ends for handler in attempt.handlers)


def _around(attempt: ir.Try, call: ir.Node) -> bool:
    above = set(ir.ancestors(call))
    inside = bool(attempt.handlers) and attempt in above and not _is_last_resort(attempt, above)
    return inside and not only_when_refused(attempt) and not _always_throws(attempt)


def _is_last_resort(attempt: ir.Try, above: set[ir.Node]) -> bool:
    """Whether a call, by what is above it, is what a handler of the attempt gives back: nothing comes after it."""
    return any(
        each in above and one in above and not one.throws
        for each in attempt.handlers
        for one in ir.find(each, ir.Return)
    )


def _always_throws(attempt: ir.Try) -> bool:
    """Whether whatever fails leaves the function: `catch (error) { throw new Lost(error); }`."""
    inside = (each for handler in attempt.handlers for part in handler.body for each in ir.walk(part))
    if any(isinstance(each, ir.Other) and each.kind == "continue_statement" for each in inside):
        return False
    last = [handler.body[-1] if handler.body else None for handler in attempt.handlers]
    return all(isinstance(each, ir.Return) and each.throws for each in last)
