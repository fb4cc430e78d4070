"""Requests that the repository makes to its own routes and edge functions, by the address that is written out.

Pages, servers and functions alike. An address that is put together of variables alone names no route here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name

_SENDS = re.compile(
    r"fetch|post|request|axios|^ky$|^got$|^api|^call|proxy|^invoke$|^send|^mutate$|submit", re.I
)
"""What is called to ask a server for something, as far as names say."""
_EDGE = "/functions/v1/"
_METHODS = {"post", "put", "patch", "delete", "get"}


def own_requests(ctx: Context) -> dict[ir.Call, Route]:
    """The live calls that ask a route of the repository for something, each with the route; to be asked once."""
    routes: dict[str, list[Route]] = {}
    for each in ctx.routes:
        if each.is_http and each.funcs and len(each.path) > 4 and not set(each.path) & set("[{:*"):
            routes.setdefault(each.path, []).append(each)
    found: dict[ir.Call, Route] = {}
    for module in ctx.live if routes else ():
        for call in module.calls({each for each in module.callees if _SENDS.search(each)}):
            for path, method in _asked(call):
                route = _named(routes.get(path, ()), method)
                if route is not None and not _is_registered(route, module, call):
                    found[call] = route
    return found


def _asked(call: ir.Call) -> Iterator[tuple[str, str]]:
    """The path that a call names, and the method, "" where it is not plain."""
    text = _written(call.args[0]) if call.args else ""
    if not text:
        return
    name = last_name(call.func).lower()
    if name == "invoke":
        yield f"{_EDGE}{text}", ""
        return
    given = ir.keyword(call, "method")
    method = (ir.text_of(given) or "").upper() if given is not None else ""
    if not method:
        method = name.upper() if name in _METHODS else "" if len(call.args) > 1 and name != "fetch" else "GET"
    path = text.partition("?")[0].rstrip("/")
    yield path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2], method


def _written(node: ir.Node) -> str:
    """The path at the end of an address: `/functions/v1/paint` of `${base}/functions/v1/paint`."""
    if isinstance(node, ir.Tmpl):
        last = node.parts[-1] if node.parts else None
        return _written(last) if isinstance(last, ir.Lit) else ""
    if isinstance(node, ir.Bin) and node.op == "+" and node.right is not None:
        return _written(node.right)
    return ir.text_of(node) or ""


def _named(routes: list[Route] | tuple[()], method: str) -> Route | None:
    fitting = [each for each in routes if not method or each.method in {method, "ANY"}]
    return fitting[0] if fitting and (method or len(fitting) == 1) else None


def _is_registered(route: Route, module: Module, call: ir.Call) -> bool:
    """Whether the call makes the route instead of asking it: `app.post("/paint", paint)`."""
    return route.module is module and route.node.line <= call.line <= max(route.node.end, route.node.line)
