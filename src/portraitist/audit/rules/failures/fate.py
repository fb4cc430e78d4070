"""Part of the rule on swallowed failures: what becomes of one, until somebody is told or it passes for success.

From handlers, from answers that hold an error, and from what helpers give back for a failure, through their callers.
All of it is of low weight: how the ways are followed is in `walk`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in
from portraitist.audit.rules.failures.answers import answers_with_error
from portraitist.audit.rules.failures.looking import ASIDE, WORKS_FOR, work_in, work_of, work_tried
from portraitist.audit.rules.failures.outcomes import (
    answer_of,
    effect_of,
    holds_no,
    is_told,
    passes_for_success,
)
from portraitist.audit.rules.failures.passed_over import Spans, is_known
from portraitist.audit.rules.failures.quiet import BESIDE, Ways, live_attempts, live_sites, served
from portraitist.audit.rules.failures.values import ERROR, NOTHING, REFUSAL, UNSTORED, Given, Sure
from portraitist.audit.rules.failures.walk import FALLS, GIVES, End, TiredError, Walk, Way, ends_behind
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import fails, names_error, stands_alone

MAX_CALLERS = 2
"""How many calls further out a failure is followed."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a failure is followed: a function of a module."""

    ctx: Context
    module: Module
    func: ir.Func


def fates(ctx: Context, ways: Ways, known: Spans) -> Iterator[Finding]:
    """Everything of this file, where nothing is told of the lines already."""
    for module in ctx.once(served):
        for func, attempt, handler in live_attempts(ctx, module):
            if not is_known(known, module.path, handler.line, handler.end):
                yield from _caught(_Spot(ctx, module, func), ways, attempt, handler)
        yield from _promised(ctx, module)
    yield from _answered(ctx, known)


def _caught(spot: _Spot, ways: Ways, attempt: ir.Try, handler: ir.Handler) -> Iterator[Finding]:
    """From a handler on."""
    ctx, module, func = spot.ctx, spot.module, spot.func
    last = handler.body[-1] if handler.body else None
    if (isinstance(last, ir.Return) and fails(last)) or ASIDE.search(func.name) or _is_expected(handler):
        return
    work, node = ctx.once(work_tried, attempt)
    if not work:
        work, node = _made(attempt)
    if not work or node is None or (not work_of(ctx, attempt, reads=False)[0] and not _gives(attempt)):
        return
    walk = Walk(python=module.language == "python")
    way = where_caught(walk, attempt, node)
    try:
        walk.stands_in = not _tries_again(handler, node)
        ends, further = walk.block(handler.body, [way])
        walk.stands_in = False
        ends += walk.behind(attempt, further)
        fate = _unheard(spot, ways, ends) or _fate(spot, ends)
    except TiredError:
        return
    if fate is not None:
        yield _found(module, handler, work, fate)


def _tries_again(handler: ir.Handler, failed: ir.Node) -> bool:
    """Whether a handler calls what failed once more, by its name."""
    name = last_name(failed.func) if isinstance(failed, ir.Call) else ""
    return any(last_name(each.func) == name for part in handler.body for each in ir.find(part, ir.Call))


def _made(attempt: ir.Try) -> tuple[str, ir.Node | None]:
    """The first call of an attempt that by its name makes or asks something, wherever it leads."""
    calls = (
        each for part in attempt.body for each in ir.find(part, ir.Call) if each.within is attempt.within
    )
    found = next((each for each in calls if _MAKES.search(last_name(each.func))), None)
    return (ir.dotted(found.func), found) if found is not None else ("", None)


_MAKES = re.compile(
    r"^_?(generate|analy[sz]e|detect|estimate|describe|caption|classify|transcribe|invoke|predict|render|upscale|enhance"
    r"|download|swap|scan|query|(get|put|update|delete)_?item|train|deduct|charge|refund|debit|credit)(_|[A-Z]|$)"
)


def _gives(attempt: ir.Try) -> bool:
    """Whether something is left of an attempt that only asks; else it is a check in front of what comes."""
    inner = {
        name for part in attempt.body for each in ir.find(part, ir.Assign) if each.decl
        for name in variables_in(each.target)
    }  # fmt: skip
    for part in attempt.body:
        for made in ir.find(part, ir.Assign):
            if not made.decl and not variables_in(made.target) <= inner:
                return True
        if any(not fails(each) and each.within is attempt.within for each in ir.find(part, ir.Return)):
            return True
        if any(last_name(each.func) in _ADDS for each in ir.find(part, ir.Call)):
            return True
    return False


