"""Risks of webhooks: whose word is taken for the provider's, and addresses that nothing serves."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import own_secret
from portraitist.audit.facts.base import Context, ProviderCall, Route
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.signed import is_verification
from portraitist.audit.link.bindings import reaching, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    finding,
    helpers_behind,
    helpers_of,
    is_readable,
    last_name,
    names_in,
    of_body,
    provider_behind,
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
from portraitist.audit.rules.senders.pretended import agrees, pretended
from portraitist.audit.rules.senders.trusted import TRUSTED, open_at, trusted_where

_TOLD = {"status", "output"}
"""What a handler that asks the provider itself does not read from the body."""


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
    yield from unasked_updates(ctx, _is_verified)
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
        verified = _is_verified(ctx, route)
        lacks = (_open_check(ctx, route) or trusted_where(ctx, route)) if verified else "anything"
        if named and changed is None and lacks == _WHERE_SET:
            changed = changed_by_body(ctx, route, skipped=True)
        acts = own or changed or (lacks in _LEFT_OUT and _compares_itself(ctx, route))
        acts = acts or (
            lacks == "anything" and any(one for func in route.funcs for one in pretended(ctx, func))
        )
        handed = lacks == "anything" and route.method != "ACTION" and _hands_on(ctx, route)
        if not lacks or not (acts or handed):
            continue
        message = f"{route.key} believes whoever calls it: no signature is checked"
        if lacks not in {"anything", NOTHING}:
            message = f"{route.key} checks who sent its body only where {lacks}"
        if lacks.startswith(TRUSTED):
            message = f"{route.key} {lacks}"
        if lacks == _LOGGED:
            message = f"{route.key} only logs that its body is not signed as it should be, and goes on"
        evidence = fact.evidence if own and fact is not None else [changed] if changed is not None else []
        quiet = (
            not acts
            or lacks.startswith(TRUSTED)
            or _only_notes(ctx, route)
            or asks_as_visitor(ctx, route)
            or keeps_to_stored_id(ctx, route)
        )
        weight = BARELY if quiet else _WEIGHTS.get(lacks, 82 if own else 71)
        yield finding("webhook-unverified", *route.home, message, key=route.key, weight=weight,
                      end=unguarded(route, _written(ctx, route)), evidence=evidence)  # fmt: skip
        hole = open_at(ctx, route) if lacks.startswith((TRUSTED, "the secret is set")) else None
        if hole is not None and hole[1] not in told:
            told.add(hole[1])
            yield _at_the_hole(route, *hole)


def _written(ctx: Context, route: Route) -> list[Place]:
    """What a handler itself writes or deletes."""
    made = (
        each for func in route.funcs for each in ctx.statements_under.get(func, ()) if each.kind != "read"
    )
    return [Place(each.module.path, each.line) for each in made]


def _at_the_hole(route: Route, module: Module, test: ir.If) -> Finding:
    """The same at the test in the check itself, which several webhooks may share."""
    message = "this check lets a body pass that nobody signed where its secret is not set"
    return finding("webhook-unverified", module, test, message, weight=BARELY,
                   key=f"hole {test.within.name if test.within else ''}",
                   evidence=[Place(route.module.path, route.head)])  # fmt: skip


_NOTES = re.compile(
    r"(^|\.)(console|logger|logging|log|crypto|hmac|hashlib)\.|createHmac|createHash"
    r"|(^|\.)(print|json|text|get|stringify|parse|loads|dumps|Response|NextResponse|JSONResponse|jsonify|status|send|end"
    r"|timingSafeEqual|compare_digest|from|toISOString|now|body|arrayBuffer|encode|HTTPException|headers)$"
)
MAX_NOTES = 2
"""How many calls below a handler nothing but notes may be taken."""


def _only_notes(ctx: Context, route: Route) -> bool:
    """Whether a handler does nothing with what it hears but log and answer: a forged call gains nothing."""
    return bool(route.funcs) and all(_only_notes_in(ctx, each) for each in route.funcs)


def _only_notes_in(ctx: Context, func: ir.Func, depth: int = 0) -> bool:
    if any(isinstance(each.target, ir.Attr | ir.Index) for each in ir.find(func, ir.Assign)):
        return False
    for call in ir.find(func, ir.Call):
        checks = _VERIFIES.search(ir.dotted(call.func).rpartition(".")[2])
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


def _names_provider(route: Route) -> bool:
    return re.search(r"replicate|training|prediction", route.path + route.module.path, re.I) is not None


def _is_verified(ctx: Context, route: Route) -> bool:
    """Whether the handler, or a guard in front of it, checks who sent the request, or asks for the state itself."""
    handled = [each for each in route.handlers if isinstance(each.node, ir.Func) and each.module]
    if any(verifies(ctx, each.module, each.node) or _asks_itself(ctx, each) for each in handled if each.node):
        return True
    for module, node in route.guards:
        if _names_check(ctx, names_in(node)):
            return True
        made = node.func if isinstance(node, ir.Call) else node
        if any(verifies(ctx, each.module, each.node) for each in ctx.program.resolve(module, made)
               if each.node is not None and each.module is not None):  # fmt: skip
            return True
    return False


def _open_check(ctx: Context, route: Route) -> str:
    """Where alone the handler checks a request; "" where it always does, or a guard or the provider decides."""
    for each in route.handlers:
        func, module = each.node, each.module
        if not isinstance(func, ir.Func) or module is None or _asks_itself(ctx, each):
            return ""
        if not verifies(ctx, module, func):
            return ""
        compares = functools.partial(_compares, ctx)
        if lacks := open_check(ctx, module, func, compares):
            return lacks
        if only_logged(module, func, compares) is not None:
            return _LOGGED
    return ""


def _compares_itself(ctx: Context, route: Route) -> bool:
    """Whether the handler's own lines hold the comparison, so that nothing unseen makes it."""
    handled = route.funcs
    return any(_compares(ctx, each) for func in handled for each in ir.walk(func))


