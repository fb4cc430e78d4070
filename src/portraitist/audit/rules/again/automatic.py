"""Paid calls that a queue, a framework or a client repeats by itself after any failure: nobody wrote a loop.

Reads the numbers in the options, and the defaults of the frameworks that are known to repeat. A handler on the way
that lets no failure out, or says that it is final, stops them; what is set at run time is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in, place

_FINAL = re.compile(r"non_?retr|unrecoverable|abort|permanent|bail|discard|fatal", re.I)
"""Errors that tell a queue not to try again."""
_DECORATORS = re.compile(r"(^|\.)(retry|retrying|on_exception|backoff|on_predicate)(\.|$)", re.I)
_REFUSALS = re.compile(r"rate.?limit|throttl|429|too.?many|refus", re.I)
_TRIES = "maxAttempts", "attempts", "maxRetries", "max_retries", "retries", "retryLimit"
_QUEUE_MAKERS = {"Queue", "add", "addBulk"}


def repeated_by_itself(ctx: Context) -> Iterator[Finding]:
    """Everything of this file, once for each paid call."""
    told: set[ir.Call] = set()
    for flow in ctx.flows:
        call = flow.call
        if call.call in told or not _lets_out(ctx, flow):
            continue
        why = _by_decorator(ctx, flow) or (_by_queue(ctx, flow) if _is_job(flow) else None)
        if why is None:
            continue
        told.add(call.call)
        who, where = why
        message = f"{who} runs this again after any failure, and {call.api} with it, each time paid"
        yield finding("blind-post-retry", call.module, call.call, message, key=f"itself {call.api}", weight=57,
                      evidence=[where])  # fmt: skip
    yield from _by_client(ctx)


def _is_job(flow: Flow) -> bool:
    return flow.route is not None and flow.route.method == "JOB"


def _lets_out(ctx: Context, flow: Flow) -> bool:
    """Whether a failure of the call leaves every function on its way, and none of them calls it final."""
    for func in flow.funcs:
        lines = [each.line for each in flow.steps if each.path == ctx.program.module_of[func].path]
        for attempt in ir.find(func, ir.Try):
            body = attempt.body
            inside = body and any(body[0].line <= line <= body[-1].end for line in lines)
            for handler in attempt.handlers if inside else ():
                throws = [one for one in ir.find(handler, ir.Return) if one.throws]
                plain = [one for one in throws if not any(_FINAL.search(each) for each in names_in(one))]
                if not plain:
                    return False
    return True


def _by_decorator(ctx: Context, flow: Flow) -> tuple[str, Place] | None:
    """`@retry(stop=stop_after_attempt(3))` on a function on the way that does not make the call itself."""
    for func in flow.funcs:
        for each in func.decorators if func is not flow.call.func else ():
            name = ir.dotted(each)
            if _DECORATORS.search(name) and not any(_REFUSALS.search(one) for one in names_in(each)):
                return f"@{name}", Place(ctx.program.module_of[func].path, each.line)
    return None


def _by_queue(ctx: Context, flow: Flow) -> tuple[str, Place] | None:
    """What repeats a job: the options where it is defined, the framework's default, or those of who enqueues it."""
    assert flow.route is not None
    module, node = flow.route.module, flow.route.node
    if isinstance(node, ir.Call):
        name = last_name(node.func)
        if name == "createFunction":
            return _repeats(ctx, module, node, "Inngest", 3) if _is_sent(ctx, module, node) else None
        if name in {"task", "schemaTask"} and any(
            "trigger.dev" in each.module for each in module.all(ir.Import)
        ):
            return _repeats(ctx, module, node, "Trigger.dev", 3 if _default_tries(ctx) else 1)
        return _bull(ctx, module, node) if name in {"Worker", "process"} else None
    for func in flow.route.funcs:
        for each in func.decorators:
            name = ir.dotted(each)
            made = each if isinstance(each, ir.Call) else None
            if re.search(r"(^|\.)(dramatiq\.)?actor$", name):
                return _repeats(ctx, module, made or each, "Dramatiq", 20)
            if re.search(r"huey|procrastinate", module.lowered) and made is not None:
                return _repeats(ctx, module, made, f"@{name}", 0)
    return None


def _is_sent(ctx: Context, module: Module, made: ir.Call) -> bool:
    """Whether a text somewhere else names the event that begins a function; one that names none is begun otherwise."""
    heads = (each.get("event") for each in made.args if isinstance(each, ir.Obj))
    events = {text for each in heads if each is not None and (text := ir.text_of(each))}
    if not events:
        return True
    return any(
        each.value in events and (where is not module or not made.line <= each.line <= made.end)
        for where in ctx.live
        if where.language == "javascript" and any(event in where.file.text for event in events)
        for each in where.all(ir.Lit)
    )


