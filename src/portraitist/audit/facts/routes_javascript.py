"""Routes that are registered by calls: Express, Fastify, Hono, Koa and friends.

Finds handlers and the guards given as arguments, on routers and on mounts. Denial is judged in `auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, Mounts, creations, normalise
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Site, Target
from portraitist.audit.link.values import renderings


def routes(ctx: Context) -> Iterator[Route]:
    """Every registered route of the JavaScript modules."""
    mounts = _mounts(ctx)
    for module in ctx.modules:
        if module.language == "javascript":
            for call in module.calls(ctx.words.route_methods | {"route"}):
                yield from _registered(ctx, mounts, module, call)


def _registered(ctx: Context, mounts: Mounts, module: Module, call: ir.Call) -> Iterator[Route]:
    if not isinstance(call.func, ir.Attr):
        return
    name = call.func.name
    if name == "route" and len(call.args) == 1 and isinstance(call.args[0], ir.Obj | ir.Arr):
        listed = call.args[0].items if isinstance(call.args[0], ir.Arr) else [call.args[0]]
        for each in listed:
            if isinstance(each, ir.Obj):
                yield from _fastify_object(ctx, mounts, module, call, each)
        return
    if name not in ctx.words.route_methods or not call.args:
        return
    head, receiver = _path_and_receiver(call, call.func)
    if head is None or not is_router(ctx, module, receiver):
        return
    handlers, guards = _split_handlers(ctx, module, call.args if head not in call.args else call.args[1:])
    if not handlers:
        return
    texts = _paths(ctx, module, head)
    if not texts and isinstance(head, ir.Name | ir.Attr) and _is_made_router(ctx, module, receiver):
        texts = [f"/{{{ir.dotted(head).rpartition('.')[2]}}}"]
    for text in texts:
        yield from _mounted(
            ctx, mounts, Registration(module, call, name.upper(), text, receiver, handlers, guards)
        )


@dataclass(frozen=True, slots=True)
class Registration:
    """One registering call: where, for which method, path and router, with what behind it."""

    module: Module
    call: ir.Call
    method: str
    text: str
    receiver: ir.Node
    handlers: list[Target]
    guards: list[Guard]


def _mounted(ctx: Context, mounts: Mounts, found: Registration) -> Iterator[Route]:
    call = found.call
    made = creations(ctx, found.module, found.receiver)
    router = made[0] if made else None
    above = mounts.guards_of(router, found.text, lambda guard: _is_before(ctx, found, guard))
    line = call.func.name_line if isinstance(call.func, ir.Attr) else call.line
    anchor = ir.Other(line, call.end, [])
    anchor.parent = call.parent
    method = "ANY" if found.method == "ALL" else found.method
    option = ir.keyword(router, "prefix") if isinstance(router, ir.Call) else None
    inner = ir.text_of(option) or ""
    for prefix in mounts.paths(router):
        path = normalise(f"{prefix}/{inner}/{found.text}")
        yield Route(
            method, path, found.module, anchor, tuple(found.handlers), (*above, *found.guards), "express"
        )


def _is_before(ctx: Context, found: Registration, guard: Guard) -> bool:
    """Whether a guard is put on a router before a route is: in another file, before the call of what puts that."""
    module, node = guard
    if module is found.module:
        return node.line <= found.call.line
    func = ir.enclosing(found.call, ir.Func)
    sites = [each for each in ctx.program.callers.get(func, ()) if each.module is module] if func else []
    return not sites or any(node.line <= each.call.line for each in sites)


def _path_and_receiver(call: ir.Call, func: ir.Attr) -> tuple[ir.Node | None, ir.Node]:
    """The path argument; for `router.route("/x").post(…)` the one given to `route`."""
    inner = func.obj
    while isinstance(inner, ir.Call) and isinstance(inner.func, ir.Attr):
        if inner.func.name == "route" and len(inner.args) == 1:
            return inner.args[0], inner.func.obj
        inner = inner.func.obj
    head = call.args[0] if isinstance(call.args[0], ir.Lit | ir.Tmpl | ir.Name | ir.Attr | ir.Arr) else None
    return (head if len(call.args) > 1 else None), inner


def _paths(ctx: Context, module: Module, head: ir.Node) -> list[str]:
    parts = head.items if isinstance(head, ir.Arr) else [head]
    texts = [text for each in parts for text in renderings(ctx.ev.eval(module, each))]
    return [each for each in texts if each.startswith(("/", "*")) or each == ""]


def _is_made_router(ctx: Context, module: Module, receiver: ir.Node) -> bool:
    """Whether an object was made by a web framework, which is certain where a name is not."""
    for each in ctx.program.resolve(module, receiver):
        root = each.origin.partition("(")[0].partition(".")[0]
        if root in ctx.words.router_origins or any(
            root.startswith(f"{known}/") for known in ctx.words.router_origins
        ):
            return True
    return False


def is_router(ctx: Context, module: Module, receiver: ir.Node) -> bool:
    """Whether an object takes routes: made by a web framework, or unresolved and named like a router."""
    if _is_made_router(ctx, module, receiver):
        return True
    targets = ctx.program.resolve(module, receiver)
    outside = [each for each in targets if each.origin and not each.origin.startswith(("param:", "global:"))]
    if outside or any(isinstance(each.node, ir.Class | ir.Obj | ir.Func) for each in targets):
        return False
    name = ir.plain_dotted(receiver).rpartition(".")[2].lower()
    return name in ctx.words.router_names or name.endswith(("router", "routes"))


def _split_handlers(ctx: Context, module: Module, args: list[ir.Node]) -> tuple[list[Target], list[Guard]]:
    """The last argument handles, those before it guard; Fastify's options hold guards of their own."""
    flat: list[ir.Node] = []
    for each in args:
        flat.extend(each.items if isinstance(each, ir.Arr) else [each])
    guards: list[Guard] = []
    for each in flat[:-1]:
        if isinstance(each, ir.Obj):
            guards.extend((module, part) for part in _fastify_guards(each))
        else:
            guards.append((module, each))
    if flat and isinstance(flat[-1], ir.Obj) and (handler := flat[-1].get("handler")) is not None:
        guards.extend((module, part) for part in _fastify_guards(flat[-1]))
        flat[-1] = handler
    handlers = handler_targets(ctx, module, flat[-1]) if flat else []
    if flat and isinstance(flat[-1], ir.Call):
        guards.append((module, flat[-1]))
    elif flat and (made := _wrapping(ctx, module, flat[-1])) is not None:
        guards.append(made)
    if flat and not handlers and isinstance(flat[-1], ir.Name | ir.Attr):
        handlers = [Target(module, flat[-1])]
    if flat and isinstance(flat[-1], ir.Func):
        handlers.extend(_handing_on(ctx, flat[-1]))
    return handlers, guards


