"""Routes of Flask, FastAPI and Django: decorators, class views, URL lists, and the prefixes above them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.mounts import Guard, Mounts, creations, normalise
from portraitist.audit.link.bindings import Frame, bindings_of, reaching
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import Target
from portraitist.audit.link.values import Items, literals, render

_DECORATORS = {"get", "post", "put", "patch", "delete", "route", "api_route", "websocket", "head"}
_MOUNTS = {"register_blueprint", "include_router", "mount", "add_namespace"}
_REGISTERING = {"add_url_rule", "add_api_route", "add_resource"}
_VERBS = {"get", "post", "put", "patch", "delete"}
_ROUTERS = {"APIRouter", "FastAPI", "Flask", "Blueprint", "Sanic", "Quart", "Starlette", "Router", "NinjaAPI"}
_CLIENTS = {"requests", "httpx", "session", "client", "mock", "patch", "responses", "respx"}


def routes(ctx: Context) -> Iterator[Route]:
    """Every route of the Python modules."""
    mounts = _mounts(ctx)
    for module in ctx.modules:
        if module.language != "python":
            continue
        for func in module.all(ir.Func):
            for decorator in func.decorators:
                yield from _decorated(ctx, mounts, module, func, decorator)
        for call in module.all(ir.Call):
            yield from _registered(ctx, mounts, module, call)
    yield from _django(ctx)


def _decorated(
    ctx: Context, mounts: Mounts, module: Module, func: ir.Func, decorator: ir.Node
) -> Iterator[Route]:
    if not isinstance(decorator, ir.Call) or not isinstance(decorator.func, ir.Attr):
        return
    name = decorator.func.name
    receiver = ir.plain_dotted(decorator.func.obj).rpartition(".")[2].lower()
    if name not in _DECORATORS or receiver in _CLIENTS:
        return
    head = decorator.args[0] if decorator.args else ir.keyword(decorator, "path", "rule")
    text = render(ctx.ev.eval(module, head)) if head is not None else ""
    if text is None and _takes_routes(ctx, module, decorator.func.obj):
        text = f"/{{{ir.dotted(head).rpartition('.')[2]}}}" if head is not None else ""
    if text is None or not (text == "" or text.startswith("/")):
        return
    methods = (
        [name.upper()]
        if name not in {"route", "api_route", "websocket"}
        else _methods(ctx, module, decorator)
    )
    methods = ["WEBSOCKET"] if name == "websocket" else methods
    guards = [*_dependencies(module, decorator), *_other_decorators(module, func, decorator)]
    yield from _mounted(ctx, mounts, (module, func, decorator), (methods, text), guards)


def _takes_routes(ctx: Context, module: Module, receiver: ir.Node) -> bool:
    """Whether an object is a framework's application or router: then a path that is not known is still a path."""
    made = (each for each in creations(ctx, module, receiver) if isinstance(each, ir.Call))
    return any(ir.dotted(each.func).rpartition(".")[2] in _ROUTERS for each in made)


def _methods(ctx: Context, module: Module, call: ir.Call) -> list[str]:
    listed = ir.keyword(call, "methods")
    if listed is None:
        return ["GET"]
    value = ctx.ev.eval(module, listed)
    found = (
        [str(one).upper() for each in value.items for one in literals(each)]
        if isinstance(value, Items)
        else []
    )
    return [each for each in found if each not in {"OPTIONS", "HEAD"}] or found or ["ANY"]


def _mounted(
    ctx: Context,
    mounts: Mounts,
    site: tuple[Module, ir.Func, ir.Call],
    path: tuple[list[str], str],
    guards: list[Guard],
) -> Iterator[Route]:
    """The routes of one decorated function: one for each method and each mount of its router."""
    (module, func, decorator), (methods, text) = site, path
    assert isinstance(decorator.func, ir.Attr)
    made = creations(ctx, module, decorator.func.obj)
    router = made[0] if made else None
    own = _own_prefix(ctx, module, router, _made_by(ctx, module, decorator.func.obj, router))
    above = mounts.guards_of(router, text, lambda _: True)
    for prefix in mounts.paths(router):
        for method in methods:
            whole = normalise(f"{prefix}/{own}/{text}", ending=True)
            anchor = ir.Other(decorator.line, func.end, [])
            anchor.parent = func
            yield Route(method, whole, module, anchor, (Target(module, func),), (*above, *guards), "python")


def _own_prefix(ctx: Context, module: Module, router: ir.Node | None, made_by: Frame | None = None) -> str:
    """The prefix that a router was made with; `made_by` is the call of the function that made it for this use."""
    if not isinstance(router, ir.Call):
        return ""
    node = ir.keyword(router, "prefix", "url_prefix")
    home = ctx.program.module_of.get(made_by.func, module) if made_by is not None else module
    return (render(ctx.ev.eval(home, node, made_by)) or "") if node is not None else ""