def _compares(ctx: Context, node: ir.Node) -> bool:
    """Whether an expression by itself compares a secret or a signature, or hands it to something that verifies."""
    if isinstance(node, ir.Name | ir.Attr):
        return _names_check(ctx, {node.id if isinstance(node, ir.Name) else node.name})
    if isinstance(node, ir.Call):
        return is_verification(node) or _VERIFIES.search(ir.dotted(node.func).rpartition(".")[2]) is not None
    if not isinstance(node, ir.Bin) or node.right is None or node.op in {*_NO_COMPARISON, "or"}:
        return False
    nothing = isinstance(node.right, ir.Lit) or ir.plain_dotted(node.right) == "undefined"
    return not nothing and _SECRETS.search(" ".join(names_in(node))) is not None


_VERIFIES = re.compile(
    r"verif|valid|compare|equal|unwrap|constructEvent|check_?(signature|secret|token)", re.I
)
_SECRETS = re.compile(
    r"secret|token|signature|hmac|digest|\bsig\b|\bhash|(web_?hook|header|shared)_?key", re.I
)


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
    return bool(named) and not _PEOPLES.search(f"{route.path} {route.module.path}") and not route.guarded_by


def _asks_itself(ctx: Context, handler: Target) -> bool:
    """Whether a handler gets the state from the provider and reads neither state nor output of its body."""
    func, module = handler.node, handler.module
    if not isinstance(func, ir.Func) or module is None:
        return False
    inside = [each for each in ctx.calls if each.module is module and func in set(ir.ancestors(each.call))]
    asked = any(_asks_state(each) for each in inside) or _asks_below(ctx, module, func)
    return asked and not any(_is_told(ctx, module, each) for each in ir.walk(func))


def _asks_state(call: ProviderCall) -> bool:
    return call.purpose == "status" and not call.api.endswith("list")


MAX_ASKED = 2
"""How many helpers below a handler the provider may be asked for the state."""


def _asks_below(ctx: Context, module: Module, func: ir.Func) -> bool:
    """Whether helpers that are not handed the body ask the provider for the state."""
    reached = {func}
    for each in ir.find(func, ir.Call):
        below = helpers_behind(ctx, each)
        if below and any(_is_body(module, arg) for arg in each.args):
            return False
        reached.update(below)
    for _ in range(MAX_ASKED - 1):
        reached |= {one for each in reached for one in helpers_of(ctx, each)}
    asking = (each.call for each in ctx.calls if _asks_state(each))
    return any(not reached.isdisjoint(ir.ancestors(each)) for each in asking)


def _is_body(module: Module, node: ir.Node) -> bool:
    """Whether an expression is all that was sent: `body` of `await request.json()`, `req.body`, or what is parsed."""
    if isinstance(node, ir.Name):
        made = [each.value for each in reaching(module, node) if each.value is not None]
        return any(last_name(one.func) in _PARSED for value in made for one in ir.find(value, ir.Call))
    return last_name(node) == "body"


_PARSED = {"json", "get_json", "loads", "parse", "text", "body", "read", "readBody"}