def _is_expected(handler: ir.Handler) -> bool:
    """Whether a handler is for one kind of failure that says something by itself: `except UndefinedTableError`."""
    return any(_KINDS.search(each) for each in names_in(handler.catches))


_KINDS = re.compile(
    r"undefined|not_?found|does_?not_?exist|unique|integrity|value|key|type|json|import|attribute|index", re.I
)


def _promised(ctx: Context, module: Module) -> Iterator[Finding]:
    """From `work().catch(() => …)` on, with what that gives back."""
    for call in module.calls({"catch"}) if module.language == "javascript" else ():
        given, func = call.args[0] if call.args else None, call.within
        if not isinstance(given, ir.Func) or not isinstance(call.func, ir.Attr) or func is None:
            continue
        if ASIDE.search(func.name) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        work, _ = work_in(ctx, (call.func.obj,), reads=True)
        if not work:
            continue
        inner = Walk(python=False)
        names = {each.name: Sure(ERROR) for each in given.params[:1]}
        try:
            ends, ways = inner.block(given.body, [Way(names, frozenset(names))])
            if len(ends) + len(ways) != 1 or (ends and (ends[0].kind != GIVES or is_told(ctx, ends[0]))):
                continue
            if ways and is_told(ctx, End(FALLS, ways[0])):
                continue
            fate = _further(_Spot(ctx, module, func), call, ends[0].value if ends else NOTHING)
        except TiredError:
            continue
        if fate is not None:
            line = call.func.name_line
            yield replace(_found(module, call, work, fate), line=line, end_line=max(line, call.end))


def _answered(ctx: Context, known: Spans) -> Iterator[Finding]:
    """From answers on that hold an error instead of throwing it: Supabase's client, and raw requests."""
    failing: list[tuple[Module, ir.Node, Sure, str]] = [
        (each.module, each.node, UNSTORED, f"{WORKS_FOR[each.kind]} {each.table}")
        for each in live_statements(ctx, *WORKS_FOR)
        if answers_with_error(each) and not BESIDE.search(snake(each.table))
    ]
    failing += [
        (each.module, each.call, REFUSAL, each.api)
        for each in ctx.calls
        if not each.sdk
        and _THROWS_NOT.search(ir.dotted(each.call.func))
        and ctx.role_at(each.module, each.call) in LIVE_ROLES
    ]
    own = set(ctx.once(served))
    for module, node, value, work in failing:
        func = node.within
        if func is None or module not in own or ASIDE.search(func.name) or not isinstance(node, ir.Call):
            continue
        if is_known(known, module.path, node.line, node.end):
            continue
        try:
            asked: list[ir.If] = []
            fate = _further(_Spot(ctx, module, func), node, value, asked=asked)
        except TiredError:
            continue
        if fate is not None:
            at = next((each for each in asked if each.then), None)
            found = _found(module, at or node, work, fate)
            yield replace(found, end_line=at.then[-1].end) if at is not None else found


Fate = tuple[Place, str]
"""Where a failure passes for a success, and how."""


def _found(module: Module, node: ir.Node, work: str, fate: Fate) -> Finding:
    where, what = fate
    line = f"line {where.line}" if where.path == module.path else f"line {where.line} of {where.path}"
    message = f"where {work} fails, {line} {what}"
    return finding(
        "fallback-swallow", module, node, message, key=f"fate {work}", weight=BARELY, evidence=[where]
    )


def where_caught(walk: Walk, attempt: ir.Try, failed: ir.Node) -> Way:
    """How things stand at the head of the last handler of an attempt."""
    handler, func = attempt.handlers[-1], attempt.within
    caught = variables_in(handler.catches) if handler.catches is not None else set()
    names: dict[str, Sure] = {each: Sure(ERROR) for each in caught}
    touched = set(caught)
    for part in (*attempt.body, *handler.body):
        for made in ir.find(part, ir.Assign):
            touched |= variables_in(made.target)
        for call in ir.find(part, ir.Call):
            if isinstance(call.func, ir.Attr) and call.func.name in _ADDS:
                root = ir.root_of(call.func)
                touched |= {root.id} if isinstance(root, ir.Name) else set()
    for part in attempt.body:
        for each in ir.find(part, ir.Assign):
            if isinstance(each.target, ir.Name) and not each.decl and each.end >= failed.line:
                value = _before(walk, func, attempt, each.target.id) if func is not None else None
                if value is not None:
                    names[each.target.id] = value
    return Way(names, frozenset(touched))


