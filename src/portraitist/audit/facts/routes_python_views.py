"""Routes of Python frameworks that have no router's decorator on a function: classes, lists, bare decorators.

Flask-RESTX resources, REST framework actions, Starlette and Tornado lists, Litestar, and functions in a cloud. The
decorators of Flask and FastAPI and Django's URL lists are in `routes_python`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, normalise
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.link.values import render

_VERBS = {"get", "post", "put", "patch", "delete"}
_ENDPOINTS = {"web_endpoint", "fastapi_endpoint"}


def routes(ctx: Context) -> Iterator[Route]:
    """Every such route of the Python modules."""
    for module in ctx.modules:
        if module.language != "python":
            continue
        for cls in module.all(ir.Class):
            yield from _resource(ctx, module, cls)
        for func in module.all(ir.Func):
            for decorator in func.decorators:
                yield from _function(ctx, module, func, decorator)
        for call in module.calls({"Route", "Application"}):
            yield from _listed(ctx, module, call)


def _resource(ctx: Context, module: Module, cls: ir.Class) -> Iterator[Route]:
    """Flask-RESTX: `@ns.route("/go")` over a class whose methods are named like the verbs."""
    for decorator in cls.decorators:
        if isinstance(decorator, ir.Call) and ir.dotted(decorator.func).endswith(".route") and decorator.args:
            text = render(ctx.ev.eval(module, decorator.args[0])) or "/"
            others: list[Guard] = [(module, each) for each in cls.decorators if each is not decorator]
            for method, func in _methods(cls):
                yield Route(
                    method,
                    normalise(text, ending=True),
                    module,
                    func,
                    (Target(module, func),),
                    tuple(others),
                    "python",
                )


def _methods(cls: ir.Class) -> Iterator[tuple[str, ir.Func]]:
    for each in cls.body:
        if isinstance(each, ir.Func) and each.name in _VERBS:
            yield each.name.upper(), each


def _function(ctx: Context, module: Module, func: ir.Func, decorator: ir.Node) -> Iterator[Route]:
    name = ir.dotted(decorator)
    short = name.rpartition(".")[2]
    target = (Target(module, func),)
    if short == "action" and func.owner and isinstance(decorator, ir.Call):
        for method in _named_methods(decorator):
            yield Route(method, f"/{{pk}}/{func.name}", module, func, target, (), "python")
    elif short in _ENDPOINTS or name == "functions_framework.http":
        named = ir.text_of(ir.keyword(decorator, "method")) if isinstance(decorator, ir.Call) else None
        yield Route((named or "ANY").upper(), f"/{func.name}", module, func, target, (), "python")
    elif short in _VERBS and isinstance(decorator, ir.Call) and isinstance(decorator.func, ir.Name):
        origin = ctx.program.origin(module, decorator.func)
        if origin.startswith("litestar") and decorator.args:
            path = render(ctx.ev.eval(module, decorator.args[0])) or "/"
            listed = ir.keyword(decorator, "guards")
            guards = [(module, each) for each in listed.items] if isinstance(listed, ir.Arr) else []
            yield Route(
                short.upper(), normalise(path, ending=True), module, func, target, tuple(guards), "python"
            )


def _named_methods(decorator: ir.Call) -> list[str]:
    listed = ir.keyword(decorator, "methods")
    items = listed.items if isinstance(listed, ir.Arr) else []
    return [text.upper() for each in items if (text := ir.text_of(each))] or ["GET"]


def _listed(ctx: Context, module: Module, call: ir.Call) -> Iterator[Route]:
    """Starlette's `Route("/go", go, methods=["POST"])` and Tornado's `Application([(r"/go", Go)])`."""
    name = ir.dotted(call.func).rpartition(".")[2]
    origin = ctx.program.origin(module, call.func)
    if name == "Route" and origin.startswith(("starlette", "fastapi")) and len(call.args) > 1:
        way = ir.text_of(call.args[0])
        for target in ctx.program.resolve(module, call.args[1]) if way is not None else ():
            if isinstance(target.node, ir.Func):
                for method in _named_methods(call):
                    yield Route(
                        method, normalise(way or "", ending=True), module, call, (target,), (), "python"
                    )
    elif (
        name == "Application"
        and origin.startswith("tornado")
        and call.args
        and isinstance(call.args[0], ir.Arr)
    ):
        for item in call.args[0].items:
            yield from _handled(ctx, module, item)


def _handled(ctx: Context, module: Module, item: ir.Node) -> Iterator[Route]:
    text = ir.text_of(item.items[0]) if isinstance(item, ir.Arr) and len(item.items) > 1 else None
    for target in ctx.program.resolve(module, item.items[1]) if text and isinstance(item, ir.Arr) else ():
        if isinstance(target.node, ir.Class) and target.module is not None:
            for method, func in _methods(target.node):
                handler = (Target(target.module, func),)
                yield Route(
                    method, normalise(text or "", ending=True), target.module, func, handler, (), "python"
                )
