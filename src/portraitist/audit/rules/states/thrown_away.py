"""Part of the rule on states that stay open: work that is begun, and whose answer nobody keeps, or no table.

Where an answer goes is followed through helpers that give it back; what is handed to any other call counts as kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import (
    callers_of,
    finding,
    helpers_of,
    live_statements,
    names_in,
    place,
)
from portraitist.audit.rules.failures.quiet import LOGS
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.marks import WAITED_FOR
from portraitist.audit.rules.states.rounds import asking_loops
from portraitist.audit.rules.syntax import branches_around, is_set, outermost

_ONLY_ASKED = {"ok", "status", "statusText", "status_code", "raise_for_status"}
"""Members that tell whether a request was taken, and nothing of the work."""
MAX_CALLERS = 3
"""How many callers up an answer is followed."""


def thrown_away(ctx: Context) -> Iterator[Finding]:
    """`await replicate.trainings.create(…)` whose answer is dropped or only logged, or that the page alone is given.

    Only calls all of whose options are known, from routes, actions and jobs.
    """
    asked = {flow.call for flow in ctx.flows if flow.route is not None and flow.route.is_http}
    begun = {flow.call for flow in ctx.flows if flow.route is not None}
    for call in (each for each in ctx.creates() if each in begun and each.api not in WAITED_FOR):
        known = call.options and not any(each.open for each in call.options)
        live = ctx.role_at(call.module, call.call) in LIVE_ROLES
        if not known or not live or call.fields("wait", "stream"):
            continue
        kept = _is_kept(ctx, call.module, call.call, 0)
        told = bool(call.fields("webhook", "webhook_completed"))
        if not kept:
            yield from _dropped(ctx, call, told)
        elif not told and call in asked and not ctx.once(_keeps_ids) and _is_left(ctx, call):
            message = "no table keeps the id of this work: only whoever began it can ask how it ends"
            yield finding(
                "stuck-status", call.module, call.call, message, key=f"{call.api} page", weight=BARELY
            )


def _dropped(ctx: Context, call: ProviderCall, told: bool) -> Iterator[Finding]:
    """Where an answer is dropped: at the call, and at the calls of a helper that gives it back."""
    message = "nobody keeps the answer, and no webhook is told: how this work ends is never known"
    weight = 58 if call.purpose == "training" else 44
    if told:
        message = "nobody keeps the answer: when the webhook is lost, nobody can ask how this work ends"
    yield finding("stuck-status", call.module, call.call, message, key=f"{call.api} dropped",
                  weight=BARELY if told else weight)  # fmt: skip
    sites = ctx.program.callers.get(call.func, []) if call.func is not None and _is_given_back(call) else []
    for site in sites if not told else ():
        message = "the answer to work that is begun is dropped here, and no webhook is told"
        yield finding("stuck-status", site.module, site.call, message, key=f"{call.api} dropped here",
                      weight=BARELY, evidence=[place(call)])  # fmt: skip


def _keeps_ids(ctx: Context) -> bool:
    """Whether any table has a column that is named for the id of such work, or one that gets an answer's id."""
    for each in live_statements(ctx, "write"):
        if any(
            _ID.search(snake(use.column)) or _GIVEN.search(ir.dotted(use.node))
            for use in each.columns
            if use.node
        ):
            return True
    return any(
        _ID.search(snake(name)) for made in ctx.tables.values() for each in made for name in each.columns
    )


_ID = re.compile(r"(prediction|training|replicate|job|external|task|request|provider|run)\w*_id$")
_GIVEN = re.compile(r"(predict|train|replicate|job|response|data|result|answer)\w*\.id$", re.I)


def _is_left(ctx: Context, call: ProviderCall) -> bool:
    """Whether an answer goes to the page alone: nothing waits for the work, no row is written on the way to it."""
    near = {call.func, *callers_of(ctx, call.func)}
    inside = {one for func in near if func is not None for one in helpers_of(ctx, func)} | near
    written = any(each.kind == "write" for one in inside if one for each in ctx.statements_under.get(one, ()))
    waited = any(loop.within in inside for _, loop in ctx.once(asking_loops))
    return not written and not waited and _is_only_answered(ctx, call.call, 0)


