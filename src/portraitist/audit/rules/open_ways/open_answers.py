"""What an open route gives out or sends besides rows: files, settings, keyed requests, tokens. Nearly all JSON only.

Rows and what memory keeps are in `open_rest`, the graver deeds in `open_deeds`. Part of `missing-auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.facts.http import address_nodes
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import arguments
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside, render
from portraitist.audit.model import Place
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.open_deeds import sends
from portraitist.audit.rules.open_ways.open_files import served
from portraitist.audit.rules.requests import Given, below, is_given

Told = tuple[str, Place, int]
"""What is said of a route, where it does that, and the weight."""
_SETTINGS = re.compile(r"setting|config|preference|prompt|credential|api-?_?key", re.I)
_WRITES = {"write_text", "write_bytes", "dump", "writeFile", "writeFileSync", "safe_dump", "set_key"}


def answered(ctx: Context, route: Route, ways: list[ir.Func]) -> Told | None:
    """The first that an open route does of what is looked for here."""
    return (
        _of_disk(ctx, route)
        or _set_up(ctx, route, ways)
        or _fetched(ctx, route)
        or _keyed(ctx, ways)
        or _tells(ctx, route)
    )


SIGNERS = re.compile(r"^(jsonwebtoken|jwt|jose|PyJWT|python_jose|authlib)\b")
"""The libraries that sign tokens."""
_WHO = re.compile(r"(user|account|member|owner|clerk)?_?(id|uid|sub|email)$|^user(name)?$", re.I)
_PROVES = re.compile(
    r"compare|verif|check|valid|decode|login|sign_?in|auth|passw|hash|otp|code|find|get_?user|select|query|first|exchange"
    r"|fetch|axios|requests|session",
    re.I,
)


def signs_for(ctx: Context, route: Route) -> Told | None:
    """A token that is signed for whoever the request names, where nothing is looked up or compared on the way."""
    if route.method == "GET":
        return None
    for here in below(ctx, route):
        for call in here.module.calls({"sign", "encode"}):
            if call.within is not here.func or not call.args or not isinstance(call.args[0], ir.Obj):
                continue
            named = [each for each in call.args[0].props if _WHO.search(each.key or "")]
            ids = [each for each in named if _ID.search(each.key or "")]
            if ids and all(isinstance(_told(here, each.value), ir.Lit) for each in ids):
                continue  # the same somebody for everybody
            if not any(is_given(here, each.value) for each in named):
                continue
            if not SIGNERS.match(ctx.program.origin(here.module, call.func)):
                continue
            others = (
                ir.dotted(one.func) for func in here.way for one in ir.find(func, ir.Call) if one is not call
            )
            if not ctx.statements_under.get(here.func) and not any(_PROVES.search(each) for each in others):
                does = "signs a token for whoever the request names and asks for no proof"
                return does, Place(here.module.path, call.line), 86
    return None


_ID = re.compile(r"id$|^sub$", re.I)


def _told(here: Given, node: ir.Node) -> ir.Node:
    """What a value is: of `user.id`, the entry of the object that `user` was set to."""
    values = (
        [each.value for each in bindings_of(here.module, node.obj) if not each.keys]
        if isinstance(node, ir.Attr) and isinstance(node.obj, ir.Name)
        else []
    )
    made = (each.get(node.name) for each in values if isinstance(each, ir.Obj))  # type: ignore[attr-defined]
    return next((each for each in made if each is not None), node)


def _of_disk(ctx: Context, route: Route) -> Told | None:
    """A file of the server's disk by a name of the request, in folders for what members bring and get."""
    for here in below(ctx, route):
        for call in ctx.once(served, here.module):
            if call_name(call) in _READ and route.method != "GET":
                continue
            if call.within is here.func and any(is_given(here, each) for each in _parts(here, call)):
                does = "gives out files of the server's disk by their names and asks nobody"
                return does, Place(here.module.path, call.line), BARELY
    return None


_READ = {"readFile", "readFileSync", "createReadStream"}


def _parts(here: Given, call: ir.Call) -> Iterator[ir.Node]:
    """What a file's name is made of: the arguments, the parts of paths that they are, and of variables of those."""
    for each in arguments(call):
        found = here.module.lookup(each.id, each) if isinstance(each, ir.Name) else None
        values = [one.value for one in found[1] if one.value is not None] if found is not None else []
        for part in (each, *values):
            yield part
            if isinstance(part, ir.Call | ir.Bin):
                yield from _leaves(part)


def _leaves(node: ir.Node) -> Iterator[ir.Node]:
    for each in node.children():
        if isinstance(each, ir.Call | ir.Bin):
            yield from _leaves(each)
        else:
            yield each


def _set_up(ctx: Context, route: Route, ways: list[ir.Func]) -> Told | None:
    """The server's settings, written to a file by a route of that name."""
    if route.method not in {"POST", "PUT", "PATCH"} or not _SETTINGS.search(route.path):
        return None
    for func in ways:
        module = ctx.program.module_of[func]
        for call in ir.find(func, ir.Call):
            if last_name(call.func) in _WRITES:
                return "writes the server's settings and asks nobody", Place(module.path, call.line), BARELY
    return None


_ASKS = {"fetch", "get", "request", "urlopen", "axios", "got"}
_HELD_TO = re.compile(
    r"host|origin|startswith|endswith|includes|domain|prefix|(allow|white|permit|trust)\w*(url|list|source|pattern)",
    re.I,
)


