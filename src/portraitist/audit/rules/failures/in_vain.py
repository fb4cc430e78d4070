"""Part of the rule on swallowed failures: questions and starts that failed, and what is taken for their answer.

A question that could not be asked becomes a failed run, a start that was refused becomes an id that nobody gave or
nothing at all, and a helper keeps to itself that a paid result could not be stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, last_name, leads_to, live_statements, place
from portraitist.audit.rules.exits import is_caught_at_once
from portraitist.audit.rules.failures.quiet import BESIDE, Ways, live_sites, only_logs
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.syntax import calls_in, is_nothing, stands_alone, way_out

_FAILED = re.compile(r"^fail(ed|ure)$", re.I)
_GOES_ON = re.compile(
    r"^(starting|processing|queued|pending|running|training|in_progress|succeeded|completed|success)$", re.I
)
_IDS = {"id", "training_id", "prediction_id", "replicate_id", "job_id", "request_id", "task_id"}


def in_vain(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """Everything of this file."""
    yield from _not_asked(ctx)
    yield from _not_started(ctx)
    yield from _not_kept(ctx, ways)


def _not_asked(ctx: Context) -> Iterator[Finding]:
    """`catch { return { status: "failed" } }`, or a row set to failed, where only a run's state was asked for."""
    asking: set[ir.Func | None] = askers(ctx) - {None}
    paying: set[ir.Func | None] = {each.func for each in ctx.creates()} - {None}
    for module in ctx.live if asking else ():
        if module.path.endswith((".tsx", ".jsx")):
            continue
        for attempt in module.all(ir.Try):
            handler = attempt.handlers[-1] if attempt.handlers else None
            if handler is None or ctx.role_at(module, attempt) not in LIVE_ROLES or attempt.within in paying:
                continue
            told = _told_failed(ctx, attempt, handler)
            ends = _cancels(ctx, handler)
            if not (told or ends) or not _only_asks(ctx, attempt, asking, paying):
                continue
            verdict = "cancelled" if ends else "taken for failed"
            message = f"where the provider could not be asked (a lost connection, 429), the run is {verdict}"
            end = max(handler.end, told.end if told is not None else 0)
            yield finding("fallback-swallow", module, told or handler, message, key="asked in vain", weight=50,
                          line=handler.line, end=end)  # fmt: skip


def _cancels(ctx: Context, handler: ir.Handler) -> bool:
    """Whether a handler cancels the run, by itself or by a helper, whatever kind of failure it was."""
    if any(isinstance(each, ir.If) for part in handler.body for each in ir.walk(part)):
        return False
    stops: set[ir.Func | None] = {each.func for each in ctx.calls if "cancel" in each.api} - {None}
    for call in calls_in(handler.body):
        known = ctx.call_at.get(call)
        if known is not None and "cancel" in known.api:
            return True
        if any(each.node in stops for each in ctx.program.functions_called(call)):
            return True
    return False


def _told_failed(ctx: Context, attempt: ir.Try, handler: ir.Handler) -> ir.Node | None:
    """Where a handler says `failed` and asks nothing before: in its answer, a variable or a row."""
    if any(isinstance(each, ir.If) for part in handler.body for each in ir.walk(part)):
        return None
    for each in (one for part in handler.body for one in ir.walk(part)):
        says = isinstance(each, ir.Assign) and STATE.search(snake(last_name(each.target)))
        if isinstance(each, ir.Assign) and says and _FAILED.match(ir.text_of(each.value) or ""):
            return each
        if isinstance(each, ir.Return) and not each.throws and isinstance(each.value, ir.Obj):
            state = each.value.get("status", "state")
            if _FAILED.match(ir.text_of(state) or "") and attempt.within not in ctx.handled_by:
                return each
        if isinstance(each, ir.Call) and _stores_failed(ctx, each):
            return each
    return None


