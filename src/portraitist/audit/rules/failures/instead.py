"""Part of the rule on swallowed failures: nothing, or a set value, taken for what could not be got.

Variables that a handler sets, promises that are caught with a value, refusals over HTTP that helpers answer with
nothing, errors that routes hand on with status 200, and webhooks that fail for good, find no row, or say yes before
anything is stored. All of it is of low weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, helpers_behind, last_name, names_in
from portraitist.audit.rules.failures.looking import (
    ASIDE,
    ASKS,
    is_empty,
    is_untested,
    shown,
    unseen,
    work_in,
    work_tried,
)
from portraitist.audit.rules.failures.put_in_place import taken_by, tells_failure
from portraitist.audit.rules.failures.quiet import Ways, live_attempts, only_logs, served
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import FAILED, STATE
from portraitist.audit.rules.syntax import is_express, names_error, way_out

_CLIENTS = {"fetch", "get", "post", "put", "request", "create", "generate"}
_STATES = {"ok", "status", "status_code", "statusCode", "is_success", "is_error"}


def instead(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file."""
    for module in ctx.once(served):
        for func, attempt, handler in live_attempts(ctx, module):
            yield from _set_instead(ctx, module, func, attempt, handler)
            yield from _handed_on(ctx, module, func, handler)
            yield from _failed_for_good(ctx, ways, func, handler)
        yield from _caught(ctx, module)
        yield from _refused(ctx, module)
    yield from _nobody_found(ctx, ways)
    yield from _told_before(ctx, ways)


def _set_instead(
    ctx: Context, module: Module, func: ir.Func, attempt: ir.Try, handler: ir.Handler
) -> Iterator[Finding]:
    """`try: x = work() except: x = []`, with no look at `x` behind."""
    sets = [each for each in handler.body if isinstance(each, ir.Assign)]
    rest = [each for each in handler.body if each not in sets]
    if len(sets) != 1 or not only_logs(rest) or ASIDE.search(func.name):
        return
    put = sets[0]
    if not isinstance(put.target, ir.Name) or put.op != "=" or not is_empty(put.value):
        return
    if isinstance(put.value, ir.Lit) and isinstance(put.value.value, bool):
        return  # `ok = False` tells of the failure
    made = any(
        last_name(each.target) == put.target.id for part in attempt.body for each in ir.find(part, ir.Assign)
    )
    work, _ = ctx.once(work_tried, attempt) if made else ("", None)
    if work and is_untested(ctx, func, put, put.value):
        message = f"where {work} fails {put.target.id} becomes {shown(put.value)}, and nothing behind asks which it is"
        yield finding("fallback-swallow", module, handler, message, key=f"set {put.target.id}", weight=BARELY,
                      end=handler.end)  # fmt: skip


def _handed_on(ctx: Context, module: Module, func: ir.Func, handler: ir.Handler) -> Iterator[Finding]:
    """`{"success": False, "error": …}` of a helper, which a route answers as it is, with status 200."""
    leave = way_out(handler)
    if leave is None or leave.throws or not isinstance(leave.value, ir.Obj) or func in ctx.handled_by:
        return
    where = taken_by(ctx, func, whole=True) if tells_failure(leave.value) else None
    if where is not None:
        message = f"a failure of {func.name} becomes an object that {where.path}:{where.line} answers with status 200"
        yield finding("fallback-swallow", module, handler, message, key=f"handed on {func.name}", weight=BARELY,
                      end=handler.end, evidence=[where])  # fmt: skip


def _failed_for_good(ctx: Context, ways: Ways, func: ir.Func, handler: ir.Handler) -> Iterator[Finding]:
    """A webhook's handler that marks its row failed for any error of its own, and answers 200."""
    if func not in ways.hooks or func not in ctx.handled_by:
        return
    if any(isinstance(each, ir.Return) and each.throws for each in ir.walk(handler)):
        return
    inside = [each for part in handler.body for each in ir.walk(part)]
    marked = any(
        STATE.search(snake(use.column))
        and isinstance(use.value, Known)
        and FAILED.match(str(use.value.value))
        for each in inside
        for statement in ctx.statements_at.get(each, ())
        for use in statement.columns
    )
    leaves = [each for each in inside if isinstance(each, ir.Return)]
    answers = leaves or [
        each for each in ir.find(func, ir.Return) if each.within is func and each.line > handler.end
    ]
    well = bool(answers) and not any(each.value is not None and names_error(each.value) for each in answers)
    if marked and well:
        message = (
            "any error of this webhook's own marks the work failed, and its sender is told that all is well"
        )
        yield finding("fallback-swallow", ctx.program.module_of[func], handler, message, key="failed for good",
                      weight=BARELY, end=handler.end)  # fmt: skip


