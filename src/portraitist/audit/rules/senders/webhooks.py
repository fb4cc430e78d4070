"""Risks of webhooks: whose word is taken for the provider's, and addresses that nothing serves."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    is_readable,
    names_in,
    unguarded,
)
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.requests import below, is_given
from portraitist.audit.rules.senders.bots import unasked_updates
from portraitist.audit.rules.senders.handlers import (
    LOOKED_UP,
    asks_as_visitor,
    changed_by_body,
    hears_event,
    keeps_to_stored_id,
)
from portraitist.audit.rules.senders.messengers import unsigned_messages
from portraitist.audit.rules.senders.open_checks import NOTHING, only_logged, open_check
from portraitist.audit.rules.senders.pretended import pretended
from portraitist.audit.rules.senders.trusted import TRUSTED, open_at, trusted_where
from portraitist.audit.rules.senders.verified import (
    VERIFIES,
    asks_itself,
    checking_guards,
    compares,
    is_verified,
    verifies,
)


def webhook_unverified(ctx: Context) -> Iterator[Finding]:
    """A route that receives webhooks and checks neither signature nor secret.

    The provider's are known by the address sent to it or by their path. Another service's count where they change
    a row that their body names, and barely where they hand it on to what is not here. One that only logs and answers
    counts barely too. A check that is left out where the secret is not set, or where no signature was sent, is named
    as such, and one whose helper says yes to everything is none; what the environment is sure to have is not known.
    Looks at the handler and four calls deep, for tests of a secret two. A check by a proxy is not seen. A handler
    that believes nothing of the body but an id, and asks for the state itself, is left alone, and so is one that is
    not here or cannot be read. Telegram's updates are in `bots`, other messengers' in `messengers`.
    """
    yield from unasked_updates(ctx, is_verified)
    yield from unsigned_messages(ctx)
    handlers = {
        (each.path, each.line): each
        for each in ctx.of("webhook")
        if isinstance(each.value, str) and " /" in each.value
    }
    told: set[ir.Node] = set()
    for route in ctx.routes:
        if (
            not route.is_http
            or route.method == "GET"
            or ctx.role_at(route.module, route.node) not in LIVE_ROLES
        ):
            continue
        fact = handlers.get((route.module.path, route.node.line))
        own = fact is not None and (fact.evidence or _names_provider(route))
        named = not own and _is_named_webhook(route)
        changed = changed_by_body(ctx, route) if named else None
        if not (own or named) or not is_readable(route):
            continue
        verified = is_verified(ctx, route)
        lacks = (_open_check(ctx, route) or trusted_where(ctx, route)) if verified else "anything"
        if named and changed is None and lacks == _WHERE_SET:
            changed = changed_by_body(ctx, route, skipped=True)
        acts = own or changed or (lacks in _LEFT_OUT and _compares_itself(ctx, route))
        acts = acts or (lacks not in {"", "anything"} and _starts(ctx, route))
        acts = acts or (
            lacks == "anything" and any(one for func in route.funcs for one in pretended(ctx, func))
        )
        handed = lacks == "anything" and route.method != "ACTION" and _hands_on(ctx, route)
        if not lacks or not (acts or handed):
            continue
        evidence = fact.evidence if own and fact is not None else [changed] if changed is not None else []
        quiet = (
            not acts
            or lacks.startswith(TRUSTED)
            or _only_notes(ctx, route)
            or asks_as_visitor(ctx, route)
            or keeps_to_stored_id(ctx, route)
        )
        weight = BARELY if quiet else _WEIGHTS.get(lacks, 82 if own else 71)
        end = unguarded(route, _written(ctx, route))
        if lacks != "anything":
            end = max(end, _checked_until(route))
        yield finding("webhook-unverified", *route.home, _message(route, lacks), key=route.key, weight=weight,
                      end=end, evidence=evidence)  # fmt: skip
        hole = open_at(ctx, route) if lacks.startswith((TRUSTED, "the secret is set")) else None
        if hole is not None and hole[1] not in told:
            told.add(hole[1])
            yield _at_the_hole(route, *hole)
        yield from _empty_guards(ctx, route, told) if lacks == NOTHING else ()


def _message(route: Route, lacks: str) -> str:
    """What is told of a route, by what its check lacks."""
    if lacks == _LOGGED:
        return f"{route.key} only logs that its body is not signed as it should be, and goes on"
    if lacks.startswith(TRUSTED):
        return f"{route.key} {lacks}"
    if lacks in {"anything", NOTHING}:
        return f"{route.key} believes whoever calls it: no signature is checked"
    return f"{route.key} checks who sent its body only where {lacks}"


def _written(ctx: Context, route: Route) -> list[Place]:
    """What a handler itself writes or deletes."""
    made = (
        each for func in route.funcs for each in ctx.statements_under.get(func, ()) if each.kind != "read"
    )
    return [Place(each.module.path, each.line) for each in made]


def _checked_until(route: Route) -> int:
    """The last line of the checks in the handler itself that are left out: they are part of what is told."""
    own = (each.node for each in route.handlers if each.module is route.home[0])
    tests = (each for func in own if isinstance(func, ir.Func) for each in ir.find(func, ir.If))
    asking = (each for each in tests if any(_SIGNS.search(name) for name in names_in(each.test)))
    return max((each.then[-1].end if each.then else each.line for each in asking), default=0)


def _at_the_hole(route: Route, module: Module, test: ir.If) -> Finding:
    """The same at the test in the check itself, which several webhooks may share."""
    message = "this check lets a body pass that nobody signed where its secret is not set"
    return finding("webhook-unverified", module, test, message, weight=BARELY,
                   key=f"hole {test.within.name if test.within else ''}",
                   evidence=[Place(route.module.path, route.head)])  # fmt: skip


def _empty_guards(ctx: Context, route: Route, told: set[ir.Node]) -> Iterator[Finding]:
    """The checks in front of a handler that look at who sent a body and compare nothing."""
    for module, func in checking_guards(ctx, route):
        if func in told or _lacks(ctx, module, func) != NOTHING:
            continue
        told.add(func)
        message = f"this check of who calls {route.key} compares nothing: every body passes it"
        yield finding("webhook-unverified", module, func, message, weight=BARELY, end=func.end,
                      key=f"empty {route.key}", evidence=[Place(route.module.path, route.head)])  # fmt: skip


_NOTES = re.compile(
    r"(^|\.)(console|logger|logging|log|crypto|hmac|hashlib)\.|createHmac|createHash"
    r"|(^|\.)(print|json|text|get|stringify|parse|loads|dumps|Response|NextResponse|JSONResponse|jsonify|status|send|end"
    r"|timingSafeEqual|compare_digest|from|toISOString|now|body|arrayBuffer|encode|HTTPException|headers)$"
)
_MAKES_CLIENT = re.compile(r"(^|\.)create\w*Client$")
MAX_NOTES = 2
"""How many calls below a handler nothing but notes may be taken."""


def _only_notes(ctx: Context, route: Route) -> bool:
    """Whether a handler does nothing with what it hears but log and answer: a forged call gains nothing."""
    return bool(route.funcs) and all(_only_notes_in(ctx, each) for each in route.funcs)


def _only_notes_in(ctx: Context, func: ir.Func, depth: int = 0) -> bool:
    if any(isinstance(each.target, ir.Attr | ir.Index) for each in ir.find(func, ir.Assign)):
        return False
    for call in ir.find(func, ir.Call):
        if _MAKES_CLIENT.search(ir.dotted(call.func)):
            continue  # with which nothing is done, as long as all other calls are notes
        checks = VERIFIES.search(ir.dotted(call.func).rpartition(".")[2])
        called = [each.node for each in ctx.program.functions_called(call)]
        noted = (
            bool(called)
            and depth < MAX_NOTES
            and all(isinstance(each, ir.Func) and _only_notes_in(ctx, each, depth + 1) for each in called)
        )
        if not checks and not noted and (called or not _NOTES.search(ir.dotted(call.func))):
            return False
    return True


_LOGGED = "nothing but the log"
_WHERE_SET = "the secret is set"
_LEFT_OUT = {_LOGGED, "a signature was sent", NOTHING}
"""What says that the body should be checked, whatever the handler then does."""
_WEIGHTS = {_LOGGED: 78, _WHERE_SET: 58, "a signature was sent": 74, NOTHING: 74}


def _hands_on(ctx: Context, route: Route) -> bool:
    """Whether a handler gives what its body says to something that is not here: a job, a mutation; none looks it up."""
    handed = False
    for here in below(ctx, route):
        if any(_SIGNS.search(each) for each in names_in(here.func)):
            return False
        for call in ir.find(here.func, ir.Call):
            name = ir.dotted(call.func)
            parts = [*call.args, *(each.value for one in call.args for each in ir.find(one, ir.Prop))]
            if not any(is_given(here, each) for each in parts):
                continue
            if LOOKED_UP.search(name):
                return False
            handed = handed or _ACTS.search(name) is not None
    return handed


_SIGNS = re.compile(r"signature|svix|hmac|secret|verif", re.I)
_ACTS = re.compile(
    r"(^|\.|_)(create|insert|update|upsert|save|set|add|mark|complete|process|handle|run(Mutation|Action)?|send|publish|enqueue"
    r"|delay|dispatch|trigger|grant|credit|activate|delete|put)(?![a-z])",
)


def _starts(ctx: Context, route: Route) -> bool:
    """Whether a route comes to a paid call: who calls it spends, whatever it changes."""
    return any(each.route is route and each.call.creates for each in ctx.flows)


def _names_provider(route: Route) -> bool:
    return re.search(r"replicate|training|prediction", route.path + route.module.path, re.I) is not None


def _open_check(ctx: Context, route: Route) -> str:
    """Where alone the handler checks a request; "" where it always does, or a guard or the provider decides."""
    for each in route.handlers:
        func, module = each.node, each.module
        if not isinstance(func, ir.Func) or module is None or asks_itself(ctx, each):
            return ""
        if not verifies(ctx, module, func):
            return _open_guard(ctx, route)
        if lacks := _lacks(ctx, module, func):
            return lacks
    return ""


def _open_guard(ctx: Context, route: Route) -> str:
    """The same of the functions that stand in front of a handler: one that always checks is enough."""
    found = [_lacks(ctx, module, func) for module, func in checking_guards(ctx, route)]
    return found[0] if found and all(found) else ""


def _lacks(ctx: Context, module: Module, func: ir.Func) -> str:
    by_itself = functools.partial(compares, ctx)
    lacks = open_check(ctx, module, func, by_itself)
    return lacks or (_LOGGED if only_logged(module, func, by_itself) is not None else "")


def _compares_itself(ctx: Context, route: Route) -> bool:
    """Whether the handler's own lines hold the comparison, so that nothing unseen makes it."""
    handled = route.funcs
    return any(compares(ctx, each) for func in handled for each in ir.walk(func))


