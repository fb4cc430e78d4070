"""Paid work that is begun anew after any failure by who asked for it: with the next model, by itself, in another form.

Loops over models or providers, loops that read a helper's verdict, functions that call themselves in a handler, and a
second request behind the refusal of the first. All of low weight: some of it is meant, and paid for all the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.by_status import STATES, names_attempts
from portraitist.audit.rules.again.loops import after_what, end_of, leaves, stands_in_attempt
from portraitist.audit.rules.again.refused import speaks_of_refusal, when_refused
from portraitist.audit.rules.again.second import paid_sites
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import is_way_out, leaves_within

_ONE_OF_MANY = re.compile(r"range|enumerate_pages", re.I)
_OWN_FAULT = {401, 402, 403, 404, 409, 422, 429}
"""States of an answer that say that nothing was begun; 400 may be about the form, and another form is tried."""


def begun_anew(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    seen: set[ir.Node] = set()
    for module, call, paid in starts(ctx):
        for each in ir.ancestors(call):
            if isinstance(each, ir.Func):
                break
            if not isinstance(each, ir.Loop) or each in seen:
                continue
            why = _next_one(each, call) or _by_verdict(each, call)
            if why:
                seen.add(each)
                message = f"{paid.api} is started again {why}, each time paid"
                seen_at = [Place(module.path, each.line), place(paid)]
                yield finding("blind-post-retry", module, call, message, key=f"anew {last_name(call.func)}",
                              weight=BARELY, end=end_of(each, call), evidence=seen_at)  # fmt: skip
                break
        yield from _by_itself(module, call, paid)
    yield from _in_another_form(ctx)


def starts(ctx: Context) -> Iterator[tuple[Module, ir.Call, ProviderCall]]:
    """The paid calls, and the calls of helpers on the way to them."""
    for call in ctx.creates():
        if ctx.role_at(call.module, call.call) in LIVE_ROLES:
            yield call.module, call.call, call
    for site, (module, paid) in ctx.once(paid_sites).items():
        yield module, site, paid


def _next_one(loop: ir.Loop, call: ir.Call) -> str:
    """`for model in models: try: return run(model) except: continue`."""
    source = loop.source
    if loop.target is None or (isinstance(source, ir.Call) and _ONE_OF_MANY.search(last_name(source.func))):
        return ""
    attempt = next((each for each in ir.ancestors(call) if isinstance(each, ir.Try)), None)
    if attempt is None or attempt.within is not loop.within or not stands_in_attempt(attempt, call):
        return ""
    taken = names_in(loop.target)
    if not leaves(attempt, call) or not taken & names_in(ir.Other(0, 0, list(attempt.body))):
        return ""
    return f"for the next {', '.join(sorted(taken))} {after_what(call, loop=loop)}"


def _by_verdict(loop: ir.Loop, call: ir.Call) -> str:
    """`for attempt in range(3): last = paint(); if last["success"]: return last`."""
    up = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign | ir.Func | ir.Loop)), None)
    name = last_name(up.target) if isinstance(up, ir.Assign) else ""
    if not name or not names_attempts(loop) or loop.within is not call.within:
        return ""
    if any(isinstance(each, ir.Try) for each in ir.ancestors(call) if each.first > loop.first):
        return ""
    if any(is_way_out(each) for each in loop.body if each.line > call.line):
        return ""
    tests = [each for each in loop.body if isinstance(each, ir.If) and each.line > call.line]
    ends = [each for each in tests if any(map(is_way_out, each.then))]
    if any(speaks_of_refusal(one) for each in ends for one in ir.walk(each.test)):
        return ""
    for test in tests:
        asks = name in names_in(test.test) and _for_success(test.test)
        if asks and any(map(is_way_out, test.then)) and not leaves_within(test.other):
            return f"whatever {name} tells of the failure, up to the last attempt"
    return ""


def _for_success(test: ir.Node) -> bool:
    """`result`, `result.success`, `result["ok"]`, `result is not None`: no test for one kind of failure."""
    if isinstance(test, ir.Bin):
        if test.op in {"and", "or"} and test.right is not None:
            return _for_success(test.left) and _for_success(test.right)
        nothing = isinstance(test.right, ir.Lit) and test.right.value is None
        return test.op in {"!=", "!==", "is not"} and nothing
    said = [each.value for each in ir.find(test, ir.Lit)]
    members = [each.name for each in ir.find(test, ir.Attr)]
    return all(each in _SUCCESS for each in (*said, *members)) and isinstance(
        test, ir.Name | ir.Attr | ir.Index | ir.Call
    )


_SUCCESS = {"success", "ok", "get", "succeeded", "done", "url", "image_url", "imageUrl", "output", 0}


def _by_itself(module: Module, call: ir.Call, paid: ProviderCall) -> Iterator[Finding]:
    """`catch { return paint(prompt) }` in `paint`, around a helper that pays: the next provider, or the same."""
    func, handler = call.within, ir.enclosing(call, ir.Handler)
    attempt = handler.parent if handler is not None else None
    if func is None or not func.name or last_name(call.func) != func.name or call is paid.call:
        return
    if handler is None or not isinstance(attempt, ir.Try) or attempt.within is not func or when_refused(call):
        return
    if paid.call.within is not func:
        message = f"{func.name} begins anew when anything in it fails, and {paid.api} with it, each time paid"
        yield finding("blind-post-retry", module, call, message, key=f"itself {func.name}", weight=BARELY,
                      line=handler.line, end=call.end, evidence=[place(paid)])  # fmt: skip


def _in_another_form(ctx: Context) -> Iterator[Finding]:
    """`let res = await post(a); if (!res.ok) res = await post(b)`, whatever the refusal was."""
    by_func: dict[ir.Func, list[ProviderCall]] = {}
    for call in ctx.creates():
        if not call.sdk and call.func is not None and ctx.role_at(call.module, call.call) in LIVE_ROLES:
            by_func.setdefault(call.func, []).append(call)
    for func, calls in by_func.items():
        for first, again in itertools.pairwise(calls):
            up = first.call.parent
            name = last_name(up.target) if isinstance(up, ir.Assign) else ""
            if name and first.purpose == again.purpose and _after_refusal(func, first, again, name):
                message = (
                    f"whatever the refusal of line {first.call.line} was, {again.api} is posted after it"
                )
                yield finding("blind-post-retry", again.module, again.call, message, key=f"form {again.api}",
                              weight=BARELY, line=first.call.line, end=again.call.end,
                              evidence=[place(first)])  # fmt: skip


def _after_refusal(func: ir.Func, first: ProviderCall, again: ProviderCall, name: str) -> bool:
    """Whether the second of two requests is made because the first was refused, for any reason."""
    above = set(ir.ancestors(again.call))
    asked = False
    for test in ir.find(func, ir.If):
        names = names_in(test.test)
        if not first.call.line <= test.line <= again.call.line or test in set(ir.ancestors(first.call)):
            continue
        if name not in names and test not in above:
            continue
        if any(speaks_of_refusal(each) or _is_own_fault(each) for each in ir.walk(test.test)):
            return False
        if name in names and names & STATES:
            fails, goes = _is_failure(test.test), any(map(is_way_out, test.then))
            throws = any(isinstance(each, ir.Return) and each.throws for each in test.then)
            if fails is None or (fails and test not in above) or (not fails and not goes) or throws:
                return False
            asked = True
        elif test in above:
            return False
    return asked


def _is_failure(test: ir.Node) -> bool | None:
    """Whether a test holds for a refused answer (True), for one that came (False), or that is not known (None)."""
    if isinstance(test, ir.Bin) and test.op in {"not", "!"}:
        inner = _is_failure(test.left)
        return None if inner is None else not inner
    if isinstance(test, ir.Attr) and test.name in {"ok", "is_success"}:
        return False
    number = test.right.value if isinstance(test, ir.Bin) and isinstance(test.right, ir.Lit) else None
    if isinstance(test, ir.Bin) and isinstance(number, int):
        if test.op in {">=", ">"}:
            return True if number in {299, 300, 399, 400} else None
        if test.op in {"<", "<="}:
            return False if number in {299, 300, 399, 400} else None
        if test.op in {"!=", "!=="}:
            return True if number in {200, 201} else None
        return False if number in {200, 201} else None
    return None


def _is_own_fault(node: ir.Node) -> bool:
    return isinstance(node, ir.Lit) and node.value in _OWN_FAULT