def _repeats(
    ctx: Context, module: Module, options: ir.Node, who: str, default: int
) -> tuple[str, Place] | None:
    """The number of attempts in the options, else the default of who reads them."""
    for prop in (one for each in _parts(options) for one in ir.find(each, ir.Prop)):
        if prop.key in {*_TRIES, "retry"}:
            value = ctx.ev.eval(module, prop.value)
            number = value.value if isinstance(value, Known) else None
            if isinstance(number, int):
                most = number - 1 if prop.key in {"maxAttempts", "attempts"} else number
                return (f"{who} ({prop.key} {number})", Place(module.path, prop.line)) if most > 0 else None
    return (f"{who} (by default)", Place(module.path, options.line)) if default > 1 else None


def _parts(options: ir.Node) -> list[ir.Node]:
    """The objects of a call that configure it: no functions, and nothing inside one."""
    if not isinstance(options, ir.Call):
        return []
    found: list[ir.Node] = [each for each in options.args if isinstance(each, ir.Obj)]
    flat = [prop.value for each in found for prop in each.children() if isinstance(prop, ir.Prop)]
    if any(isinstance(each, ir.Func) for each in flat):
        found = [
            prop
            for each in found
            for prop in each.children()
            if isinstance(prop, ir.Prop) and not isinstance(prop.value, ir.Func)
        ]
    return [*found, *([options.kw] if options.kw is not None else [])]


def _default_tries(ctx: Context) -> bool:
    """Whether no configuration of Trigger.dev sets the attempts of every task to one."""
    for module in ctx.modules:
        if re.search(r"(^|/)trigger\.config\.\w+$", module.path):
            tries = [each.value for each in module.all(ir.Prop) if each.key == "maxAttempts"]
            return not any(isinstance(each, ir.Lit) and each.value == 1 for each in tries)
    return True


def _bull(ctx: Context, module: Module, worker: ir.Call) -> tuple[str, Place] | None:
    """`queue.add(name, data, { attempts: 3 })`, or the queue's `defaultJobOptions`, for the queue of a worker."""
    wanted = _queue_name(ctx, module, worker)
    many = {_queue_name(ctx, each, one) for each in ctx.live for one in each.calls({"Queue"}) if one.is_new}
    for other in ctx.live:
        if other.language != "javascript" or "attempts" not in other.lowered:
            continue
        for call in other.calls(_QUEUE_MAKERS):
            made = call if last_name(call.func) == "Queue" else _queue_behind(other, call)
            own = _queue_name(ctx, other, made) if made is not None else None
            if not re.search(r"queue", ir.dotted(call.func), re.I) or (
                own != wanted and (own or len(many) > 1)
            ):
                continue
            for each in ir.find(call, ir.Prop):
                number = each.value.value if isinstance(each.value, ir.Lit) else None
                if each.key == "attempts" and isinstance(number, int) and number > 1:
                    return f"the queue (attempts {number})", Place(other.path, each.line)
    return None


def _queue_behind(module: Module, call: ir.Call) -> ir.Call | None:
    """The queue that a call puts something into, where its variable is set in the same file."""
    holder = call.func.obj if isinstance(call.func, ir.Attr) else None
    values = [each.value for each in bindings_of(module, holder)]
    return next((each for each in values if isinstance(each, ir.Call) and each.is_new), None)


def _queue_name(ctx: Context, module: Module, call: ir.Call) -> object:
    value = ctx.ev.eval(module, call.args[0]) if call.args else None
    return value.value if isinstance(value, Known) else None


def _by_client(ctx: Context) -> Iterator[Finding]:
    """A client that repeats every POST: `Retry(allowed_methods=["POST"])`, axios-retry with a condition of its own."""
    raw = [each for each in ctx.creates() if not each.sdk]
    for module in {each.module.path: each.module for each in raw}.values():
        paid = [each for each in raw if each.module is module]
        for call in module.calls({"Retry", "axiosRetry"}):
            if ctx.role_at(module, call) in LIVE_ROLES and _repeats_posts(call):
                api = paid[0].api
                message = f"this client repeats every failed POST by itself, {api} as well, each time paid"
                yield finding("blind-post-retry", module, call, message, key=f"client {api}", weight=57, end=call.end,
                              evidence=[place(paid[0])])  # fmt: skip


def _repeats_posts(call: ir.Call) -> bool:
    given = ir.keyword(call, "allowed_methods", "method_whitelist", "retryCondition")
    if last_name(call.func) == "axiosRetry":
        return isinstance(given, ir.Func) and not any(_REFUSALS.search(each) for each in names_in(given))
    if isinstance(given, ir.Lit):
        return not given.value
    return given is not None and any(each.upper() == "POST" for each in names_in(given))
