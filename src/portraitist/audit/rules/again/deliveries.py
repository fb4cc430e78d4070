"""Events and payments that are counted again when they come again: webhooks, confirmations of payments, polls.

Senders repeat an event until it is answered, and a confirmed payment can be shown again. Looks for sums and
differences of balances, and for paid calls, that nothing on their way asks about; what the database does by itself
(a trigger, a stored function that is told the event's id) is not seen and counts as asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.asked import asks_before
from portraitist.audit.rules.base import finding, hears_provider, last_name, names_in
from portraitist.audit.rules.credits.effects import Effect, balance_effects
from portraitist.audit.rules.gravity import BARELY

MAX_DEPTH = 3
"""How many helpers below a handler an effect is looked for."""
_HOOK = re.compile(
    r"web-?_?hook|/ipn(/|$)|/notif(y|ications?)(/|$)|payment.{0,12}callback|callback.{0,12}payment", re.I
)
_CHATS = re.compile(r"telegram|slack|discord|whatsapp|twilio|bot(/|$|_)|clerk|github|messenger|line/", re.I)
_SIGNED = re.compile(
    r"construct_?event|validate_?webhook|verify_?webhook|webhooks?\.(verify|unmarshal)", re.I
)
_PAYS = re.compile(
    r"checkout\.session|order_created|payment_?intent|payment\.(succeeded|captured|waiting)|invoice\.|charge\.success"
    r"|subscription_payment|order\.(paid|completed)|payment_success|transaction\.completed", re.I
)  # fmt: skip
_CONFIRMS = re.compile(
    r"sessions\.retrieve|payment_?intents\.retrieve|session\.retrieve|orders\.fetch|payments\.fetch|payment\.find_one",
    re.I,
)
_MAY_SAY = re.compile(r"webhook|construct|retrieve|\.fetch|find_one")
"""One of these is in all that the two find; a file is asked for it first because that is quicker."""
_SAYS = {
    "event": "the same event delivered again {deed} a second time",
    "payment": "the same payment confirmed again {deed} a second time",
    "poll": "each question for a job that is done {deed} once more",
}


@dataclass(frozen=True, slots=True)
class Way:
    """How an effect is reached: for each function from the handler down, where it goes on; the effect is last."""

    steps: tuple[tuple[Module, ir.Func, ir.Node], ...]
    effect: Effect


def counted_again(ctx: Context) -> Iterator[Finding]:
    """Balances that one event, payment or finished job changes any number of times."""
    for route, sender, way in _unasked(ctx, ctx.once(balance_effects)):
        kinds = {"event": {"give", "take"}, "payment": {"give"}, "poll": {"take"}}[sender]
        if way.effect.kind not in kinds:
            continue
        deed = f"{'gives' if way.effect.kind == 'give' else 'takes'} credits ({way.effect.name})"
        yield _found("credit-before-check", route, way, _SAYS[sender].format(deed=deed), 54)
        if len(way.steps) > 1:
            module, _, node = way.steps[-1]
            told = (
                f"this comes again with the same {sender} of {route.key}, and nothing on the way asks for it"
            )
            first = Place(way.steps[0][0].path, way.steps[0][2].line)
            yield finding("credit-before-check", module, node, told, key=f"below {way.effect.kind}", weight=BARELY,
                          end=node.end, evidence=[first])  # fmt: skip


def paid_again(ctx: Context) -> Iterator[Finding]:
    """Paid calls that a repeated event of a payment or of the provider starts again."""
    for route, sender, way in _unasked(ctx, ctx.once(_paid)):
        if sender == "event":
            message = _SAYS[sender].format(deed=f"starts {way.effect.name}") + ", each time paid"
            yield _found("blind-post-retry", route, way, message, 56)


def _found(rule: str, route: Route, way: Way, message: str, weight: int) -> Finding:
    module, _, node = way.steps[0]
    last, _, effect = way.steps[-1]
    own = node if len(way.steps) > 1 else effect
    asked = f"{message}: nothing on the way asks whether it was here before"
    return finding(rule, module, own, asked, key=f"again {way.effect.kind} {route.path}", weight=weight, end=own.end,
                   evidence=[Place(last.path, effect.line)])  # fmt: skip


def _unasked(ctx: Context, effects: dict[ir.Func, list[Effect]]) -> Iterator[tuple[Route, str, Way]]:
    """The first effect of each kind in each handler that nothing asks about, and who may come again."""
    seen: set[ir.Node] = set()
    for handler, routes in ctx.handled_by.items() if effects else ():
        module = ctx.program.module_of[handler]
        sender = ctx.once(_sender, handler)
        if not sender or ctx.role_at(module, handler) not in LIVE_ROLES:
            continue
        kinds: set[str] = set()
        for way in _ways(ctx, effects, module, handler, ()):
            if way.effect.kind in kinds or way.effect.node in seen:
                continue
            if not any(asks_before(ctx, where, func, node) for where, func, node in way.steps):
                kinds.add(way.effect.kind)
                seen.add(way.effect.node)
                yield routes[0], sender, way


def _sender(ctx: Context, handler: ir.Func) -> str:
    """Who calls a handler: a service with an event, a visitor with a payment or a question for a job, or ""."""
    routes = [each for each in ctx.handled_by[handler] if each.is_http]
    module = ctx.program.module_of[handler]
    if not routes or any(_CHATS.search(f"{each.path} {module.path}") for each in routes):
        return ""
    heard = any(hears_provider(ctx, each) for each in routes)
    calls = ctx.once(_called, handler) if _MAY_SAY.search(module.lowered) else []
    if any(_SIGNED.search(each) for each in calls):
        return "event"
    if any(_HOOK.search(each.path) for each in routes):
        text = "\n".join(module.lines[handler.line - 1 : handler.end])
        return "event" if heard or _PAYS.search(text) else ""
    if heard:
        return "event"
    if (
        any(_CONFIRMS.search(each) for each in calls)
        or _checks_signature(handler)
        or _proves_payment(ctx, handler)
    ):
        return "payment"
    asks = any(each.purpose == "status" and each.func is handler for each in ctx.calls)
    starts = any(each.func is handler for each in ctx.creates())
    return "poll" if asks and not starts else ""


def _called(_ctx: Context, handler: ir.Func) -> list[str]:
    return [ir.dotted(each.func) for each in ir.find(handler, ir.Call)]


_PROVES = re.compile(
    r"^(verify|confirm|retrieve|fetch|get|capture)_?(transaction|payment|checkout|charge|order)(_?(status|session|intent))?$",
    re.I,
)
_PAID = {"success", "successful", "paid", "succeeded", "COMPLETED", "completed", "complete", "captured"}


def _proves_payment(ctx: Context, handler: ir.Func) -> bool:
    """Whether a handler goes by a helper's word that a payment was made: `verifyTransaction(ref)`, "success"."""
    routes = " ".join(f"{each.path} {each.module.path}" for each in ctx.handled_by[handler])
    if not _OF_MONEY.search(routes):
        return False
    proves = any(_PROVES.match(last_name(each.func)) for each in ir.find(handler, ir.Call))
    return proves and any(
        each.value in _PAID for test in ir.find(handler, ir.If) for each in ir.find(test.test, ir.Lit)
    )