def _nobody_found(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A webhook of which no row is found, answered 200: an event that comes too early is never sent again."""
    for func, module in _hooks(ctx, ways):
        for test in ir.find(func, ir.If):
            leave = test.then[-1] if test.then else None
            name = _denied(test.test)
            if not isinstance(leave, ir.Return) or leave.throws or name is None or test.within is not func:
                continue
            rest = [each for each in test.then if each is not leave]
            if leave.value is None or not only_logs(rest) or _answers_otherwise(leave.value):
                continue
            kinds = {each.kind for value in _made(module, name) for each in _statements(ctx, value)}
            if kinds == {"read"}:
                message = f"where no {name.id} is found this event is answered with 200, and never sent again"
                yield finding("fallback-swallow", module, test, message, key=f"none {name.id}", weight=BARELY,
                              end=leave.end)  # fmt: skip
                break


def _told_before(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """`res.sendStatus(200)` at the head of a webhook's handler, before anything that it tells is stored."""
    for func, module in _hooks(ctx, ways):
        for call in (each for each in func.body if isinstance(each, ir.Call)):
            later = [
                each
                for each in ctx.statements_under.get(func, ())
                if each.kind == "write" and each.line > call.end
            ]
            if later and is_express(call) and not names_error(call):
                message = "the sender is told that all went well before anything is stored, and never sends it again"
                yield finding(
                    "fallback-swallow", module, call, message, key="told before", weight=BARELY, end=call.end
                )
                break


def _hooks(ctx: Context, ways: Ways) -> Iterator[tuple[ir.Func, Module]]:
    """The product's own live handlers of webhooks, each with its file."""
    for func in (each for each in ctx.handled_by if each in ways.hooks):
        module = ctx.program.module_of[func]
        if module.role == "src" and ctx.role_at(module, func) in LIVE_ROLES:
            yield func, module


def _denied(test: ir.Node) -> ir.Name | None:
    """`x` of `!x`, `x is None`, `not x` and `error || !x`."""
    if isinstance(test, ir.Bin) and test.op == "or" and test.right is not None:
        return _denied(test.right) or _denied(test.left)
    equal = isinstance(test, ir.Bin) and test.op in {"==", "===", "is"} and isinstance(test.right, ir.Lit)
    denied = isinstance(test, ir.Bin) and (
        test.op == "not" or (equal and getattr(test.right, "value", 0) is None)
    )
    left = test.left if isinstance(test, ir.Bin) and denied else None
    return left if isinstance(left, ir.Name) else None


def _made(module: Module, name: ir.Name) -> list[ir.Node]:
    return [each.value for each in reaching(module, name) if each.value is not None]


def _statements(ctx: Context, value: ir.Node) -> Iterator[Statement]:
    """The statements in an expression, and those of the helpers that it asks for a row."""
    for each in ir.walk(value):
        yield from ctx.statements_at.get(each, ())
        for helper in helpers_behind(ctx, each) if isinstance(each, ir.Call) else ():
            if re.match(r"_?(get|find|fetch|load|read|by|look)", helper.name):
                yield from ctx.statements_under.get(helper, ())


def _answers_otherwise(value: ir.Node) -> bool:
    """Whether an answer has a status that is not plainly 200, or is none: what is not known counts as one."""
    said = [each for each in ir.find(value, ir.Prop) if each.key in {"status", "status_code", "statusCode"}]
    known = all(
        isinstance(each.value, ir.Lit) and each.value.value in {200, "ok", "success", "ignored"}
        for each in said
    )
    chain = set(ir.dotted(value.func).split(".")) if isinstance(value, ir.Call) else set()
    return names_error(value) or not known or "status" in chain or not isinstance(value, ir.Call | ir.Obj)


def _caught(ctx: Context, module: Module) -> Iterator[Finding]:
    """`const rows = await load().catch(() => [])`: nobody asks which it is."""
    for call in module.calls({"catch"}) if module.language == "javascript" else ():
        given = call.args[0] if call.args else None
        func, up = call.within, call.parent
        if isinstance(given, ir.Attr) and ir.dotted(given).startswith(("console.", "logger.")):
            yield from _only_noted(ctx, module, call)
        if not isinstance(given, ir.Func) or not isinstance(call.func, ir.Attr) or func is None:
            continue
        if ctx.role_at(module, call) not in LIVE_ROLES or ASIDE.search(func.name):
            continue
        values = returns(given)
        values = [each for each in values if not (isinstance(each, ir.Call) and only_logs([each]))]
        put = values[0] if len(values) == 1 else None
        rest = [each for each in given.body if not isinstance(each, ir.Return)]
        nothing = not values
        if not (nothing or (put is not None and is_empty(put))) or not only_logs(rest):
            continue
        work, _ = work_in(ctx, (call,), reads=True)
        if not work:
            continue
        plain = isinstance(up, ir.Func | ir.If | ir.Try | ir.Loop | ir.Handler)
        if plain or (isinstance(up, ir.Assign) and is_untested(ctx, func, up, put)):
            logged = any(True for each in given.body for _ in ir.find(each, ir.Call))
            what = (
                ("is only logged here" if logged else "disappears here")
                if plain
                else f"becomes {shown(put)} here, and nothing behind asks which it is"
            )
            message = f"a failure of {work} {what}"
            yield finding("fallback-swallow", module, call, message, key=f"caught {work}", weight=BARELY,
                          line=call.func.name_line, end=max(call.end, call.func.name_line))  # fmt: skip


def _only_noted(ctx: Context, module: Module, call: ir.Call) -> Iterator[Finding]:
    """`save(row).catch(console.error)`, of which nothing is taken."""
    plain = isinstance(call.parent, ir.Func | ir.If | ir.Try | ir.Loop | ir.Handler)
    if not plain or call.within is None or ctx.role_at(module, call) not in LIVE_ROLES:
        return
    work, _ = work_in(ctx, (call,), reads=True)
    if work and not ASIDE.search(work) and isinstance(call.func, ir.Attr):
        message = f"a failure of {work} is only logged here"
        yield finding("fallback-swallow", module, call, message, key=f"caught {work}", weight=BARELY,
                      line=call.func.name_line, end=max(call.end, call.func.name_line))  # fmt: skip


def _refused(ctx: Context, module: Module) -> Iterator[Finding]:
    """`if (!answer.ok) { console.error(…); return null }` in a helper that asks over HTTP, or its other branch."""
    if not module.calls(_CLIENTS):
        return
    for leave in module.all(ir.Return):
        func = leave.within
        if leave.throws or not is_empty(leave.value) or func is None or func in ctx.handled_by:
            continue
        test, rest = _refusal(leave)
        if test is None or not func.name or ASIDE.search(func.name) or not only_logs(rest):
            continue
        asked = [
            each
            for each in ir.find(test.test, ir.Attr)
            if each.name in _STATES and isinstance(each.obj, ir.Name)
        ]
        made = [one.value for each in asked for one in reaching(module, each.obj) if one.value is not None]
        calls = [each for value in made for each in ir.find(value, ir.Call)]
        names = ((each, ir.dotted(each.func)) for each in calls)
        work = next((name for each, name in names if each in ctx.call_at or ASKS.search(name)), "")
        live = work and ctx.role_at(module, leave) in LIVE_ROLES
        if live and not re.search(r"404|not_?found", " ".join(names_in(test.test)), re.I):
            yield from unseen(ctx, func, test, leave, work)


def _refusal(leave: ir.Return) -> tuple[ir.If | None, list[ir.Node]]:
    """The test of which a way out is the branch for a refusal, and what else stands in that branch.

    Its own branch, the other one of a test for success that gives something, or what follows such a test.
    """
    up = leave.parent
    if isinstance(up, ir.If):
        if leave in up.then:
            return up, [each for each in up.then if each is not leave]
        return (up, [each for each in up.other if each is not leave]) if _gives(up.then) else (None, [])
    body = up.body if isinstance(up, ir.Func | ir.Try) else []
    at = body.index(leave) if leave in body else 0
    before = body[at - 1] if at else None
    if isinstance(before, ir.Call) and at > 1:
        before = body[at - 2]  # the log between
    return (
        (before, []) if isinstance(before, ir.If) and not before.other and _gives(before.then) else (None, [])
    )


def _gives(body: list[ir.Node]) -> bool:
    """Whether statements end by giving something back."""
    last = body[-1] if body else None
    return isinstance(last, ir.Return) and not last.throws and not is_empty(last.value)