_ADDS = {"push", "append", "add", "set", "extend", "update", "unshift"}


def _before(walk: Walk, func: ir.Func, attempt: ir.Try, name: str) -> Sure | None:
    """What a variable surely is in front of an attempt: what the one assignment there says."""
    made = [
        each
        for each in ir.find(func, ir.Assign)
        if name in variables_in(each.target) and each.first < attempt.first
    ]
    if len(made) != 1 or made[0].op != "=":
        return None
    return walk.values.of(made[0].value, {})


def _unheard(spot: _Spot, ways: Ways, ends: list[End]) -> Fate | None:
    """Whether a webhook's sender is told that all is well, whatever the product notes for itself."""
    if spot.func not in ways.hooks or spot.func not in spot.ctx.handled_by:
        return None
    for each in ends:
        answer = answer_of(each)
        if each.kind == GIVES and answer is not None and not _may_refuse(answer):
            return Place(spot.module.path, answer.line), "tells the sender of this webhook that all is well"
    return None


def _may_refuse(answer: ir.Node) -> bool:
    """Whether an answer has a status of 400 or more, or one that is not known."""
    if names_error(answer):
        return True
    told = [
        each.value for each in ir.find(answer, ir.Prop) if each.key in {"status", "status_code", "statusCode"}
    ]
    return any(not isinstance(each, ir.Lit) for each in told)


def _fate(spot: _Spot, ends: list[End], given: Given | None = None, *, depth: int = 0) -> Fate | None:
    """Where a failure passes for a success, and how; None where every way tells of it or asks."""
    ctx, func, given = spot.ctx, spot.func, given or {}
    quiet = [each for each in ends if each.kind in {FALLS, GIVES} and not is_told(ctx, each)]
    routes = ctx.handled_by.get(func, ())
    for each in quiet:
        at, what = effect_of(ctx, each, given)
        if at is not None:
            return Place(spot.module.path, at.line), what
        answer = answer_of(each) if any(route.is_http for route in routes) else None
        if answer is not None and passes_for_success(each, answer, given):
            what = "answers as if it had not, and nothing on the way asks whether it did"
            return Place(spot.module.path, answer.line), what
    if routes or depth >= MAX_CALLERS or not func.name:
        return None
    values = [each.value if each.kind == GIVES else NOTHING for each in quiet]
    for value in values:
        for site, owner in live_sites(ctx, func) if not _is_plain_no(func, value) else ():
            if holds_no(value) and not stands_alone(site.call):
                continue  # it is told by what is given, and may be asked wherever that goes
            found = _further(_Spot(ctx, site.module, owner), site.call, value, depth=depth + 1)
            if found is not None:
                return found
    return None


def _further(
    spot: _Spot, call: ir.Call, value: Sure | None, *, depth: int = 0, asked: list[ir.If] | None = None
) -> Fate | None:
    """The same behind a call that gives `value` for a failure; `asked` gets the first test that this decides."""
    given: Given = {call: value}
    ends = ends_behind(spot.module, call, value)
    if asked is not None:
        quiet = (each for each in ends if each.kind in {FALLS, GIVES} and not is_told(spot.ctx, each))
        asked += next((each.way.asked[:1] for each in quiet), ())
    return _fate(spot, ends, given, depth=depth)


def _is_plain_no(func: ir.Func, value: Sure | None) -> bool:
    """`False` of a function that by its name asks something, for which it is an answer of its own."""
    return value is not None and value.value is False and _QUESTION.search(snake(func.name)) is not None


_QUESTION = re.compile(
    r"^_?(is|has|can|check|verify|validate|exists?|test|ping|should|supports?)(_|$)|health|connect|available"
)


_THROWS_NOT = re.compile(
    r"^fetch$|\.fetch$|^(requests|httpx)\.\w+$|(^|\.)(session|client)\.(get|post|put|patch|delete|request)$"
)
"""Clients that answer with a refusal instead of throwing it."""
