"""Risks on the product's paths: failures answered as successes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.again.loops import repeats
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.failures.answers import (
    dropped_catches,
    unread_answers,
    unread_calls,
    unread_responses,
)
from portraitist.audit.rules.failures.as_success import as_success
from portraitist.audit.rules.failures.fate import fates
from portraitist.audit.rules.failures.handlers import left_out, nothing_for_an_answer, quiet_handlers
from portraitist.audit.rules.failures.in_vain import in_vain
from portraitist.audit.rules.failures.instead import instead
from portraitist.audit.rules.failures.passed_over import beside, passed_over, spans_of
from portraitist.audit.rules.failures.put_in_place import nothing_kept, put_in_place
from portraitist.audit.rules.failures.quiet import goes_round, tested_after, working
from portraitist.audit.rules.failures.rows_without_files import rows_without_files
from portraitist.audit.rules.failures.taken_for import taken_for
from portraitist.audit.rules.failures.told_done import told_done
from portraitist.audit.rules.failures.unheard import unheard
from portraitist.audit.rules.failures.unread_files import unread_files
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import claims_success, tests_of


def fallback_swallow(ctx: Context) -> Iterator[Finding]:
    """The failure of a paid call is answered as a success, or disappears.

    Looks at the handlers around the call, and around the calls of a helper that lets its failure through: one that
    neither leaves, throws nor reports an error swallows it, and so does one that gives back what it was given, or a
    picture that stands in, also as a promise's `catch`. A result that is tested behind the handler is not swallowed,
    nor is a failure in a loop that tries again. Also errors in answers that nobody reads, a webhook's failures that
    its sender never hears of, loops that leave out what failed (`answers`, `handlers`), results that are not kept and
    refusals that nobody reads (`unheard`), what is told as done (`told_done`), what is put in the place of what failed
    (`put_in_place`), questions and starts that fail and are taken for an answer (`in_vain`), and, anywhere, what
    is answered, taken or counted as if it had not failed (`as_success`), logged
    and passed over (`passed_over`), or a file of which nobody asks whether it came (`unread_files`),
    or that something else is taken for (`instead`, `taken_for`).
    """
    told = [*_told(ctx)]
    ways = working(ctx)
    petty = (
        as_success(ctx, ways),
        unread_files(ctx, ways),
        passed_over(ctx),
        instead(ctx, ways),
        taken_for(ctx),
    )
    told += beside(told, *petty)
    yield from told
    yield from beside(told, fates(ctx, ways, spans_of(told)))


def _told(ctx: Context) -> Iterator[Finding]:
    """The failures of paid work, of webhooks, and of what stands around them."""
    ways = working(ctx)
    yield from unread_answers(ctx, ways)
    yield from unread_calls(ctx, ways)
    yield from unread_responses(ctx)
    yield from rows_without_files(ctx)
    yield from dropped_catches(ctx, ways)
    yield from quiet_handlers(ctx, ways)
    yield from nothing_for_an_answer(ctx, ways)
    yield from left_out(ctx, ways)
    yield from unheard(ctx, ways)
    yield from told_done(ctx, ways)
    yield from put_in_place(ctx, ways)
    yield from in_vain(ctx, ways)
    yield from nothing_kept(ctx)
    seen: set[ir.Handler] = set()
    for call in ctx.creates():
        yield from _caught_promise(ctx, call)
        for module, attempt, inner in _attempts(ctx, call.module, call.call, call.func, 0):
            if (
                tested_after(attempt, inner)
                or _goes_round(attempt, inner)
                or ctx.role_at(module, attempt) not in LIVE_ROLES
            ):
                continue
            for handler in (each for each in attempt.handlers if each not in seen):
                verdict = _swallows(ctx, attempt, handler)
                if verdict:
                    seen.add(handler)
                    yield finding(
                        "fallback-swallow",
                        module,
                        handler,
                        f"a failure of {call.api} {verdict}",
                        key=call.api,
                        weight=BARELY if verdict in _PETTY else 49,
                        evidence=[place(call)],
                        end=handler.end,
                    )
                    break


def _caught_promise(ctx: Context, call: ProviderCall) -> Iterator[Finding]:
    """`run(…).catch(() => picture)`: nothing is thrown, and nobody asks afterwards whether there is a result."""
    for each in ir.ancestors(call.call):
        if not isinstance(each, ir.Attr | ir.Call):
            return
        given = (
            each.args[0]
            if isinstance(each, ir.Call) and each.args and last_name(each.func) == "catch"
            else None
        )
        if not isinstance(given, ir.Func) or call.func is None:
            continue
        throws = any(one.throws for one in ir.find(given, ir.Return)) or not all(
            isinstance(one, ir.Lit) or _stands_in(ctx, one) for one in returns(given)
        )
        names = variables_in(each.parent.target) if isinstance(each.parent, ir.Assign) else set()
        branches = tests_of(call.func)
        tests = [one.test for one in branches if one.line >= each.line]
        asked = any(names & names_in(one) for one in tests)
        if not throws and returns(given) and names and not asked:
            message = f"a failure of {call.api} is answered with what stands in"
            yield finding("fallback-swallow", call.module, given, message,
                          key=call.api, weight=49, evidence=[place(call)], end=given.end)  # fmt: skip


_PETTY = {"is only logged", "is answered with what was given"}
"""What may be meant so: a step left out, a picture as it was. Where a state stays, `stuck-status` says it."""

MAX_HOPS = 2
"""How many helpers a failure may come through before it is caught."""


def _attempts(
    ctx: Context, module: Module, node: ir.Node, func: ir.Func | None, hops: int
) -> Iterator[tuple[Module, ir.Try, ir.Node]]:
    """Where an error of a call is caught: around it, else around the calls of the function that it leaves."""
    around = (each for each in ir.ancestors(node) if isinstance(each, ir.Try) and each.handlers)
    attempt = next((each for each in around if any(node in set(ir.walk(part)) for part in each.body)), None)
    if attempt is not None:
        yield module, attempt, node
    elif func is not None and hops < MAX_HOPS:
        for site in ctx.program.callers.get(func, []):
            owner = ir.enclosing(site.call, ir.Func)
            yield from _attempts(ctx, site.module, site.call, owner, hops + 1)


def _goes_round(attempt: ir.Try, call: ir.Node) -> bool:
    """Whether a loop around the handler has a test of its own, or none, or counts attempts: what failed has a turn."""
    func = ir.enclosing(attempt, ir.Func)
    loops = [each for each in ir.ancestors(attempt) if isinstance(each, ir.Loop) and each.within is func]
    return any(goes_round(each) or repeats(each, call) for each in loops)


def _swallows(ctx: Context, attempt: ir.Try, handler: ir.Handler) -> str:
    names: set[str] = set()
    for each in handler.body:
        names |= names_in(each)
    successes = [prop for each in handler.body for prop in ir.find(each, ir.Prop) if claims_success(prop)]
    if successes:
        return "is answered as a success"
    nodes = [node for each in handler.body for node in ir.walk(each)]
    returns = [each for each in nodes if isinstance(each, ir.Return)]
    calls = [ir.dotted(each.func) for each in nodes if isinstance(each, ir.Call)]
    told = [
        each
        for each in calls
        if not re.match(r"^(console|print|logger|log|logging|traceback|str|time|sleep)\b", each)
    ]
    if not returns and not told and not any(isinstance(each, ir.Assign) for each in nodes):
        return "is only logged"
    if any(_stands_in(ctx, each) for each in _answers(handler, attempt)):
        return "is answered with a picture that stands in"
    func = ir.enclosing(handler, ir.Func)
    given = {each.name for each in func.params} if func is not None else set()
    values = [each.value for each in returns]
    if values and all(isinstance(each, ir.Name) and each.id in given for each in values):
        return "is answered with what was given"
    return ""


_STAND_IN = re.compile(
    r"placeholder|fallback|default|mock|demo|sample|dummy|picsum|unsplash|\.(png|jpe?g|webp|gif|svg)(\?|$)",
    re.I,
)


def _answers(handler: ir.Handler, attempt: ir.Try) -> list[ir.Node]:
    """What a handler gives back, or puts where the result would have been."""
    made = {
        ir.plain_dotted(each.target)
        for part in attempt.body
        for each in ir.find(part, ir.Assign)
        if each.value is not None
    }
    nodes = [node for each in handler.body for node in ir.walk(each)]
    put = [
        each.value for each in nodes if isinstance(each, ir.Assign) and ir.plain_dotted(each.target) in made
    ]
    given = [each.value for each in nodes if isinstance(each, ir.Return) and not each.throws]
    return [each for each in (*put, *given) if each is not None]


def _stands_in(ctx: Context, node: ir.Node) -> bool:
    """A literal picture, also inside an object, or the answer of something called mock, placeholder or the like."""
    if isinstance(node, ir.Obj):
        plain = [each.value for each in node.props if snake(each.key or "") in ctx.words.picture_columns]
        return any(_stands_in(ctx, each) for each in plain)
    if isinstance(node, ir.Arr):
        return any(_stands_in(ctx, each) for each in node.items)
    if isinstance(node, ir.Call):
        answers = last_name(node.func) in {"json", "jsonify", "JSONResponse"} and any(
            _stands_in(ctx, each) for each in node.args
        )
        return answers or _MOCK_CALL.search(ir.dotted(node.func)) is not None
    text = ir.text_of(node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else node)
    return text is not None and text.startswith(("/", "http")) and _STAND_IN.search(text) is not None


_MOCK_CALL = re.compile(
    r"mock|placeholder|dummy|(^|\.)(get|create|generate)_?(fallback|demo)|(^|\.)Image\.new$|blank_?image|solid_?colou?r",
    re.I,
)