def _handing_on(ctx: Context, func: ir.Func) -> list[Target]:
    """What a handler written in place hands both request and answer to: `(req, res) => controller.show(req, res)`."""
    names = [each.name for each in func.params[:2] if each.name]
    for call in ir.find(func, ir.Call) if len(names) == 2 else ():
        given = [each.id for each in call.args[:2] if isinstance(each, ir.Name)]
        if given == names:
            called = ctx.program.functions_called(call)
            return [each for each in called if isinstance(each.node, ir.Func) and each.module is not None]
    return []


_WRAPPERS = 12
"""How deep calls and names may wrap a handler."""


def handler_targets(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> list[Target]:
    """The functions behind a handler expression; for a wrapping call, the functions it is given."""
    if depth > _WRAPPERS:
        return []  # a name that is made of itself
    if isinstance(node, ir.Call):
        if isinstance(node.func, ir.Attr) and node.func.name == "bind":
            return handler_targets(ctx, module, node.func.obj, depth + 1)
        inner = [found for each in node.args for found in handler_targets(ctx, module, each, depth + 1)]
        made = [each for each in ctx.program.resolve(module, node) if isinstance(each.node, ir.Func)]
        return inner or made
    if isinstance(node, ir.Func):
        return [Target(module, node)]
    if isinstance(node, ir.Name | ir.Attr):
        return _wrapped_elsewhere(ctx, module, node, depth) or (
            [each for each in ctx.program.resolve(module, node) if isinstance(each.node, ir.Func)]
            or [
                found
                for each in ctx.program.resolve(module, node)
                if isinstance(each.node, ir.Call) and each.module is not None
                for found in handler_targets(ctx, each.module, each.node, depth + 1)
            ]
            or _wrapped_value(ctx, module, node, depth)
        )
    return []


def _wrapped_elsewhere(ctx: Context, module: Module, node: ir.Node, depth: int) -> list[Target]:
    made = _wrapping(ctx, module, node)
    if made is None:
        return []
    where, call = made
    return [each for arg in call.args for each in handler_targets(ctx, where, arg, depth + 1)]


def _wrapping(ctx: Context, module: Module, node: ir.Node) -> tuple[Module, ir.Call] | None:
    """The call of `export const show = wrap(async (req, res) => …)` in another file, where `show` is that file's.

    Each handler has its own function; what the wrapper gives back is one for all of them.
    """
    name = node.obj if isinstance(node, ir.Attr) else node
    for binding in bindings_of(module, name):
        if binding.kind != "import" or not isinstance(binding.node, ir.Import):
            continue
        path = ctx.program.resolver.resolve(module.path, binding.node.module, module.language)
        other = ctx.program.modules.get(path) if path else None
        key = node.name if isinstance(node, ir.Attr) else str(binding.keys[0])
        entry = other.exports.get(key) if other is not None else None
        named = (
            other.top.names.get(entry or key, [])
            if other is not None and not isinstance(entry, ir.Node)
            else []
        )
        value = entry if isinstance(entry, ir.Call) else next((each.value for each in named), None)
        if (
            other is not None
            and isinstance(value, ir.Call)
            and any(isinstance(each, ir.Func) for each in value.args)
        ):
            return other, value
    return None


def _wrapped_value(ctx: Context, module: Module, node: ir.Name | ir.Attr, depth: int) -> list[Target]:
    """`const handler = wrap(async (req) => …)`: the function inside."""
    if not isinstance(node, ir.Name):
        return []
    for binding in bindings_of(module, node):
        if binding.kind == "assign" and isinstance(binding.value, ir.Call):
            return handler_targets(ctx, module, binding.value, depth + 1)
    return []


def _fastify_guards(options: ir.Obj) -> list[ir.Node]:
    found: list[ir.Node] = []
    for prop in options.props:
        if prop.key in {"preHandler", "onRequest", "preValidation", "beforeHandler", "middleware"}:
            found.extend(prop.value.items if isinstance(prop.value, ir.Arr) else [prop.value])
    return found


def _fastify_object(
    ctx: Context, mounts: Mounts, module: Module, call: ir.Call, options: ir.Obj
) -> Iterator[Route]:
    method, url, handler = options.get("method"), options.get("url", "path"), options.get("handler")
    if method is None or url is None or handler is None or not isinstance(call.func, ir.Attr):
        return
    methods = [
        each
        for part in (method.items if isinstance(method, ir.Arr) else [method])
        if (each := ir.text_of(part))
    ]
    guards: list[Guard] = [(module, each) for each in _fastify_guards(options)]
    targets = handler_targets(ctx, module, handler)
    for text in _paths(ctx, module, url):
        for each in methods:
            made = Registration(module, call, each.upper(), text, call.func.obj, targets, guards)
            yield from _mounted(ctx, mounts, made)


def _mounts(ctx: Context) -> Mounts:
    """Every `use`, `route` and `register` that puts a router or a guard under a prefix."""
    mounts = Mounts()
    for module in ctx.modules:
        if module.language != "javascript":
            continue
        for call in module.calls({"use", "route", "register", "addHook", "basePath"}):
            if isinstance(call.func, ir.Attr):
                _mount(ctx, mounts, module, call, call.func)
    return mounts


def _mount(ctx: Context, mounts: Mounts, module: Module, call: ir.Call, func: ir.Attr) -> None:
    if not call.args or not is_router(ctx, module, ir.root_of(func.obj)):
        return
    texts = (
        renderings(ctx.ev.eval(module, call.args[0]))
        if isinstance(call.args[0], ir.Lit | ir.Tmpl | ir.Name)
        else []
    )
    prefix = texts[0] if texts and texts[0].startswith("/") else ""
    prefix_node = ir.keyword(call, "prefix")
    if prefix_node is not None:
        prefix = ir.text_of(prefix_node) or ""
    parents = creations(ctx, module, func.obj) or [None]  # type: ignore[list-item]
    for arg in call.args[1:] if texts and prefix_node is None else call.args:
        _mount_one(ctx, mounts, Site(module, call), (prefix, parents[0]), arg)


def _mount_one(
    ctx: Context, mounts: Mounts, site: Site, spot: tuple[str, ir.Node | None], arg: ir.Node
) -> None:
    module, call, parent = site.module, site.call, spot[1]
    if isinstance(arg, ir.Obj | ir.Lit):
        return
    children = creations(ctx, module, arg)
    routers = [each for each in children if isinstance(each, ir.Call) and _makes_router(ctx, each)]
    plugin = [each for each in handler_targets(ctx, module, arg) if isinstance(each.node, ir.Func)]
    registers = isinstance(call.func, ir.Attr) and call.func.name == "register"
    if routers:
        for each in routers:
            mounts.prefixes.setdefault(each, []).append(spot)
    elif registers and plugin and isinstance(plugin[0].node, ir.Func) and plugin[0].node.params:
        mounts.prefixes.setdefault(plugin[0].node.params[0], []).append(spot)
    elif parent is not None and not any(_handles_errors(each.node) for each in plugin):
        mounts.guards.setdefault(parent, []).append((spot[0], (module, arg)))


_ERROR = re.compile(r"_?(err(or)?|e|ex(ception)?)$")


def _handles_errors(node: ir.Node | None) -> bool:
    """`(err, req, res, next) => …`: Express tells a handler of errors by its four parameters; no request meets it."""
    return isinstance(node, ir.Func) and len(node.params) == 4 and bool(_ERROR.match(node.params[0].name))


def _makes_router(ctx: Context, call: ir.Call) -> bool:
    name = ir.dotted(call.func).rpartition(".")[2].lower()
    return name in ctx.words.router_names or name.endswith(("router", "hono", "express", "fastify", "app"))
