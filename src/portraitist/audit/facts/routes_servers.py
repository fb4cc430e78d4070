"""Ways in that a server or a platform calls without a router: plain servers, workers, lambdas, resolvers, functions.

A path that only the handler's own tests know is `/`. Routers are in `routes_javascript`, folders in `routes_files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.routes_javascript import handler_targets, is_router
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import renderings

_BY_FOLDER = re.compile(r"(^|/)(netlify|supabase)/|(^|/)pages/|(^|/)api/")
_CONVEX = {"action", "mutation", "query", "httpAction"}
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def routes(ctx: Context) -> Iterator[Route]:
    """Every such way in of the JavaScript modules."""
    for module in ctx.modules:
        if module.language != "javascript":
            continue
        for call in module.calls({"createServer", "serve", "openapi", "on", *_CONVEX}):
            yield from _called(ctx, module, call)
        yield from _worker(ctx, module)
        yield from _lambda(ctx, module)
        if "Mutation" in module.file.words:
            yield from _resolvers(ctx, module)


def _called(ctx: Context, module: Module, call: ir.Call) -> Iterator[Route]:
    name = ir.dotted(call.func)
    short = name.rpartition(".")[2]
    if name in {"http.createServer", "https.createServer", "createServer"} and call.args:
        if isinstance(call.args[-1], ir.Func):
            yield from _made(ctx, module, call, ("ANY", "/"), call.args[-1])
    elif name == "Bun.serve" and (fetch := ir.keyword(call, "fetch")) is not None:
        yield from _made(ctx, module, call, ("ANY", "/"), fetch)
    elif short in {"openapi", "on"} and isinstance(call.func, ir.Attr) and len(call.args) > 1:
        yield from _of_hono(ctx, module, call, call.func)
    elif short in _CONVEX and isinstance(call.func, ir.Name) and _is_convex(module, short):
        assign = call.parent if isinstance(call.parent, ir.Assign) else None
        label = ir.dotted(assign.target) if assign is not None else short
        handler = ir.keyword(call, "handler") or (call.args[0] if call.args else None)
        if handler is not None and not isinstance(call.parent, ir.Prop):  # else it is `http.route`'s
            kind = "server" if short == "httpAction" else "convex"
            yield from _made(ctx, module, assign or call, ("ACTION", label), handler, kind=kind)


def _made(
    ctx: Context,
    module: Module,
    anchor: ir.Node,
    way: tuple[str, str],
    handler: ir.Node,
    *,
    kind: str = "server",
) -> Iterator[Route]:
    targets = handler_targets(ctx, module, handler)
    if targets:
        yield Route(*way, module, anchor, tuple(targets), (), kind)


def _of_hono(ctx: Context, module: Module, call: ir.Call, func: ir.Attr) -> Iterator[Route]:
    """`app.openapi(createRoute({ method, path }), handler)` and `app.on("POST", "/x", handler)`."""
    if func.name == "on":
        method = ir.text_of(call.args[0]) or ""
        texts = renderings(ctx.ev.eval(module, call.args[1])) if len(call.args) > 2 else []
        if method.upper() in _METHODS and texts and is_router(ctx, module, func.obj):
            yield from _made(ctx, module, call, (method.upper(), texts[0]), call.args[-1])
        return
    head = call.args[0]
    found = module.lookup(head.id, head) if isinstance(head, ir.Name) else None
    values = [each.value for each in found[1]] if found else [head]
    for each in values:
        if isinstance(each, ir.Call) and ir.dotted(each.func).endswith("createRoute"):
            way, path = ir.text_of(ir.keyword(each, "method")), ir.text_of(ir.keyword(each, "path"))
            if way and path:
                yield from _made(ctx, module, call, (way.upper(), path), call.args[1])


def _is_convex(module: Module, name: str) -> bool:
    return any(
        "_generated/server" in each.module and any(local == name for _, local in each.names)
        for each in module.all(ir.Import)
    )


def _worker(ctx: Context, module: Module) -> Iterator[Route]:
    """`export default { async fetch(request, env) {…} }`."""
    entry = module.exports.get("default")
    handler = entry.get("fetch") if isinstance(entry, ir.Obj) else None
    if isinstance(handler, ir.Func) and isinstance(entry, ir.Obj):
        yield from _made(ctx, module, handler, ("ANY", "/"), handler)


def _lambda(ctx: Context, module: Module) -> Iterator[Route]:
    """`exports.handler = async (event) => …`, where no folder makes the file a route already."""
    if _BY_FOLDER.search(module.path) or "handler" not in module.file.words:
        return
    for func in module.all(ir.Func):
        assign = func.parent
        target = ir.plain_dotted(assign.target) if isinstance(assign, ir.Assign) else func.name
        exported = target in {"exports.handler", "module.exports.handler"} or (
            target == "handler" and "handler" in module.exports
        )
        if exported and func.within is None and func.params and func.params[0].name in {"event", "_event"}:
            yield from _made(ctx, module, func, ("ANY", "/"), func)


def _resolvers(ctx: Context, module: Module) -> Iterator[Route]:
    """GraphQL: the functions below `Mutation` in an object of resolvers."""
    for prop in module.all(ir.Prop):
        if prop.key == "Mutation" and isinstance(prop.value, ir.Obj):
            for each in prop.value.props:
                if each.key:
                    yield from _made(ctx, module, each, ("MUTATION", each.key), each.value)
