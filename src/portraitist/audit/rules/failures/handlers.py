"""Part of the rule on swallowed failures: handlers that log and go on, where somebody waits for the outcome.

Webhooks whose sender is told that all is well, helpers that answer with nothing, loops that leave out what failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in
from portraitist.audit.rules.failures.quiet import (
    BESIDE,
    FAILS,
    Ways,
    goes_round,
    live_attempts,
    only_logs,
    tries_in_turn,
)
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import (
    NOTHING,
    calls_in,
    claims_success,
    is_express,
    is_next_round,
    leaves_within,
    names_error,
    tests_of,
    way_out,
)

_FETCHES = re.compile(r"download|fetch|upload|(^|\.)(get|put|put_object|putObject|save|send|write)$", re.I)
_LIMITS = re.compile(r"throttle|rate_?limit|quota|limiter", re.I)
_GOODS = re.compile(
    r"credit|balance|subscri|payment|paid|status|state|image|photo|version|weights|output", re.I
)
_UPKEEP = re.compile(r"admin|debug|cron|sync|recover|poll|emergency|fix|migrat|clean|backfill", re.I)
"""Routes of those who look after the product: they answer with what failed, and somebody reads it."""


def quiet_handlers(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Handlers that hide a failure from a webhook's sender, from a row's state, or from a limit of paid calls."""
    writes = list(live_statements(ctx, "write", "delete"))
    writers: set[ir.Node | None] = {each.func for each in writes}
    nodes = {each.node for each in writes}
    told: dict[tuple[ir.Func, str, int], list[Finding]] = {}
    for module in ctx.live:
        for func, attempt, handler in live_attempts(ctx, module):
            if any(isinstance(each, ir.Loop) and goes_round(each) for each in ir.ancestors(attempt)):
                continue  # what failed has another turn
            verdict = ""
            changes = func in ways and _changes(ctx, attempt, nodes, writers)
            if _LIMITS.search(func.name) or (func.owner and _LIMITS.search(func.owner)):
                verdict = _opens(attempt)
            elif func in ways and changes and _is_empty(handler):
                verdict = "a failed write disappears without a word"
            elif func in ways.hooks and changes and not _calls_own(ctx, handler):
                verdict = _told_well(handler, module.language == "python" and func in ctx.handled_by)
            if verdict:
                matters = _matters(attempt) and not _only_notes(ctx, attempt)
                weight = 43 if matters and "disappears" not in verdict else BARELY
                found = finding("fallback-swallow", module, handler, verdict, key=verdict, weight=weight,
                                end=handler.end)  # fmt: skip
                told.setdefault((func, verdict, weight), []).append(found)
    for same in told.values():
        yield replace(same[0], evidence=tuple(each.place for each in same[1:4]))
        for number, each in enumerate(same[1:], 2):
            yield replace(each, key=f"{each.key} {number}", weight=BARELY)


def _matters(attempt: ir.Try) -> bool:
    """Whether what is tried is about money, a state, a model or a picture."""
    return any(_GOODS.search(each) for part in attempt.body for each in names_in(part) if " " not in each)


def _only_notes(ctx: Context, attempt: ir.Try) -> bool:
    """Whether all that is tried adds to tables that only tell what happened."""
    inside = {each for part in attempt.body for each in ir.walk(part)}
    own = ctx.statements_under.get(attempt.within, ()) if attempt.within is not None else ()
    made = [each for each in own if each.node in inside]
    written = [each for each in made if each.kind != "read"]
    return bool(written) and all(each.insert and BESIDE.search(snake(each.table)) for each in written)


def _changes(ctx: Context, attempt: ir.Try, nodes: set[ir.Node], writers: set[ir.Node | None]) -> bool:
    """Whether something in a `try` writes rows, itself, in a helper or by a stored function."""
    inside = {each for part in attempt.body for each in ir.walk(part)}
    calls = [each for each in inside if isinstance(each, ir.Call)]
    if any(last_name(each.func) == "rpc" and each.args for each in calls):
        return True
    helpers = (target.node for call in calls for target in ctx.program.functions_called(call))
    return not nodes.isdisjoint(inside) or any(each in writers for each in helpers)


def _calls_own(ctx: Context, handler: ir.Handler) -> bool:
    """Whether a handler calls a function of the repository, which may deal with the failure."""
    return any(isinstance(each, ir.Call) and ctx.program.functions_called(each) for each in ir.walk(handler))