def _is_only_answered(ctx: Context, node: ir.Node, depth: int) -> bool:
    """Whether every use of a value is part of an answer, a log, a test, or a way out to a caller that does the same."""
    below = node
    for up in ir.ancestors(node):
        if isinstance(up, ir.Return) or (isinstance(up, ir.Func) and below not in up.body):
            func = up.within if isinstance(up, ir.Return) else up
            sites = (
                ctx.program.callers.get(func, []) if func is not None and func not in ctx.handled_by else []
            )
            return depth < MAX_CALLERS and all(_is_only_answered(ctx, each.call, depth + 1) for each in sites)
        if isinstance(up, ir.Assign):
            if not isinstance(up.target, ir.Name) or up.within is None:
                return False
            uses = (
                each for each in ir.find(up.within, ir.Name) if each.id == up.target.id and not is_set(each)
            )
            return depth < MAX_CALLERS and all(_is_only_answered(ctx, each, depth + 1) for each in uses)
        if isinstance(up, ir.Call) and below is not up.func and not _SPELLS.search(ir.dotted(up.func)):
            return bool(_ANSWERS.search(ir.dotted(up.func)) or LOGS.match(ir.dotted(up.func)))
        if isinstance(up, ir.If | ir.Loop | ir.Try | ir.Handler | ir.Func):
            return True
        below = up
    return False


_ANSWERS = re.compile(r"(^|\.)(json|send|jsonify|Response|JSONResponse|status|end)$")
_SPELLS = re.compile(r"(^|\.)(stringify|dumps|parse|loads|str|String)$")


def _is_given_back(call: ProviderCall) -> bool:
    """Whether the function in which a call stands returns what it answers, in whatever shape."""
    around = (each for each in ir.ancestors(call.call) if isinstance(each, ir.Return | ir.Func | ir.Assign))
    return isinstance(next(around, None), ir.Return | ir.Assign)


def _is_kept(ctx: Context, module: Module, node: ir.Node, depth: int) -> bool:
    """Whether something takes a value: a call that does not log, a row, an answer, a callback."""
    below = node
    for up in ir.ancestors(node):
        if isinstance(up, ir.Return):
            return not up.throws and _by_callers(ctx, up.within, depth)
        if isinstance(up, ir.Func):
            return False
        if isinstance(up, ir.Assign):
            return below is not up.value or _is_read(ctx, module, up, depth)
        if isinstance(up, ir.Call) and below is not up.func:
            return not LOGS.match(ir.dotted(up.func))
        if isinstance(up, ir.Attr) and up.name in _ONLY_ASKED:
            return False
        if isinstance(up, ir.If | ir.Try | ir.Handler | ir.Loop):
            return False
        if isinstance(up, ir.Prop | ir.Arr | ir.Cond):
            return True
        below = up
    return False


def _is_read(ctx: Context, module: Module, made: ir.Assign, depth: int) -> bool:
    """Whether a variable is read anywhere but in a log, or is no plain variable."""
    if not isinstance(made.target, ir.Name) or made.within is None:
        return True
    names = ir.find(outermost(made.within), ir.Name)
    uses = (each for each in names if each.id == made.target.id and each is not made.target)
    return any(
        _is_kept(ctx, module, each, depth) for each in uses if not is_set(each) and not _is_refused(each)
    )


def _is_refused(node: ir.Node) -> bool:
    """Whether something stands under a test for a refusal: `if (!res.ok) …`, `if r.status_code != 201: …`."""
    tests = (one for each in branches_around(node) for one in ir.find(each.test, ir.Bin))
    return any(each.op in _REFUSALS and names_in(each) & _ONLY_ASKED for each in tests)


_REFUSALS = {"!", "not", "!=", "!==", ">", ">=", "not in"}


def _by_callers(ctx: Context, func: ir.Func | None, depth: int) -> bool:
    """Whether a caller keeps what a function gives back; one that nobody is seen to call may be anybody's."""
    sites = ctx.program.callers.get(func, []) if func is not None else []
    if not sites or depth >= MAX_CALLERS or func in ctx.handled_by:
        return True
    return any(_is_kept(ctx, each.module, each.call, depth + 1) for each in sites)