def _made_by(ctx: Context, module: Module, name: ir.Node, router: ir.Node | None) -> Frame | None:
    """The call that a router's name stands for, where a function of the repository makes routers: `shelf("books")`."""
    maker = router.within if router is not None else None
    if maker is None or not isinstance(name, ir.Name):
        return None
    for each in reaching(module, name):
        call = each.value
        if isinstance(call, ir.Call) and any(one.node is maker for one in ctx.program.functions_called(call)):
            return ctx.ev.frame(maker, call, module, None)
    return None


def _dependencies(module: Module, call: ir.Call) -> list[Guard]:
    listed = ir.keyword(call, "dependencies")
    return [(module, each) for each in listed.items] if isinstance(listed, ir.Arr) else []


def _other_decorators(module: Module, func: ir.Func, own: ir.Node) -> list[Guard]:
    return [(module, each) for each in func.decorators if each is not own]


def _mounts(ctx: Context) -> Mounts:
    mounts = Mounts()
    for module in ctx.modules:
        if module.language != "python":
            continue
        for call in module.all(ir.Call):
            name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
            if name in _MOUNTS and isinstance(call.func, ir.Attr) and call.args:
                _mount(ctx, mounts, module, call, call.func)
            elif name in {"APIRouter", "FastAPI", "Blueprint"}:
                for guard in _dependencies(module, call):
                    mounts.guards.setdefault(call, []).append(("", guard))
            elif name == "add_middleware" and isinstance(call.func, ir.Attr) and call.args:
                _before_all(ctx, mounts, module, call)
        for func in module.all(ir.Func):
            for each in func.decorators:
                named = each.func if isinstance(each, ir.Call) else each
                if isinstance(named, ir.Attr) and named.name in _BEFORE:
                    for made in creations(ctx, module, named.obj):
                        mounts.guards.setdefault(made, []).append(("", (module, func)))
    return mounts


_BEFORE = {"before_request", "before_app_request", "middleware"}


def _before_all(ctx: Context, mounts: Mounts, module: Module, call: ir.Call) -> None:
    """`app.add_middleware(X)`: only a class of the repository can be read; a library's is no guard by its name.

    So it is with the function that a library's class is handed: `add_middleware(BaseHTTPMiddleware, dispatch=ask)`.
    """
    middleware = ir.keyword(call, "dispatch") or call.args[0]
    known = ctx.program.resolve(module, middleware)
    if isinstance(call.func, ir.Attr) and any(isinstance(each.node, ir.Class | ir.Func) for each in known):
        for made in creations(ctx, module, call.func.obj):
            mounts.guards.setdefault(made, []).append(("", (module, middleware)))


def _mount(ctx: Context, mounts: Mounts, module: Module, call: ir.Call, func: ir.Attr) -> None:
    node = ir.keyword(call, "prefix", "url_prefix", "path")
    texts = [ir.text_of(each) for each in call.args]
    prefix = (
        (render(ctx.ev.eval(module, node)) or "")
        if node is not None
        else next((each for each in texts if each), "")
    )
    parents = creations(ctx, module, func.obj)
    above = _own_prefix(ctx, module, parents[0] if parents else None)
    prefix = f"{above}/{prefix}" if above else prefix
    for arg in call.args:
        for child in creations(ctx, module, arg):
            mounts.prefixes.setdefault(child, []).append((prefix, parents[0] if parents else None))
            for guard in _dependencies(module, call):
                mounts.guards.setdefault(child, []).append(("", guard))


def _registered(ctx: Context, mounts: Mounts, module: Module, call: ir.Call) -> Iterator[Route]:
    """`add_url_rule`, `add_api_route`, Flask-RESTful's `add_resource`, aiohttp's `add_post` and `web.post`."""
    if not isinstance(call.func, ir.Attr):
        return
    verb = call.func.name.removeprefix("add_")
    plain = verb in _VERBS and (
        call.func.name.startswith("add_") or ir.plain_dotted(call.func) == f"web.{verb}"
    )
    if call.func.name not in _REGISTERING and not plain:
        return
    texts = [text for each in call.args if (text := ir.text_of(each)) and text.startswith("/")]
    view = ir.keyword(call, "view_func", "endpoint") or next(
        (each for each in call.args if ir.text_of(each) is None), None
    )
    if not texts or view is None:
        return
    made = creations(ctx, module, call.func.obj)
    prefix = mounts.paths(made[0] if made else None)[0] + _own_prefix(ctx, module, made[0] if made else None)
    methods = [verb.upper()] if plain else _methods(ctx, module, call)
    for method, target in _view_methods(ctx, module, view, methods):
        yield Route(
            method, normalise(f"{prefix}/{texts[0]}", ending=True), module, call, (target,), (), "python"
        )


