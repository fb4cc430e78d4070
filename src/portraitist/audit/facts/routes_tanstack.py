"""Routes of TanStack Start and Router: server handlers, pages and server functions, all made by calls.

`createFileRoute("/x")({ server: { handlers } })` names its own path; guards stand in `middleware`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, normalise
from portraitist.audit.facts.routes_files import functions_before
from portraitist.audit.facts.routes_javascript import handler_targets
from portraitist.audit.link.module import Module
from portraitist.audit.link.reach import FILE_ROUTE_MAKERS
from portraitist.audit.link.targets import Target

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "ANY"}
_PAGES = ("component", "loader", "beforeLoad")


def routes(ctx: Context) -> Iterator[Route]:
    """Every route and server function that one of the library's makers makes."""
    for module in ctx.modules:
        if module.language == "javascript":
            for call in module.calls(FILE_ROUTE_MAKERS):
                yield from _of_file(ctx, module, call)
            for call in module.calls({"handler"}):
                yield from _server_function(ctx, module, call)


def _of_file(ctx: Context, module: Module, maker: ir.Call) -> Iterator[Route]:
    """`createFileRoute(path)(options)`, and `createServerFileRoute(path).methods(handlers)`."""
    if not isinstance(maker.func, ir.Name) or not maker.args:
        return
    outer = maker.parent.parent if isinstance(maker.parent, ir.Attr) else maker.parent
    given = outer.args[0] if isinstance(outer, ir.Call) and outer.args else None
    path = _path(ir.text_of(maker.args[0]))
    if path is None or not isinstance(given, ir.Obj):
        return
    server = given.get("server")
    options = server if isinstance(server, ir.Obj) else given
    guards = _guards(ctx, module, options.get("middleware"))
    for prop in _handlers(options):
        if prop.key in _METHODS:
            own = prop.value.get("handler") if isinstance(prop.value, ir.Obj) else prop.value
            inner = prop.value.get("middleware") if isinstance(prop.value, ir.Obj) else None
            above = (*guards, *_guards(ctx, module, inner))
            targets = handler_targets(ctx, module, own) if own is not None else []
            yield Route(prop.key, path, module, prop, tuple(targets), above, "tanstack")
    pages = [each for key in _PAGES if (each := given.get(key)) is not None]
    shown = [target for each in pages for target in handler_targets(ctx, module, each)]
    if shown:
        yield Route("PAGE", path, module, maker, tuple(shown), (), "page")


def _path(text: str | None) -> str | None:
    """`/posts/[id]` of `/_app/posts/$id`: folders that only group have a leading underscore."""
    if text is None:
        return None
    parts = [each for each in text.split("/") if each and not each.startswith(("_", "("))]
    return normalise("/" + "/".join(f"[{each[1:] or 'all'}]" if each[0] == "$" else each for each in parts))


def _handlers(options: ir.Obj) -> list[ir.Prop]:
    """The entries by method: of `handlers`, of what a function given there hands on, or of the options themselves."""
    handlers = options.get("handlers")
    if isinstance(handlers, ir.Obj):
        return handlers.props
    if isinstance(handlers, ir.Func):
        made = [arg for call in ir.find(handlers, ir.Call) for arg in call.args if isinstance(arg, ir.Obj)]
        return [prop for each in made for prop in each.props]
    return options.props


def _guards(ctx: Context, module: Module, given: ir.Node | None) -> list[Guard]:
    """A list of middleware: each by its name, and the functions it was made of."""
    found: list[Guard] = []
    for each in given.items if isinstance(given, ir.Arr) else ():
        found.append((module, each))
        found.extend((ctx.program.module_of[func], func) for func in functions_before(ctx, module, each))
    return found


def _server_function(ctx: Context, module: Module, call: ir.Call) -> Iterator[Route]:
    """`createServerFn(…).middleware([guard]).handler(fn)`: anybody can send it a request."""
    chain: ir.Node = call.func
    guards: list[Guard] = []
    while isinstance(chain, ir.Attr | ir.Call):
        if isinstance(chain, ir.Call):
            name = chain.func.name if isinstance(chain.func, ir.Attr) else ""
            guards.extend(_guards(ctx, module, chain.args[0]) if name == "middleware" and chain.args else ())
        chain = chain.func if isinstance(chain, ir.Call) else chain.obj
    handler = call.args[0] if call.args else None
    if isinstance(chain, ir.Name) and chain.id == "createServerFn" and isinstance(handler, ir.Func):
        assign = ir.enclosing(call, ir.Assign)
        name = ir.plain_dotted(assign.target) if assign is not None else "anonymous"
        anchor = assign or call
        yield Route("ACTION", name, module, anchor, (Target(module, handler),), tuple(guards), "tanstack")
