"""tRPC procedures: named by the routers they are mounted in, guarded by the middleware of their procedure.

`publicProcedure.input(…).mutation(fn)` under `diffusion` is `POST /api/trpc/diffusion.generate`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, creations, definitions
from portraitist.audit.facts.routes_javascript import handler_targets
from portraitist.audit.link.module import Module

_METHODS = {"mutation": "POST", "query": "GET", "subscription": "GET"}

Mounted = dict[ir.Node, list[tuple[str, ir.Call]]]


def routes(ctx: Context) -> Iterator[Route]:
    """Every procedure of the JavaScript modules."""
    modules = [
        each for each in ctx.modules if each.language == "javascript" and "rocedure" in each.file.words
    ]
    mounted = _mounts(ctx) if modules else {}
    for module in modules:
        for call in module.all(ir.Call):
            if isinstance(call.func, ir.Attr) and call.func.name in _METHODS and len(call.args) == 1:
                yield from _procedure(ctx, module, call, mounted)


def middleware(ctx: Context, module: Module, node: ir.Node, depth: int = 0) -> list[Guard]:
    """The functions that `.use(…)` puts in front of a procedure, through the procedures it is built on."""
    found: list[Guard] = []
    while isinstance(node, ir.Call | ir.Attr):
        if isinstance(node, ir.Call):
            if isinstance(node.func, ir.Attr) and node.func.name == "use":
                targets = [each for arg in node.args for each in handler_targets(ctx, module, arg)]
                found.extend((each.module, each.node) for each in targets if each.module and each.node)
            node = node.func
        else:
            node = node.obj
    if isinstance(node, ir.Name) and depth < 5:
        for where, value in definitions(ctx, module, node):
            found.extend(middleware(ctx, where, value, depth + 1))
    return found


def is_procedure(name: str) -> bool:
    """Whether a name is one of a procedure builder."""
    return name.rpartition(".")[2].lower().endswith("procedure")


def _procedure(ctx: Context, module: Module, call: ir.Call, mounted: Mounted) -> Iterator[Route]:
    assert isinstance(call.func, ir.Attr)
    root = ir.root_of(call.func)
    named = isinstance(root, ir.Name) and (is_procedure(root.id) or _is_builder(call.func.obj))
    handlers = handler_targets(ctx, module, call.args[0]) if named else []
    if not isinstance(call.parent, ir.Prop) or call.parent.key is None or not handlers:
        return
    router = _router_of(call.parent)
    guards: tuple[Guard, ...] = ((module, root),) if isinstance(root, ir.Name) else ()
    for prefix in _prefixes(router, mounted) if router is not None else [""]:
        path = f"/api/trpc/{prefix}{call.parent.key}"
        yield Route(_METHODS[call.func.name], path, module, call.parent, tuple(handlers), guards, "trpc")


def _is_builder(node: ir.Node) -> bool:
    return any(isinstance(each, ir.Attr) and is_procedure(each.name) for each in ir.walk(node))


def _router_of(node: ir.Node) -> ir.Call | None:
    """The `router({…})` call that an entry stands in."""
    obj = node.parent
    made = obj.parent if isinstance(obj, ir.Obj) else None
    return made if isinstance(made, ir.Call) else None


def _prefixes(router: ir.Call, mounted: Mounted, depth: int = 0) -> list[str]:
    spots = mounted.get(router, [])
    if isinstance(router.parent, ir.Prop) and router.parent.key and (above := _router_of(router.parent)):
        spots = [(router.parent.key, above)]
    if not spots or depth > 4:
        return [""]
    return [f"{head}{key}." for key, above in spots for head in _prefixes(above, mounted, depth + 1)]


def _mounts(ctx: Context) -> Mounted:
    """Which router is an entry of which other one, under which key."""
    found: Mounted = {}
    for module in ctx.modules:
        for call in module.all(ir.Call) if module.language == "javascript" else ():
            if not ir.dotted(call.func).lower().endswith("router") or len(call.args) != 1:
                continue
            for prop in call.args[0].props if isinstance(call.args[0], ir.Obj) else ():
                if prop.key and isinstance(prop.value, ir.Name | ir.Attr):
                    for child in creations(ctx, module, prop.value):
                        if (prop.key, call) not in found.setdefault(child, []):
                            found[child].append((prop.key, call))
    return found