def _stores_failed(ctx: Context, call: ir.Call) -> bool:
    """Whether a call writes a row's failed state: a statement, or a helper that is handed the word."""
    for statement in ctx.once(_by_node).get(call, ()):
        if any(
            STATE.search(snake(each.column)) and _FAILED.match(str(getattr(each.value, "value", "")))
            for each in statement.columns
        ):
            return True
    words = [each for one in (*call.args, *([call.kw] if call.kw else [])) for each in ir.walk(one)]
    told = any(_FAILED.match(ir.text_of(each) or "") for each in words)
    writers: set[ir.Func | None] = set(ctx.once(_writing))
    return told and any(leads_to(ctx, each.node, writers) for each in ctx.program.functions_called(call))


def _by_node(ctx: Context) -> dict[ir.Node, list[Statement]]:
    found: dict[ir.Node, list[Statement]] = {}
    for each in live_statements(ctx, "write"):
        found.setdefault(each.node, []).append(each)
    return found


def _writing(ctx: Context) -> dict[ir.Func, list[Statement]]:
    """The live writes of each function, but for those that only tell what happened."""
    found: dict[ir.Func, list[Statement]] = {}
    for each in live_statements(ctx, "write"):
        if each.func is not None and not BESIDE.search(snake(each.table)):
            found.setdefault(each.func, []).append(each)
    return found


def _only_asks(
    ctx: Context, attempt: ir.Try, asking: set[ir.Func | None], paying: set[ir.Func | None]
) -> bool:
    """Whether an attempt asks the provider for a run's state, itself or in a helper, and starts none."""
    asks = False
    for call in calls_in(attempt.body):
        if is_caught_at_once(call):
            continue
        known = ctx.call_at.get(call)
        asks = asks or (known is not None and known.purpose == "status")
        if known is not None and known.creates:
            return False
        for target in ctx.program.functions_called(call):
            if leads_to(ctx, target.node, paying):
                return False
            asks = asks or target.node in asking
    return asks


def _not_started(ctx: Context) -> Iterator[Finding]:
    """A failed start that is answered with a made-up id, or with nothing where the route then answers 200."""
    seen: set[ir.Try] = set()
    for call in ctx.creates():
        attempt = _attempt_around(call)
        if attempt is None or attempt in seen or not attempt.handlers:
            continue
        handler = attempt.handlers[-1]
        leave = way_out(handler)
        rest = [each for each in handler.body if each is not leave]
        if leave is None or leave.throws or not only_logs(rest):
            continue
        seen.add(attempt)
        made = _made_up(leave.value)
        taken = _answered(ctx, attempt.within) if is_nothing(leave.value) else None
        if made:
            message = f"a failed {call.api} is answered with {made}, as if the work had begun"
            yield finding("fallback-swallow", call.module, handler, message, key=f"made up {call.api}", weight=52,
                          end=handler.end, evidence=[place(call)])  # fmt: skip
        elif taken is not None:
            message = f"a failed {call.api} becomes nothing, and {taken.path}:{taken.line} answers no error for that"
            yield finding("fallback-swallow", call.module, handler, message, key=f"nothing {call.api}", weight=47,
                          end=handler.end, evidence=[taken])  # fmt: skip


def _attempt_around(call: ProviderCall) -> ir.Try | None:
    below: ir.Node = call.call
    for each in ir.ancestors(call.call):
        if isinstance(each, ir.Try) and below in each.body:
            return each
        if isinstance(each, ir.Func) and each.name and each.decorators:
            return None
        if isinstance(each, ir.Class):
            return None
        below = each
    return None


def _made_up(value: ir.Node | None) -> str:
    """The made-up id in an answer that says nothing of an error; "" where there is none."""
    if not isinstance(value, ir.Obj) or any(each.spread for each in value.props):
        return ""
    keys = {snake(each.key or "") for each in value.props}
    state = value.get("status", "state")
    if keys & {"error", "message", "detail"} or (
        state is not None and not _GOES_ON.match(ir.text_of(state) or "")
    ):
        return ""
    for each in value.props:
        text = each.value.parts[0] if isinstance(each.value, ir.Tmpl) and each.value.parts else each.value
        if snake(each.key or "") in _IDS and ir.text_of(text):
            return f"an id of its own ({ir.text_of(text)}…)"
    return ""