_OF_MONEY = re.compile(
    r"pay|billing|checkout|stripe|razorpay|flutterwave|purchase|top-?_?up|credit|order", re.I
)


def _checks_signature(handler: ir.Func) -> bool:
    """Whether a handler proves Razorpay's signature of an order by itself."""
    signs = any(
        last_name(each.func) in {"createHmac", "verify_payment_signature"}
        for each in ir.find(handler, ir.Call)
    )
    return signs and any("razorpay_payment_id" in names_in(each) for each in handler.body)


def _ways(
    ctx: Context,
    effects: dict[ir.Func, list[Effect]],
    module: Module,
    func: ir.Func,
    before: tuple[tuple[Module, ir.Func, ir.Node], ...],
) -> Iterator[Way]:
    for inner in ir.find(func, ir.Func):
        for effect in sorted(effects.get(inner, ()), key=lambda each: each.node.line):
            yield Way((*before, (module, func, effect.node)), effect)
    if len(before) >= MAX_DEPTH:
        return
    for call in ir.find(func, ir.Call):
        for target in ctx.program.functions_called(call):
            inside = isinstance(target.node, ir.Func) and not any(target.node is one for _, one, _ in before)
            if (
                inside
                and target.node is not func
                and target.module is not None
                and isinstance(target.node, ir.Func)
            ):
                step = (module, func, call)
                yield from _ways(ctx, effects, target.module, target.node, (*before, step))


def _paid(ctx: Context) -> dict[ir.Func, list[Effect]]:
    found: dict[ir.Func, list[Effect]] = {}
    for call in ctx.creates():
        if call.func is not None:
            found.setdefault(call.func, []).append(Effect("paid", call.call, call.api))
    return found