def _fetched(ctx: Context, route: Route) -> Told | None:
    """What lies at whichever address the request names; not where anything asks for its host or its beginning."""
    for here in below(ctx, route):
        names = (each.id if isinstance(each, ir.Name) else each.name for each in _named(here.func))
        if any(_HELD_TO.search(each) for each in names):
            return None
        for call in ir.find(here.func, ir.Call):
            if last_name(call.func) in _ASKS and call.args and _is_web(ctx, here, call):
                does = "fetches whichever address the request names and asks nobody"
                return does, Place(here.module.path, call.line), BARELY
    return None


def _named(func: ir.Func) -> Iterable[ir.Name | ir.Attr]:
    """The names in a function, but for what is asked of the kind of the answer: `type.startsWith("video/")`."""
    for each in ir.walk(func):
        if isinstance(each, ir.Name) or (
            isinstance(each, ir.Attr) and not _OF_ANSWER.search(ir.dotted(each.obj))
        ):
            yield each


_OF_ANSWER = re.compile(r"type$|mime|headers?$", re.I)


_CLIENTS = re.compile(r"^(global:)?(fetch|axios|got|requests|httpx|aiohttp|urllib|node-fetch|undici)\b")


def _is_web(ctx: Context, here: Given, call: ir.Call) -> bool:
    """Whether a call asks the web for exactly what the request says: no text of its own before it."""
    address = call.args[0]
    if (
        isinstance(address, ir.Call)
        and call_name(address) == "toString"
        and isinstance(address.func, ir.Attr)
    ):
        address = address.func.obj
    plain = isinstance(address, ir.Name | ir.Attr | ir.Index) and is_given(here, address)
    plain = (
        plain and re.search(r"url|uri|src|link|address|image|target", last_name(address), re.I) is not None
    )
    return plain and (
        ir.dotted(call.func) == "fetch"
        or _CLIENTS.match(ctx.program.origin(here.module, call.func)) is not None
    )


_POSTS = {"fetch", "post", "axios", "request", "put"}
_OF_OTHERS = re.compile(
    r"captcha|turnstile|resend|sendgrid|mailgun|mailchimp|postmark|brevo|telegram|slack|discord|twilio|stripe|paypal|oauth"
    r"|supabase|sentry|posthog|analytics|plausible|umami|/token\b|localhost|127\.0|lemon_?squeezy|paddle|creem|mollie|razorpay|dodo|paystack"
    r"|polar\.sh|xendit|midtrans|coinbase|nowpayments|mercado",
    re.I,
)
"""Hosts that are asked for whoever comes: who checks visitors, carries messages, takes payments or signs in."""
_KEY = re.compile(r"(TOKEN|_KEY|SECRET|KEY)$")


def _keyed(ctx: Context, ways: list[ir.Func]) -> Told | None:
    """A request to another service that sends something with a key of the server's environment."""
    for func in ways:
        module = ctx.program.module_of[func]
        for call in ir.find(func, ir.Call):
            if (
                call_name(call) not in _POSTS
                or call in ctx.call_at
                or len(call.args) + (call.kw is not None) < 2
            ):
                continue
            name = _key_sent(ctx, module, call)
            address = next(iter(address_nodes(call)), None) if name else None
            text = str(render(ctx.ev.eval(module, address)) or "") if address is not None else ""
            if name and text.startswith(("http", "{")) and sends(call) and not _OF_OTHERS.search(text):
                return (
                    f"sends requests with {name} and turns nobody away",
                    Place(module.path, call.line),
                    BARELY,
                )
    return None


def _key_sent(ctx: Context, module: Module, call: ir.Call) -> str:
    """The setting whose value stands in the header that says who asks: `Authorization`, `x-api-key`; else ""."""
    held = (each.value for arg in arguments(call) for each in bindings_of(module, arg))
    for part in (*call.args[1:], call.kw, *held):
        for prop in ir.find(part, ir.Prop) if part is not None else ():
            if re.fullmatch(r"authorization|x-api-key|x-key|api-key|xi-api-key", prop.key or "", re.I):
                for each in ir.walk(prop.value):
                    value = (
                        ctx.ev.eval(module, each)
                        if isinstance(each, ir.Name | ir.Attr | ir.Call | ir.Index)
                        else None
                    )
                    options = value.options if isinstance(value, OneOf) else (value,)
                    for option in options:
                        if isinstance(option, Outside) and option.kind == "env" and _KEY.search(option.name):
                            return option.name
    return ""


_DEBUGS = re.compile(
    r"debug|(^|[/_-])env|diagnos|test-?(env|config|token|key|api)|check-?(env|config|key)|config-?(test|check)",
    re.I,
)


def _tells(ctx: Context, route: Route) -> Told | None:
    """How the server is set up, which a route for its developers answers: keys that are set, their lengths."""
    if route.method not in {"GET", "ANY"} or not _DEBUGS.search(route.path):
        return None
    for func in route.funcs:
        module = ctx.program.module_of[func]
        for prop in ir.find(func, ir.Prop):
            if any(_reads_settings(each) for each in ir.find(prop.value, ir.Attr)):
                return "tells how the server is set up and asks nobody", Place(module.path, prop.line), BARELY
    return None


def _reads_settings(node: ir.Attr) -> bool:
    """`process.env.X`, `settings.x`."""
    return ir.plain_dotted(node).startswith(
        ("process.env.", "settings.", "os.environ", "config.", "app.config.")
    )
