"""Server secrets that are sent to whoever the request names. Part of `client-exposed-token`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.http import address_nodes, is_request
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in, trace
from portraitist.audit.rules.requests import Given, below, is_given

_SECRET = re.compile(r"(api|access|auth|replicate|service)_?(api_?)?(token|key)$|secret", re.I)
_HOSTS = {
    "startswith",
    "startsWith",
    "hostname",
    "host",
    "netloc",
    "urlparse",
    "URL",
    "includes",
    "match",
    "test",
}


def sent_to_a_given_address(ctx: Context) -> Iterator[Finding]:
    """A request with a secret in its headers whose whole address is the word of who asked.

    Not where the address is tested on the way and the function leaves; a proxy that lets nothing out is not seen.
    """
    for route in ctx.routes:
        if not route.is_http or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        way: dict[ir.Func, None] = {}
        for here in below(ctx, route):
            way.update(dict.fromkeys(here.way))
            sent = [each for each in ir.find(here.func, ir.Call) if _hands_out(ctx, here, each)]
            if sent and any(_tests_host(each) for each in way):
                break
            for call in sent:
                message = "the server's secret is sent to whatever address the request names"
                yield finding("client-exposed-token", here.module, call, message, key=f"sent {route.key}",
                              weight=80, evidence=[Place(route.module.path, route.node.line)])  # fmt: skip


def _hands_out(ctx: Context, here: Given, call: ir.Call) -> bool:
    return (
        is_request(ctx, here.module, call) and _goes_anywhere(ctx, here, call) and _carries(ctx, here, call)
    )


def _goes_anywhere(ctx: Context, here: Given, call: ir.Call) -> bool:
    """Whether the request gives the address whole: no host, and no head of a path, of ours stands before it."""
    nodes = address_nodes(call)[:1]
    return any(
        not isinstance(each, ir.Tmpl | ir.Bin | ir.Obj)
        and _whole(here, each)
        and not _has_head(ctx, here, each)
        for each in nodes
    )


def _has_head(ctx: Context, here: Given, node: ir.Node) -> bool:
    """Whether a function on the way hands an address over that begins with a text: `ask(f"/items/{item}")`."""
    for func in reversed(here.way):
        param = next(
            (each for each in func.params if isinstance(node, ir.Name) and each.name == node.id), None
        )
        sites = [each.call for each in ctx.program.callers.get(func, ()) if each.call.within in here.way]
        handed = [argument_for(each, func, param) for each in sites] if param is not None else []
        heads = [each.parts[0] for each in handed if isinstance(each, ir.Tmpl) and each.parts]
        if any(isinstance(each, ir.Lit) for each in heads):
            return True
        further = next((each for each in handed if isinstance(each, ir.Name)), None)
        if further is None:
            return False
        node = further
    return False


def _whole(here: Given, node: ir.Node) -> bool:
    made = [each.value for each in bindings_of(here.module, node) if each.value is not None]
    return is_given(here, node) and not any(isinstance(each, ir.Tmpl | ir.Bin) for each in made)


def _carries(ctx: Context, here: Given, call: ir.Call) -> bool:
    """Whether a header is made of a secret that is not the caller's own."""
    for _, node in trace(ctx, here.module, ir.keyword(call, "headers")):
        for prop in node.props if isinstance(node, ir.Obj) else ():
            secret = any(_SECRET.search(each) for each in names_in(prop.value))
            if secret and not is_given(here, prop.value):
                return True
    return False


def _tests_host(func: ir.Func) -> bool:
    tests = (each.test for each in ir.find(func, ir.If) if exits(each.then))
    return any(_HOSTS & names_in(each) for each in tests)