def _view_methods(
    ctx: Context, module: Module, view: ir.Node, methods: list[str]
) -> Iterator[tuple[str, Target]]:
    """(method, function) of a view function or of the class behind a view expression."""
    node = view.func if isinstance(view, ir.Call) else view
    while isinstance(node, ir.Attr) and node.name == "as_view":
        node = node.obj
    if isinstance(view, ir.Call) and not isinstance(view.func, ir.Attr) and view.args:
        yield from _view_methods(ctx, module, view.args[0], methods)
        return
    for target in ctx.program.resolve(module, node):
        if isinstance(target.node, ir.Class) and target.module is not None:
            for each in target.node.body:
                if isinstance(each, ir.Func) and each.name in _VIEW_METHODS:
                    yield _VIEW_METHODS[each.name], Target(target.module, each)
        elif isinstance(target.node, ir.Func):
            for method in methods:
                yield method, target


_VIEW_METHODS = {
    "get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE", "create": "POST", "list": "GET",
    "retrieve": "GET", "update": "PUT", "partial_update": "PATCH", "destroy": "DELETE", "form_valid": "POST",
}  # fmt: skip


def _django(ctx: Context) -> Iterator[Route]:
    """URL lists: `path("x/", view)`, `include("app.urls")`, and REST routers."""
    lists = {
        each.path: each
        for each in ctx.modules
        if each.language == "python" and "urlpatterns" in each.top.names
    }
    prefixes = _django_prefixes(ctx, lists)
    for module in lists.values():
        for call in module.all(ir.Call):
            name = ir.dotted(call.func).rpartition(".")[2]
            if name not in {"path", "re_path", "url", "register"} or len(call.args) < 2:
                continue
            text = ir.text_of(call.args[0])
            if text is None or ir.dotted(call.args[1]).startswith("include"):
                continue
            for method, target in _django_view(ctx, module, call.args[1]):
                for prefix in prefixes.get(module.path, [""]):
                    yield Route(
                        method,
                        normalise(f"{prefix}/{text}", ending=True),
                        module,
                        call,
                        (target,),
                        (),
                        "python",
                    )


def _django_view(ctx: Context, module: Module, view: ir.Node) -> Iterator[tuple[str, Target]]:
    for method, target in _view_methods(ctx, module, view, ["ANY"]):
        if method == "ANY" and isinstance(target.node, ir.Func) and target.module is not None:
            for each in _function_methods(target.node):
                yield each, target
        else:
            yield method, target


def _function_methods(func: ir.Func) -> list[str]:
    """What a view function admits: its decorators or the method it compares with."""
    for decorator in func.decorators:
        name = ir.dotted(decorator).rpartition(".")[2]
        if name in {"require_POST", "require_GET"}:
            return [name.removeprefix("require_")]
        if name in {"require_http_methods", "api_view"} and isinstance(decorator, ir.Call) and decorator.args:
            items = decorator.args[0].items if isinstance(decorator.args[0], ir.Arr) else []
            return [text for each in items if (text := ir.text_of(each))] or ["ANY"]
    tested = {
        text
        for each in ir.find(func, ir.Bin)
        if isinstance(each.left, ir.Attr)
        and each.left.name == "method"
        and (text := ir.text_of(each.right or each.left))
    }
    return sorted(tested) or ["ANY"]


def _django_prefixes(ctx: Context, lists: dict[str, Module]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _ in range(3):
        for module in lists.values():
            for call in module.all(ir.Call):
                if (
                    ir.dotted(call.func).rpartition(".")[2] not in {"path", "re_path", "url"}
                    or len(call.args) < 2
                ):
                    continue
                inner = call.args[1]
                if not (
                    isinstance(inner, ir.Call) and ir.dotted(inner.func).endswith("include") and inner.args
                ):
                    continue
                target = _included(ctx, module, inner.args[0])
                text = re.sub(r"[\^$]", "", ir.text_of(call.args[0]) or "")
                for head in found.get(module.path, [""]) if target else []:
                    entry = f"{head}/{text}"
                    if target and entry not in found.setdefault(target, []):
                        found[target].append(entry)
    return found


def _included(ctx: Context, module: Module, node: ir.Node) -> str | None:
    if isinstance(node, ir.Arr) and node.items:  # (patterns, app name)
        return _included(ctx, module, node.items[0])
    name = ir.text_of(node) or ir.plain_dotted(node)
    if isinstance(node, ir.Attr) and node.name in {"urls", "urlpatterns"} and isinstance(node.obj, ir.Name):
        for binding in bindings_of(module, node.obj):
            if binding.kind == "import" and isinstance(binding.node, ir.Import):
                return ctx.program.resolver.resolve(module.path, binding.node.module, "python")
    return ctx.program.resolver.resolve(module.path, name, "python") if name else None
