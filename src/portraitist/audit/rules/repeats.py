"""The risk of paid calls that are made again when they fail: in loops, helpers and tasks.

Only the repeating itself is seen; a key that makes the second call harmless is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.again.after_failure import started_again
from portraitist.audit.rules.again.anew import begun_anew
from portraitist.audit.rules.again.automatic import repeated_by_itself
from portraitist.audit.rules.again.by_status import asked_again, begun_again
from portraitist.audit.rules.again.deliveries import paid_again
from portraitist.audit.rules.again.errors import never_leave, only_answered
from portraitist.audit.rules.again.loops import end_of
from portraitist.audit.rules.again.on_snapshot import started_on_snapshot
from portraitist.audit.rules.again.other_ways import sent_by_another
from portraitist.audit.rules.again.second import second_attempts
from portraitist.audit.rules.again.unanswered import started_unanswered
from portraitist.audit.rules.again.under_way import beside_running
from portraitist.audit.rules.again.wrapped import (
    is_repeated,
    names_retry,
    own_retry,
    told_at_helpers,
    wrapped,
)
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.failures.passed_over import beside
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import calls_in

MAX_HELPERS = 3
"""How many helpers below a paid call its request may be repeated."""


def blind_post_retry(ctx: Context) -> Iterator[Finding]:
    """A paid create call that is repeated on failure: in a loop with a catch, in the catch, under a retry helper, task.

    A helper that repeats every request it is given repeats the paid ones too. Where only a call that was turned away
    (429) is made again, nothing is paid twice. Also events that come again (`deliveries`), libraries that repeat by
    themselves (`automatic`), a second start for the first (`second`), helpers that are handed the work (`wrapped`), and
    work that is begun anew by the next model or in another form (`anew`), or behind a failure that is followed to
    another start (`after_failure`), that requests side by side all start (`on_snapshot`), and beside work that
    is under way (`under_way`), or had no end in time (`unanswered`).
    """
    told = [*_told(ctx)]
    yield from told
    yield from beside(
        told, started_again(ctx), started_on_snapshot(ctx), beside_running(ctx), started_unanswered(ctx)
    )


def _told(ctx: Context) -> Iterator[Finding]:
    """What is seen at the paid calls, and at what stands around them."""
    yield from paid_again(ctx)
    yield from repeated_by_itself(ctx)
    yield from _repeating_helpers(ctx)
    yield from _repeating_tasks(ctx)
    yield from second_attempts(ctx)
    yield from begun_anew(ctx)
    yield from wrapped(ctx)
    yield from told_at_helpers(ctx)
    yield from sent_by_another(ctx)
    for call in ctx.creates():
        for each in (call.call, *ir.ancestors(call.call)):
            helper = isinstance(each, ir.Call) and names_retry(each)
            decorated = isinstance(each, ir.Func) and any(
                re.search(r"retry|backoff|on_exception", ir.dotted(one)) and not never_leave(ctx, one, call)
                for one in each.decorators
            )
            own = isinstance(each, ir.Call) and own_retry(ctx, each) is not None
            again = is_repeated(ctx, each, call.call) or asked_again(each, call) or begun_again(each, call)
            if again or helper or own or decorated or _calls_itself(each, call):
                yield finding(
                    "blind-post-retry",
                    call.module,
                    call.call,
                    f"{call.api} is sent again when it fails, each time paid, though the first may have come through",
                    key=call.api,
                    weight=BARELY if again and only_answered(each, call) else 62,
                    line=each.line if helper or own else 0,
                    end=end_of(each, call.call),
                    evidence=[Place(call.module.path, each.line)],
                )
                break
            if isinstance(each, ir.Func) and not decorated and each.name:
                break


def _calls_itself(attempt: ir.Node, call: ProviderCall) -> bool:
    """Whether the handler of a failed call calls the function that it stands in: `return paint(prompt, tries + 1)`."""
    if not isinstance(attempt, ir.Try) or call.func is None or not call.func.name:
        return False
    again = calls_in(attempt.handlers)
    return any(last_name(one.func) == call.func.name for one in again)


def _repeating_helpers(ctx: Context) -> Iterator[Finding]:
    """The requests inside helpers of paid raw calls that stand in a loop with a catch."""
    seen: set[ir.Call] = set()
    for call in ctx.creates():
        pending = [(target, 0) for target in ctx.program.functions_called(call.call) if not call.sdk]
        while pending:
            target, depth = pending.pop()
            for request in ir.find(target.node, ir.Call) if target.node is not None and target.module else ():
                sends = last_name(request.func).lower() in ctx.words.http_verbs and not _only_asks(request)
                loops = [each for each in ir.ancestors(request) if sends and is_repeated(ctx, each, request)]
                if loops and request not in seen and target.module is not None:
                    seen.add(request)
                    message = f"every request through here is repeated on failure, {call.api} as well, each time paid"
                    yield finding("blind-post-retry", target.module, request, message,
                                  key=target.module.scope_name(request), weight=62, evidence=[place(call)])  # fmt: skip
                if depth < MAX_HELPERS:
                    pending.extend((each, depth + 1) for each in ctx.program.functions_called(request))


def _only_asks(request: ir.Call) -> bool:
    """Whether a request is plainly a GET: by its verb, or as `fetch(url)` and `fetch(url, { headers })`."""
    name = last_name(request.func).lower()
    if name != "fetch" or not isinstance(request.func, ir.Name):
        return name in {"get", "head"}
    options = request.args[1] if len(request.args) > 1 else None
    if not isinstance(options, ir.Obj):
        return options is None
    method = options.get("method")
    spread = any(each.spread for each in options.props)
    return not spread and (method is None or ir.text_of(method) == "GET")


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