def _is_told(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a state or an output is read from the body of the request: `body.status`, `const { output } = …`."""
    if isinstance(node, ir.Attr):
        read = node.name in _TOLD and of_body(module, node)
        return read and provider_behind(ctx, module, node.obj) is None
    if not isinstance(node, ir.Assign) or not isinstance(node.target, ir.Obj):
        return False
    taken = any(each.key in _TOLD for each in node.target.props)
    parsed = any(each.name in {"json", "body"} for each in ir.find(node.value or node.target, ir.Attr))
    return taken and parsed and provider_behind(ctx, module, node.value) is None


MAX_VERIFIED = 4
"""How many calls below a webhook's handler its signature may be checked."""


def _names_check(ctx: Context, names: set[str]) -> bool:
    return any(
        each.lower() in ctx.words.webhook_checks or each.replace("_", "").lower() in ctx.words.webhook_checks
        for each in names
    )


def verifies(ctx: Context, module: Module | None, func: ir.Node, depth: int = 0) -> bool:
    """Whether a function, or what it calls, checks who sent a request by a signature or a secret."""
    return ctx.once(_verifies, module, func, depth)


def _verifies(ctx: Context, module: Module | None, func: ir.Node, depth: int) -> bool:
    assert module is not None
    named = variables_in(func) | {each.name for each in ir.find(func, ir.Attr)}
    named -= {ir.dotted(each.func).rpartition(".")[2] for each in pretended(ctx, func)}
    if _names_check(ctx, named - {""}):
        return True
    for test in ir.find(func, ir.If) if depth < 3 else ():
        told = any(_TELLS.search(_OF_OTHERS.sub("", each)) for each in names_in(test.test) if " " not in each)
        if told and test.then and not _only_presence(ctx, module, test.test):
            return True  # a branch of comments alone checks nothing
        if exits(test.then) and own_secret(ctx, module, test):
            return True
    calls = list(ir.find(func, ir.Call))
    if any(is_verification(each) for each in calls):
        return True
    called = (
        one for each in calls if not _handed_in(module, each) for one in ctx.program.functions_called(each)
    )
    return depth < MAX_VERIFIED and any(
        isinstance(each.node, ir.Func) and verifies(ctx, each.module, each.node, depth + 1) for each in called
    )


_TELLS = re.compile(r"secret|token|signature", re.I)
_OF_OTHERS = re.compile(r"(access|refresh|id|upload|page|device|push)_?tokens?", re.I)
"""Somebody's key to another service, which a handler uses; it says nothing of who sent a request."""


def _handed_in(module: Module, call: ir.Call) -> bool:
    """`handler(request)` in what wraps many handlers: what one of them checks says nothing of the others."""
    found = module.lookup(call.func.id, call.func) if isinstance(call.func, ir.Name) else None
    return found is not None and any(each.kind == "param" for each in found[1])


def _only_presence(ctx: Context, module: Module, test: ir.Node) -> bool:
    """`if (!signature)`, where `signature` is just a header or a setting: something was sent, nothing is compared.

    A helper that says yes to everything compares nothing either.
    """
    agreed = {one for each in ir.find(test, ir.Call) if agrees(ctx, each) for one in ir.walk(each)}
    for each in ir.walk(test):
        if each in agreed or _is_header(each):
            continue
        empty = isinstance(each, ir.Bin) and isinstance(each.right, ir.Lit) and not each.right.value
        compares = isinstance(each, ir.Bin) and each.op not in _NO_COMPARISON and not empty
        if isinstance(each, ir.Call) or compares:
            return False
        if isinstance(each, ir.Name) and not _SETTING.search(ir.plain_dotted(each.parent or each)):
            found = module.lookup(each.id, each)
            if found is None or not all(_is_given(one.value) for one in found[1]):
                return False
    return True


def _is_header(node: ir.Node) -> bool:
    """The `req` of `req.headers["x-signature"]`."""
    if not isinstance(node, ir.Name):
        return False
    read = node.parent
    return (
        isinstance(read, ir.Attr) and read.name == "headers" and isinstance(read.parent, ir.Index | ir.Attr)
    )


_SETTING = re.compile(r"^(process\.env|import\.meta|settings|config|env)\b", re.I)
_NO_COMPARISON = {"not", "!", "and", "or", "&&", "||"}


def _is_given(value: ir.Node | None) -> bool:
    """Whether an expression only reads a header, a query or a setting."""
    if isinstance(value, ir.Call) and isinstance(value.func, ir.Attr):
        return value.func.name in {"get", "getenv", "header"} and all(
            isinstance(each, ir.Lit) for each in value.args
        )
    return isinstance(value, ir.Attr | ir.Index)
