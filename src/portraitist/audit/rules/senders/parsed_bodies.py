"""Part of the rule on webhooks' handlers: signatures that are checked over a body which Express has parsed before.

A payment service signs the bytes that it sends. Once `express.json()` has read them nothing reads them again, so that
a parser of raw bodies that is registered behind it is passed over. A function that registers routes is followed to
the one place that runs it. A parser in another function, or under a test, is left alone: in which order that runs is
not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name

_CHECKS = {"constructEvent", "constructEventAsync"}
_PARSERS = {"express", "bodyParser", "body_parser"}
_DEPTH = 3
Registered = tuple[Module, ir.Call, list[ir.Node]]


def parsed_bodies(ctx: Context) -> Iterator[Finding]:
    """`app.use(express.json())` above the route whose handler does `constructEvent(req.body, …)`: all are refused.

    Not where the parser is told for which bodies it is, nor where one of raw bodies stands in front of it.
    """
    for module in ctx.live:
        for call in module.calls(_CHECKS) if "constructEvent" in module.file.text else ():
            for handler in _handlers(ctx, module, call) if ctx.role_at(module, call) in LIVE_ROLES else ():
                for route in ctx.handled_by.get(handler, ())[:1]:
                    yield from _read_before(ctx, route, Place(module.path, call.line))


def _handlers(ctx: Context, module: Module, call: ir.Call) -> Iterator[ir.Func]:
    """The functions whose request's body goes to the check as it is, also by a helper's parameter."""
    given, func = call.args[0] if call.args else None, call.within
    if func is None or given is None:
        return
    if _is_body(given):
        yield func
    param = next((each for each in func.params if isinstance(given, ir.Name) and each.name == given.id), None)
    for site in ctx.program.callers.get(func, []) if param is not None else ():
        handed = argument_for(site.call, func, param) if param is not None else None
        if handed is not None and _is_body(handed) and site.call.within is not None:
            yield site.call.within


def _is_body(node: ir.Node) -> bool:
    """`req.body`, where `req` is a parameter."""
    func = node.within
    held = node.obj if isinstance(node, ir.Attr) and node.name == "body" else None
    return (
        func is not None and isinstance(held, ir.Name) and any(each.name == held.id for each in func.params)
    )


def _read_before(ctx: Context, route: Route, check: Place) -> Iterator[Finding]:
    """The parser in front of a route, or of what it is mounted by, told where a raw one comes too late, else there."""
    own = [
        each
        for each in route.module.calls(ctx.words.route_methods)
        if isinstance(each.func, ir.Attr) and each.func.name_line == route.node.line
    ]
    for module, call, routers in _above(ctx, route.module, own[0], 0) if own else ():
        parsers = [each for each in module.calls({"use"}) if _stands_before(ctx, module, each, call, routers)]
        for parser in parsers:
            raw = [each for each in parsers if _takes_raw(each)]
            if not _parses(parser) or any(each.line <= parser.line for each in raw):
                continue
            late = next((each for each in raw if _covers(each, route.path)), None)
            where, node = (module, late) if late is not None else (route.module, route.node)
            message = (
                f"line {parser.line} of {module.path} has parsed the body of {route.path} before: the signature is "
                "checked over an object, and every true delivery is refused"
            )
            yield finding("webhook-missing-handler", where, node, message, key=f"parsed {route.path}", weight=72,
                          end=node.end, evidence=[Place(module.path, parser.line), check])  # fmt: skip
            return


def _above(ctx: Context, module: Module, call: ir.Call, depth: int) -> Iterator[Registered]:
    """A registration and what it is made on, and the ones by which its router is mounted."""
    own = _owners(ctx, module, call)
    yield module, call, own
    yield from _run_by(ctx, module, call, own, depth)
    for where, use, mounted in ctx.once(_mounting) if depth < _DEPTH else ():
        if any(each in own for each in mounted):
            yield from _above(ctx, where, use, depth + 1)


def _run_by(
    ctx: Context, module: Module, call: ir.Call, own: list[ir.Node], depth: int
) -> Iterator[Registered]:
    """The calls that run the function in which something is registered: `registerRoutes(app)`, `(async () => …)()`."""
    func = call.within
    if func is None or depth >= _DEPTH:
        return
    if isinstance(func.parent, ir.Call) and func.parent.func is func:
        runs = [(module, func.parent)]
    else:
        runs = [(each.module, each.call) for each in ctx.program.callers.get(func, [])]
    for where, run in runs if len(runs) == 1 else ():
        yield where, run, own
        yield from _run_by(ctx, where, run, own, depth + 1)


def _mounting(ctx: Context) -> list[tuple[Module, ir.Call, list[ir.Node]]]:
    """Every `app.use("/path", router)`, with what made the routers."""
    uses = ((module, each) for module in ctx.live for each in module.calls({"use"}) if each.args)
    return [
        (module, each, [made for arg in each.args[-1:] for made in creations(ctx, module, arg)])
        for module, each in uses
        if not isinstance(each.args[-1], ir.Func | ir.Lit)
    ]


def _owners(ctx: Context, module: Module, call: ir.Call) -> list[ir.Node]:
    return creations(ctx, module, call.func.obj) if isinstance(call.func, ir.Attr) else []


def _stands_before(ctx: Context, module: Module, use: ir.Call, call: ir.Call, routers: list[ir.Node]) -> bool:
    """Whether something is put on the same object in front of a registration, in any case."""
    if use.line >= call.line or use.within is not call.within:
        return False
    tested = any(isinstance(each, ir.If | ir.Try | ir.Cond | ir.Loop) for each in ir.ancestors(use))
    return not tested and any(each in routers for each in _owners(ctx, module, use))


def _takes_raw(use: ir.Call) -> bool:
    """`app.use("/hooks", express.raw(…))`, or anything that may read the bytes itself."""
    return any(last_name(each.func) in {"raw", "text"} for each in ir.find(use, ir.Call) if each is not use)


def _covers(use: ir.Call, path: str) -> bool:
    text = ir.text_of(use.args[0]) if use.args else None
    return text is not None and path.startswith(text.rstrip("/") or "/")


def _parses(use: ir.Call) -> bool:
    """`app.use(express.json())`, for every path and every body of JSON."""
    for each in use.args:
        named = each.func if isinstance(each, ir.Call) and len(use.args) == 1 else None
        if isinstance(named, ir.Attr) and named.name == "json" and ir.dotted(named.obj) in _PARSERS:
            options = each.args[0] if isinstance(each, ir.Call) and each.args else None
            return options is None or (
                isinstance(options, ir.Obj) and not {one.key for one in options.props} - {"limit", "strict"}
            )
    return False