def _called_hook(route: Route) -> re.Match[str] | None:
    """`def stripe_webhook(…)` behind `/payment/stripe`: a handler whose own name ends so."""
    names = (each.name for each in route.funcs)
    return next((found for each in names if (found := re.search(r"(?<=[a-z])_?webhook$", each, re.I))), None)


_PEOPLES = re.compile(
    r"telegram|slack|discord|whatsapp|twilio|(^|[/_-])o?auth|login|sign-?in|messenger|github|bot\b", re.I
)
"""Services whose callers are people or that are told apart in other ways."""


def _is_named_webhook(route: Route) -> bool:
    """Whether an unguarded route says by its address that a service calls it: none calls a function of Convex."""
    named = re.search(r"web-?_?hook|/hooks?(/|$)|callback|/ipn\b", route.path, re.I) or _called_hook(route)
    if route.framework == "convex" or (named and named.group()[:5] == "/hook" and not hears_event(route)):
        return False  # the first line of an advertisement, of a song
    asked = all(_ASKS_SENDER.search(name) for name, _ in route.guarded_by)
    return bool(named) and asked and not _PEOPLES.search(f"{route.path} {route.module.path}")


_ASKS_SENDER = re.compile(r"web_?hook|signature|hmac", re.I)
"""Guards that ask for no user: whether they ask the sender in every case is judged here."""