def _is_empty(handler: ir.Handler) -> bool:
    return all(isinstance(each, ir.Other) and each.kind in NOTHING for each in handler.body)


def _told_well(handler: ir.Handler, plain: bool) -> str:
    """What a webhook's sender is told about a failure; "" where it hears of it.

    With `plain`, an object is an answer too: Python's servers send it as 200.
    """
    answers = [each for part in handler.body for each in ir.find(part, ir.Return)]
    if only_logs(handler.body):
        return "a failure is only logged, and the sender of the webhook is told that all went well"
    sent = [each for each in handler.body if isinstance(each, ir.Call) and is_express(each)]
    rest = [each for each in handler.body if not isinstance(each, ir.Return) and each not in sent]
    answered = bool(sent) or any(_answers_sender(each.value, plain) for each in answers)
    said = [*sent, *(each.value for each in answers if each.value is not None or not sent)]
    failed = any(each.throws for each in answers) or any(map(_says_failure, said))
    if answered and only_logs(rest) and not failed:
        return "a failure is answered with 200, so that the sender never tries again"
    return ""


def _answers_sender(value: ir.Node | None, plain: bool) -> bool:
    """Whether a value is an answer: a response, or with `plain` an object, also beside a status."""
    if plain and isinstance(value, ir.Arr) and value.items:
        value = value.items[0]
    return (isinstance(value, ir.Call) and _is_answer(value)) or (plain and isinstance(value, ir.Obj))


def _is_answer(call: ir.Call) -> bool:
    parts = set(ir.dotted(call.func).split("."))
    return bool({"Response", "NextResponse", "JSONResponse", "jsonify"} & parts) or is_express(call)


def _says_failure(value: ir.Node | None) -> bool:
    """Whether an answer names a status of 400 or more, or one that is not known."""
    if value is None:
        return True
    for each in ir.find(value, ir.Prop):
        if each.key in {"status", "status_code", "statusCode"} and not isinstance(each.value, ir.Obj):
            return not (isinstance(each.value, ir.Lit) and each.value.value in {200, 201, 202, 204})
    return names_error(value)


def _opens(attempt: ir.Try) -> str:
    """A limit that throws, and that lets everybody through when what counts for it fails."""
    refuses = any(each.throws for part in attempt.body for each in ir.find(part, ir.Return))
    handler = attempt.handlers[-1]
    leaves = [each for part in handler.body for each in ir.find(part, ir.Return)]
    silent = any(not each.throws and (each.value is None or _is_true(each.value)) for each in leaves)
    if refuses and (silent or only_logs(handler.body)):
        return "the limit lets everybody through when what counts for it fails"
    return ""


def _is_true(node: ir.Node) -> bool:
    return isinstance(node, ir.Lit) and node.value is True


