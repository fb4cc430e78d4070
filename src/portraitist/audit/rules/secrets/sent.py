"""Server secrets that are sent to whoever the request names. Part of `client-exposed-token`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.http import address_nodes, is_request
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.calls import argument_for
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, names_in, trace
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
    """A request with a secret in its headers whose host is the word of who asked.

    Not where the address is tested on the way and the function leaves; a proxy that lets nothing out is not seen.
    """
    for route in ctx.routes:
        if not route.is_http or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        way: dict[ir.Func, None] = {}
        reached = below(ctx, route)
        for here in reached:
            way.update(dict.fromkeys(here.way))
            sent = [each for each in ir.find(here.func, ir.Call) if _hands_out(ctx, reached, here, each)]
            if sent and any(_tests_host(each) for each in way):
                break
            for call in sent:
                message = "the server's secret is sent to whatever address the request names"
                yield finding("client-exposed-token", here.module, call, message, key=f"sent {route.key}",
                              weight=80, evidence=[Place(route.module.path, route.node.line)])  # fmt: skip


def _hands_out(ctx: Context, way: list[Given], here: Given, call: ir.Call) -> bool:
    if not is_request(ctx, here.module, call) or not _carries(ctx, here, call):
        return False
    whole = (each for each in address_nodes(call)[:1] if not isinstance(each, ir.Tmpl | ir.Bin))
    return any(_names_host(ctx, way, here, each) for each in whole)


_HAS_HOST = re.compile(r"^(?!https?:/{0,2}$|$)")
"""A text after which no host can follow any more."""
_ENOUGH = 6


def _names_host(ctx: Context, way: list[Given], here: Given, node: ir.Node | None, depth: int = 0) -> bool:
    """Whether the host of an address is the request's word, in one of the ways in which the address is made.

    What stands before decides: behind a text with a host or a path only the rest is given. A parameter is worth what
    the callers on the way hand over.
    """
    if node is None or depth > _ENOUGH or isinstance(node, ir.Obj | ir.Lit):
        return False
    if isinstance(node, ir.Attr) and node.name in _OWN:
        return False
    if isinstance(node, ir.Cond):
        return any(_names_host(ctx, way, here, each, depth + 1) for each in (node.then, node.other))
    if isinstance(node, ir.Bin) and node.op == "or":
        return any(_names_host(ctx, way, here, each, depth + 1) for each in node.children())
    if isinstance(node, ir.Tmpl | ir.Bin):
        for each in node.children():
            if _HAS_HOST.match(ir.text_of(each) or ""):
                return False
            if not isinstance(each, ir.Lit):
                whole = (
                    each is node.children()[0]
                )  # `https://${shop}` is a shop's own, who mostly gave the token, too
                return whole and _names_host(ctx, way, here, each, depth + 1)
        return False
    if isinstance(node, ir.Name):
        return _variable_names_host(ctx, way, here, node, depth)
    return is_given(here, node)


def _variable_names_host(ctx: Context, way: list[Given], here: Given, name: ir.Name, depth: int) -> bool:
    for each in reaching(here.module, name):
        if each.kind == "param" and each.node in here.func.params:
            if name.id in here.names and _handed_host(ctx, way, here, each.node, depth):
                return True
        elif each.value is None or each.keys or not isinstance(each.value, _MADE):
            if is_given(here, name):
                return True
        elif _names_host(ctx, way, here, each.value, depth + 1):
            return True
    return False


_MADE = (ir.Lit, ir.Tmpl, ir.Bin, ir.Cond, ir.Name, ir.Attr)
_OWN = {"origin", "host", "protocol", "base_url", "url_root", "host_url"}
"""Members of a request that say where it came in: the server's own address."""


def _handed_host(ctx: Context, way: list[Given], here: Given, param: ir.Node, depth: int) -> bool:
    """Whether a function before this one hands it an address whose host is given; a handler's own parameter is."""
    if len(here.way) < 2 or not isinstance(param, ir.Param):
        return True
    before = next((each for each in way if each.func is here.way[-2]), None)
    calls = ir.find(before.func, ir.Call) if before is not None else ()
    return any(
        _names_host(ctx, way, before, argument_for(call, here.func, param), depth + 1)
        for call in calls
        if before is not None and here.func in helpers_behind(ctx, call)
    )


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
