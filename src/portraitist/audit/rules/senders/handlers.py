"""Whether the address of a webhook that the provider is given leads to a handler, and what a handler does with it.

Which rows it changes, and with whose rights. What the handlers believe is in `webhooks`; what a middleware does with a
request is followed in `open_ways.middleware`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import joined
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.weights import same_path
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Fact, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.middleware import in_front_of, lets_nobody_in
from portraitist.audit.rules.open_ways.open_data import unprotected
from portraitist.audit.rules.requests import Given, below, is_given, of_chosen_row, within_reach
from portraitist.audit.rules.senders.parsed_bodies import parsed_bodies

_SHUT_OUT = 74


def webhook_missing_handler(ctx: Context) -> Iterator[Finding]:
    """A webhook address sent to the provider that no route of the repository serves, or that never gets to its route.

    Addresses that are not resolved, or that name another service's host, are not judged; nor are those that end in a
    route of the repository, which a prefix may stand before. Also a payment service's webhook whose body is parsed
    before its signature is checked (`parsed_bodies`).
    """
    yield from _shut_out(ctx)
    yield from parsed_bodies(ctx)
    routes = [each.path for each in ctx.routes if each.is_http]
    for fact in ctx.of("webhook"):
        sent = isinstance(fact.value, str) and " /" not in fact.value
        text = str(fact.value or "")
        if (
            not sent
            or fact.role not in LIVE_ROLES
            or not routes
            or fact.key in {"{}", "/", ""}
            or "{" in fact.key.split("/")[1:2]
        ):
            continue
        if re.search(r"webhook\.site|ngrok|pipedream|hooks\.zapier|make\.com|supabase\.co", text):
            continue
        if not any(
            same_path(route, fact.key)
            or _ends_in(fact.key, route)
            or (text.startswith("{") and _ends_in(route, fact.key, 0))
            or (route.endswith("*") and fact.key.startswith(route[:-1]))
            for route in routes
        ):
            yield _at_the_address(fact, f"the webhook {fact.key} has no route", (), 70)


def _ends_in(address: str, route: str, least: int = 1) -> bool:
    """Whether an address has a known route behind a prefix: `/app/api/hooks/replicate`.

    The other way round where a setting may hold more than the host: `{base}/training`, served below `/api/hooks`.
    """
    parts, own = address.strip("/").split("/"), route.strip("/").split("/")
    return least < len(own) < len(parts) and same_path(route, "/" + "/".join(parts[-len(own) :]))


def _shut_out(ctx: Context) -> Iterator[Finding]:
    """A route for webhooks that Next's middleware redirects, or answers itself, for whoever is not signed in.

    Told once for a middleware, where it stands, and for each route where its address is written, else at the handler.
    Only where every way through the middleware turns such a request away; a platform that lets the provider in
    otherwise is not seen.
    """
    shut: dict[tuple[Module, ir.Func], list[tuple[Route, Finding]]] = {}
    for route in ctx.routes:
        if (
            not route.is_http
            or route.method not in {"POST", "ANY", "ALL"}
            or "webhook" not in route.path.lower()
        ):
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or lets_nobody_in(ctx, route) is not False:
            continue
        if (front := in_front_of(ctx, route)) is not None:
            shut.setdefault(front, []).append((route, _shut(ctx, route)))
    for (module, func), found in shut.items():
        paths = ", ".join(dict.fromkeys(route.path for route, each in found if each.weight > BARELY))
        if paths:
            message = f"the middleware turns away whoever is not signed in, so no delivery reaches {paths}"
            places = tuple(dict.fromkeys(one for _, each in found for one in (each.place, *each.evidence)))
            yield finding("webhook-missing-handler", module, func, message, key=paths, weight=_SHUT_OUT + 1,
                          end=func.line, evidence=places)  # fmt: skip
        yield from (each for _, each in found)


def _shut(ctx: Context, route: Route) -> Finding:
    """The finding of one route: where its address is given away, else at its handler."""
    module, node = route.home
    message = (
        f"{route.path} is never reached: the middleware turns away whoever is not signed in, the provider too"
    )
    here = Place(module.path, node.line)
    for each in ctx.of("webhook"):
        given = each.role in LIVE_ROLES and each.key.startswith("/") and each.place != here
        if given and same_path(route.path, each.key):
            return _at_the_address(each, message, (here,), _SHUT_OUT)
    weight = _SHUT_OUT if _is_called(ctx, route) else BARELY
    return finding(
        "webhook-missing-handler", module, node, message, key=route.path, weight=weight, end=route.head
    )


def _is_called(ctx: Context, route: Route) -> bool:
    """Whether a service may call a route: one that signs what it sends, or another file has the address.

    So may the provider, where the address that it is given is not known.
    """
    own = route.module
    if _SIGNED.search(f"{route.path} {own.file.text}"):
        return True
    if any(each.key == "{}" for each in ctx.of("webhook")) and _PROVIDERS.search(route.path):
        return True
    return any(route.path in each.file.text for each in ctx.live if each is not own)


_SIGNED = re.compile(
    r"signature|svix|constructEvent|stripe|paddle|paypal|razorpay|lemon_?squeezy|polar|creem|dodo|clerk|github",
    re.I,
)
_PROVIDERS = re.compile(r"replicate|training|prediction|model|generat", re.I)


def _at_the_address(fact: Fact, message: str, evidence: tuple[Place, ...], weight: int) -> Finding:
    return Finding("webhook-missing-handler", fact.path, fact.line, fact.line, message, fact.key, fact.scope, evidence,
                   weight)  # fmt: skip


def hears_event(route: Route) -> bool:
    """Whether a handler names what services send: an event, a status, a payload, a signature, a prediction."""
    return any(_EVENT.search(each) for func in route.funcs for each in names_in(func) if " " not in each)


_EVENT = re.compile(r"event|status|payload|signature|web_?hook|prediction|training|delivery", re.I)


def asks_as_visitor(ctx: Context, route: Route) -> bool:
    """Whether all that a handler writes is written with the rights of who calls it: a stranger changes nothing."""
    written = [
        each
        for func in within_reach(ctx, route)
        for each in ctx.statements_under.get(func, ())
        if each.kind != "read"
    ]
    return bool(written) and not any(unprotected(ctx, each) for each in written)


LOOKED_UP = re.compile(
    r"retrieve|verify|lookup"
    r"|(payment|order|invoice|transaction|session|event|status)s?\W*(get|fetch)",
    re.I,
)
"""Names of what asks a service for what a body names."""
_COMPARES = re.compile(r"verify\w*(signature|hmac|web_?hook)", re.I)


def changed_by_body(ctx: Context, route: Route, *, skipped: bool = False) -> Place | None:
    """The row that another service's unguarded webhook changes on the word of its body, else None.

    None too where something that the body names is looked up first; where its check may be `skipped`, who compares a
    signature looks nothing up.
    """
    changed: list[Place] = []
    for here in below(ctx, route):
        for call in ir.find(here.func, ir.Call):
            name = ir.dotted(call.func)
            asks = LOOKED_UP.search(name) and not (skipped and _COMPARES.search(name))
            if (asks and any(is_given(here, each) for each in call.args)) or _asks_at(here, call):
                return None
        for each in ctx.statements_under.get(here.func, []):
            upserts = each.signed is not None and not each.where  # a raw request that names its row itself
            made = each.insert or upserts
            told = [node for _, node in each.where_values] + [one.node for one in each.columns if made]
            if each.kind != "read" and any(
                is_given(here, node) or of_chosen_row(ctx, here, node) for node in told
            ):
                changed.append(Place(here.module.path, each.line))
    return changed[0] if changed else None


_GETS = re.compile(r"(^|\.)(fetch|\$fetch|get)$")


def _asks_at(here: Given, call: ir.Call) -> bool:
    """Whether a service is asked for what the body names: `fetch(`https://api.example.com/payments/${id}`)`."""
    address = call.args[0] if call.args and _GETS.search(ir.dotted(call.func)) else None
    parts = [*ir.walk(address)] if isinstance(address, ir.Tmpl | ir.Bin) else []
    path = any(isinstance(each, ir.Lit) and "/" in str(each.value) for each in parts)  # and no key of a cache
    if not path or not any(is_given(here, each) for each in parts):
        return False
    methods = (each for part in call.args[1:] for each in ir.find(part, ir.Prop) if each.key == "method")
    return all((ir.text_of(each.value) or "").upper() == "GET" for each in methods)


def keeps_to_stored_id(ctx: Context, route: Route) -> bool:
    """Whether a handler turns away whoever does not name the id that is stored with the row: a secret of a kind.

    `if (!row || row.external_id !== body.id) return …`; not where it is compared only if there is one.
    """
    for here in below(ctx, route):
        for branch in ir.find(here.func, ir.If):
            for test in joined(branch.test, _EITHER) if exits(branch.then) else ():
                if isinstance(test, ir.Bin) and test.op in {"!=", "!=="} and test.right is not None:
                    sides = [each for each in (test.left, test.right) if _ID.search(last_name(each))]
                    given = [is_given(here, each) for each in sides]
                    if len(sides) == 2 and given[0] != given[1]:
                        return True
    return False


_EITHER = {"or", "||"}
_ID = re.compile(r"id$", re.I)