def nothing_for_an_answer(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A helper that logs its failure and answers with nothing, which nobody tests on the way to a paid call."""
    for module in ctx.live:
        for attempt in module.all(ir.Try):
            func = attempt.within
            if func is None or func in ways.hooks or ctx.role_at(module, attempt) not in LIVE_ROLES:
                continue
            for handler in attempt.handlers:
                leave = way_out(handler)
                rest = [each for each in handler.body if each is not leave]
                empty = leave is not None and not leave.throws and _is_nothing(leave.value)
                if not (empty and only_logs(rest) and _works(attempt)):
                    continue
                assert leave is not None
                caller = _trusting(ctx, ways, func)
                if caller is not None:
                    message = f"{func.name} answers with nothing when it fails; {caller} pays with that"
                    yield finding("fallback-swallow", module, leave, message, key=func.name, weight=44,
                                  line=handler.line, end=handler.end, evidence=[caller])  # fmt: skip


def _is_nothing(value: ir.Node | None) -> bool:
    if isinstance(value, ir.Arr):
        return bool(value.items) and all(_is_nothing(each) for each in value.items)
    return value is None or (isinstance(value, ir.Lit) and value.value in {None, ""})


def _works(attempt: ir.Try) -> bool:
    calls = calls_in(attempt.body)
    return any(_FETCHES.search(ir.dotted(each.func)) for each in calls)


def _trusting(ctx: Context, ways: Ways, func: ir.Func) -> Place | None:
    """A call of a helper on the way to a paid call, whose answer is kept, sent on, and not tested."""
    for site in ctx.program.callers.get(func, []):
        owner = site.call.within
        assign = next(
            (each for each in ir.ancestors(site.call) if isinstance(each, ir.Assign | ir.Func)), None
        )
        if owner not in ways.paid or not isinstance(assign, ir.Assign) or site.call.line >= ways.paid[owner]:
            continue
        if func in ways.paid or any(isinstance(each, ir.Bin | ir.Cond) for each in ir.ancestors(site.call)):
            continue
        names = variables_in(assign.target)
        tests = tests_of(owner)
        tested = any(names & names_in(each.test) for each in tests)
        used = any(each.id in names and each.line > assign.end for each in ir.find(owner, ir.Name))
        if (
            used
            and not tested
            and not any(each.op == "or" and names & names_in(each.left) for each in ir.find(owner, ir.Bin))
        ):
            return Place(site.module.path, site.call.line)
    return None


def left_out(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """What fails in a loop is left out: before a paid call that counts nothing, or for a success regardless."""
    for func in ctx.in_order({*ways.paid, *ways.hooks, *ctx.handled_by}):
        module = ctx.program.module_of[func]
        for loop in ir.find(func, ir.Loop):
            if loop.within is not func or ctx.role_at(module, loop) not in LIVE_ROLES:
                continue
            paid = ways.paid.get(func, 0)
            yield from _skipped(module, func, loop, paid)
            upkeep = any(_UPKEEP.search(each.path) for each in ctx.handled_by.get(func, ()))
            if not upkeep and loop.end >= paid:
                yield from _success_anyway(module, func, loop)


def _skipped(module: Module, func: ir.Func, loop: ir.Loop, paid: int) -> Iterator[Finding]:
    if loop.end >= paid or not any(_FETCHES.search(ir.dotted(each.func)) for each in ir.find(loop, ir.Call)):
        return
    counted = any(loop.end < each.line < paid and _leaves(each) for each in ir.find(func, ir.If))
    counted = counted or tries_in_turn(loop)
    for skip in () if counted else _skips(loop):
        branch = skip.parent
        rest = (
            branch.body
            if isinstance(branch, ir.Handler)
            else branch.then
            if isinstance(branch, ir.If)
            else []
        )
        if only_logs([each for each in rest if each is not skip]):
            message = (
                "what cannot be fetched is left out, and nothing counts what is left before the paid call"
            )
            yield finding("fallback-swallow", module, skip, message, key="continue", weight=44)


def _skips(loop: ir.Loop) -> Iterator[ir.Other]:
    """Where a loop goes on to the next one because of a failure."""
    for skip in ir.find(loop, ir.Other):
        branch = skip.parent
        failed = isinstance(branch, ir.Handler) or (
            isinstance(branch, ir.If)
            and skip in branch.then
            and FAILS.search(" ".join(names_in(branch.test)))
        )
        if is_next_round(skip) and failed and ir.enclosing(skip, ir.Loop) is loop:
            yield skip


_COMPARED = {"<", "<=", ">", ">=", "==", "===", "!=", "!=="}


def _leaves(test: ir.If) -> bool:
    counts = names_in(test.test) & {"length", "len", "size", "count"} or any(
        isinstance(each, ir.Bin) and each.op in _COMPARED for each in ir.walk(test.test)
    )
    return bool(counts) and leaves_within(test.then)


def _success_anyway(module: Module, func: ir.Func, loop: ir.Loop) -> Iterator[Finding]:
    """`success: true` behind a loop whose handler goes on to the next one, with no look at how many were left."""
    quiet: list[ir.Node] = [
        handler
        for attempt in ir.find(loop, ir.Try)
        for handler in attempt.handlers
        if attempt.within is func and not any(isinstance(each, ir.Return) for each in ir.walk(handler))
    ]
    quiet.extend(_skips(loop))
    calls = list(ir.find(loop, ir.Call))
    if not quiet or not any(
        _FETCHES.search(ir.dotted(each.func)) or last_name(each.func) == "run" for each in calls
    ):
        return
    made = {last_name(ir.root_of(each.func)) for each in calls}
    made |= {last_name(each.target) for each in ir.find(loop, ir.Assign)}
    for value in returns(func):
        claims = [each for each in ir.find(value, ir.Prop) if claims_success(each)]
        tests = [each for each in ir.find(func, ir.If) if loop.end < each.line <= value.line]
        if (
            claims
            and value.line > loop.end
            and not any(made & names_in(each.test) and leaves_within(each.then) for each in tests)
        ):
            message = "success is answered although everything in the loop above may have failed"
            yield finding("fallback-swallow", module, claims[0], message, key="success", weight=BARELY,
                          evidence=[Place(module.path, quiet[0].line)])  # fmt: skip