def _answered(ctx: Context, func: ir.Func | None) -> Place | None:
    """A route's handler that asks for the answer of a helper and has no error to tell in any case."""
    for site in ctx.program.callers.get(func, []) if func is not None else ():
        owner = site.call.within
        if (
            owner not in ctx.handled_by
            or ctx.role_at(site.module, site.call) not in LIVE_ROLES
            or owner is None
        ):
            continue
        after = [each for each in ir.walk(owner) if each.line >= site.call.line]
        numbers = [each.value for each in after if isinstance(each, ir.Lit) and isinstance(each.value, int)]
        throws = any(isinstance(each, ir.Return) and each.throws for each in after)
        hands_on = any(
            isinstance(each, ir.Call) and last_name(each.func) in {"next", "abort"} for each in after
        )
        if not throws and not hands_on and not any(400 <= each < 600 for each in numbers):
            return Place(site.module.path, site.call.line)
    return None


def _not_kept(ctx: Context, ways: Ways) -> Iterator[Finding]:
    """A helper that logs that it could not write, called behind a paid call by those who never look at its answer."""
    for func, statements in ctx.once(_writing).items():
        if func in ways or func in ctx.handled_by:
            continue
        for attempt in ir.find(func, ir.Try):
            handler = attempt.handlers[-1] if attempt.handlers else None
            inside = next((each for each in statements if _below(attempt, each.node)), None)
            if handler is None or inside is None or attempt.within is not func or not _keeps_quiet(handler):
                continue
            caller = _dropped_behind(ctx, ways, func)
            if caller is not None:
                module: Module = ctx.program.module_of[func]
                silent = not any(True for part in handler.body for _ in ir.find(part, ir.Call))
                says = "says nothing where" if silent else "only logs that"
                message = (
                    f"{func.name} {says} {inside.table} could not be written, and {caller.path}:{caller.line} "
                    "goes on as if it were"
                )
                weight = BARELY if _NOTES.search(snake(func.name)) else 43
                yield finding("fallback-swallow", module, handler, message, key=f"kept {func.name}", weight=weight,
                              end=handler.end, evidence=[caller])  # fmt: skip
                break


_NOTES = re.compile(r"(^|_)(logs?|track|audit|metrics?|analytics|stats|heartbeat|usage|notify|debug)(_|$)")
"""Helpers that only note what happened."""


def _below(attempt: ir.Try, node: ir.Node) -> bool:
    return any(node is each for part in attempt.body for each in ir.walk(part))


def _keeps_quiet(handler: ir.Handler) -> bool:
    """Whether a handler logs and gives back nothing, if it leaves at all."""
    leaves = [each for each in handler.body if isinstance(each, ir.Return)]
    rest = [each for each in handler.body if each not in leaves]
    nothing = all(not each.throws and (is_nothing(each.value) or _is_false(each.value)) for each in leaves)
    return nothing and only_logs(rest)


def _is_false(value: ir.Node | None) -> bool:
    return isinstance(value, ir.Lit) and value.value is False


def _dropped_behind(ctx: Context, ways: Ways, func: ir.Func, depth: int = 0) -> Place | None:
    """A statement behind a paid call, or in a webhook's handler, that is just this call, if by another helper."""
    for site, owner in live_sites(ctx, func):
        if not stands_alone(site.call):
            continue
        handler = ir.enclosing(site.call, ir.Handler)
        if (
            handler is not None
            and handler.within is owner
            and any(isinstance(each, ir.Return) for each in handler.body)
        ):
            continue  # it clears up behind a failure that is told
        if owner in ways.hooks or (owner in ways.paid and site.call.line > ways.paid[owner]):
            return Place(site.module.path, site.call.line)
        further = (
            _dropped_behind(ctx, ways, owner, depth + 1) if depth < 1 and owner not in ways.paid else None
        )
        if further is not None:
            return further
    return None
