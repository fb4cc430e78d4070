"""What a request hands to which statement: from a handler's parameters over its helpers and the tasks it queues.

Follows names, members, parsers and converters. What is read from cookies, headers or a session is not the request's
word for who somebody is, and counts as not given; so does what a helper makes of the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.asking import of_servers_alone
from portraitist.audit.facts.auth import dependencies
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import HANDING_ON, Target, handed_on
from portraitist.audit.rules.base import helpers_of, last_name
from portraitist.audit.rules.syntax import runs_over

MAX_DEPTH = 3
"""How many calls below a handler a value of the request is followed."""

_CARRIERS = {"req", "request", "_req", "_request", "c", "ctx", "context", "event", "e", "info"}
"""Names of what a framework hands over as the request: only some of their members are what the caller wrote."""
_RAW = {"Request", "HttpRequest", "WebSocket", "WSGIRequest", "HTTPConnection"}
_WRITTEN = {
    "body", "query", "params", "param", "nextUrl", "url", "json", "form", "args", "POST", "GET", "data", "values",
    "req", "files", "formData", "input", "request", "get_json", "searchParams", "queryStringParameters", "FILES",
    "match_info", "path_params", "query_params", "pathParameters", "rawBody", "text", "valid", "view_args", "rawInput",
}  # fmt: skip
_OTHERS = {
    "user",
    "session",
    "auth",
    "cookies",
    "headers",
    "locals",
    "state",
    "META",
    "cookie",
    "header",
    "clerk",
}
"""Members that hold what the server knows of the caller, or what needs a check of its own."""
_METHODS = {
    "get", "getAll", "json", "text", "formData", "trim", "toString", "parse", "safeParse", "parseAsync", "strip",
    "lower", "toLowerCase", "at", "pop", "replace", "split", "slice", "dict", "model_dump", "get_json", "param",
    "query", "valid", "validate", "loads", "decode", "getlist", "first", "parseBody", "filter", "arrayBuffer", "bytes",
}  # fmt: skip
_CONVERTERS = re.compile(
    r"^(String|Number|parseInt|parseFloat|int|str|float|UUID|uuid|ObjectId|URL|URLSearchParams|decodeURIComponent|doc"
    r"|(validate(?!\w*([Aa]uth|[Uu]ser|[Ss]ession|[Tt]oken|[Aa]ccess|[Cc]aller))|parse|sanitize|clean|normali[sz]e|to|as)_?[A-Z]?\w*"
    r"|join|resolve|(\w*[a-z_])?[pP]aths?"
    r"|(safe|read|get|load|extract)_?\w*(json|Json|body|Body|Params?|Payload|Query)\w*)$"
)
_INJECTED = re.compile(r"(self|cls|db|(current_?)?user|session|auth)$", re.I)
_NOT_GIVEN = re.compile(
    r"Depends|Security|Session|BackgroundTasks|Response|Client|Database|Engine|Connection"
)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A function below a handler, with the names in it whose values the request gave; `way` is handler first."""

    module: Module
    func: ir.Func
    names: frozenset[str]
    way: tuple[ir.Func, ...]
    of_servers: frozenset[ir.Node] = frozenset()
    """What is taken on from another program alone, which sends a secret of the server."""


def below(ctx: Context, route: Route) -> list[Given]:
    """The route's handlers and the functions they hand parts of the request to."""
    return ctx.once(_below, route)


def _below(ctx: Context, route: Route) -> list[Given]:
    found: list[Given] = []
    queue = [
        Given(
            each.module,
            each.node,
            frozenset(_parameters(ctx, route, each.module, each.node)),
            (each.node,),
            ctx.once(of_servers_alone, each.node),
        )
        for each in route.handlers
        if isinstance(each.node, ir.Func) and each.module is not None
    ]
    seen = {each.func for each in queue}
    while queue:
        here = queue.pop(0)
        found.append(here)
        for call, target in _calls(ctx, here) if len(here.way) <= MAX_DEPTH else ():
            func, module = target.node, target.module
            if not isinstance(func, ir.Func) or module is None or func in seen:
                continue
            names = frozenset(_handed(here, call, func))
            if names:
                seen.add(func)
                servers = ctx.once(of_servers_alone, func)
                queue.append(Given(module, func, names, (*here.way, func), servers))
    return found


def within_reach(ctx: Context, route: Route) -> list[ir.Func]:
    """The handlers of a route and the functions that they call, `MAX_DEPTH` calls deep."""
    return ctx.once(_within_reach, route)


def _within_reach(ctx: Context, route: Route) -> list[ir.Func]:
    found = dict.fromkeys(route.funcs)
    level = [*found]
    for _ in range(MAX_DEPTH):
        level = [each for func in level for each in helpers_of(ctx, func) if each not in found]
        found.update(dict.fromkeys(level))
    return [*found]


def _calls(ctx: Context, here: Given) -> Iterator[tuple[ir.Call, Target]]:
    for call in ir.find(here.func, ir.Call):
        for target in ctx.program.functions_called(call):
            yield call, target
        name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
        queued = handed_on(call) if here.module.language == "python" and name in HANDING_ON else None
        for target in ctx.program.resolve(here.module, queued.func) if queued is not None else ():
            if queued is not None:
                yield queued, target


def _parameters(ctx: Context, route: Route, module: Module, func: ir.Func) -> Iterator[str]:
    """The parameters of a handler that the caller fills; those that a framework injects are none."""
    if route.framework in {"express", "edge", "pages", "vercel", "nitro", "loader", "svelte", "cloud"}:
        params = [*func.params[:1], *(each for each in func.params[1:2] if each.name in {"request", "req"})]
    else:
        injected = [param for param, _, _ in dependencies(ctx, module, func)]
        params = [each for each in func.params if each not in injected and not _is_added(route, func, each)]
        if route.framework == "nest" and any(each.decorators for each in func.params):
            params = [each for each in params if not _GIVEN_BY_NEST.isdisjoint(each.decorators)]
    for each in params:
        default = ir.dotted(each.default) if each.default is not None else ""
        annotation = ir.dotted(each.annotation) if each.annotation is not None else ""
        if _NOT_GIVEN.search(f"{default} {annotation}") or _INJECTED.match(each.name):
            continue
        yield from _bound(each, lambda key: key not in {"ctx", "context", *_OTHERS})
    if route.framework == "python":
        yield "request"


_GIVEN_BY_NEST = {
    "Body", "RawBody", "Query", "Param", "Params", "Req", "Request", "UploadedFile", "UploadedFiles", "Args",
    "QueryParam", "QueryParams", "BodyParam", "MessageBody", "Payload", "PathParams", "BodyParams",
}  # fmt: skip
"""Decorators of parameters that the caller fills; one of the repository's own hands over what a guard has found out."""


def _is_added(route: Route, func: ir.Func, param: ir.Param) -> bool:
    """What a wrapper adds behind the request and its context, as a whole: `withAuth(async (req, ctx, who) => …)`."""
    return (
        route.framework == "next"
        and route.method != "ACTION"
        and bool(param.name)
        and param in func.params[2:]
    )


def _bound(param: ir.Param, wanted: object) -> Iterator[str]:
    if param.name:
        yield param.name
    for prop in param.pattern.props if isinstance(param.pattern, ir.Obj) else ():
        if callable(wanted) and wanted(prop.key):
            yield from (each.id for each in ir.find(prop.value, ir.Name))


def _handed(here: Given, call: ir.Call, func: ir.Func) -> Iterator[str]:
    """The parameters of a called function that get something of the request."""
    for param in func.params:
        argument = argument_for(call, func, param)
        if argument is None:
            continue
        if isinstance(argument, ir.Obj) and isinstance(param.pattern, ir.Obj):
            for prop in param.pattern.props:
                value = argument.get(prop.key) if prop.key else None
                if value is not None and is_given(here, value):
                    yield from (each.id for each in ir.find(prop.value, ir.Name))
        elif isinstance(argument, ir.Obj) and param.name:
            told = (each.key for each in argument.props if each.key and is_given(here, each.value))
            yield from (f"{param.name}.{key}" for key in told)
        elif is_given(here, argument) and (not _is_carrier(argument) or _is_body(here, argument)):
            yield from _bound(param, lambda key: True)


def _is_carrier(node: ir.Node) -> bool:
    return isinstance(node, ir.Name) and node.id in _CARRIERS


def _is_body(here: Given, node: ir.Node) -> bool:
    """Whether `request` is the parsed body: a Python parameter of a type of its own, or a variable made of the body."""
    found = here.module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    values = (
        [each.value for each in found[1] if each.value is not None and each.kind == "assign"] if found else []
    )
    if any(is_given(here, each, 1) for each in values):
        return True
    for binding in found[1] if found and here.module.language == "python" else []:
        if isinstance(binding.node, ir.Param) and binding.node.annotation is not None:
            return ir.dotted(binding.node.annotation).rpartition(".")[2] not in _RAW
    return False


def is_given(here: Given, node: ir.Node | None, depth: int = 0) -> bool:
    """Whether an expression is worth what the request says."""
    if node is None or depth > 8:
        return False
    if isinstance(node, ir.Name):
        return _name_given(here, node, depth)
    if isinstance(node, ir.Attr):
        told = _is_told_member(here, node.obj, node.name)
        if told or node.name in _OTHERS:
            return told
        if node.name not in _WRITTEN and _is_carrier(node.obj) and not _is_body(here, node.obj):
            return False
        if (entry := _entry(here, node)) is not None:
            return is_given(here, entry, depth + 1)
        return is_given(here, node.obj, depth)
    if isinstance(node, ir.Index):
        return ir.text_of(node.key) not in _OTHERS and is_given(here, node.obj, depth)
    if isinstance(node, ir.Call):
        return _call_given(here, node, depth)
    if isinstance(node, ir.Bin | ir.Tmpl):
        if any(_FRESH.search(ir.dotted(each.func)) for each in ir.find(node, ir.Call)):
            return False  # a name that is made here, whatever else is in it
        return any(is_given(here, each, depth + 1) for each in node.children())
    if isinstance(node, ir.Other) and len(node.parts) == 1:
        return is_given(here, node.parts[0], depth + 1)  # `...parts`
    if isinstance(node, ir.Cond):
        chosen = node.then not in here.of_servers and is_given(here, node.then, depth + 1)
        return chosen or is_given(here, node.other, depth + 1)
    return False


_FRESH = re.compile(
    r"(^|\.)(Math\.random|Date\.now|randomUUID|uuid[1-7]|uuidv[1-7]|nanoid|cuid|token_hex|token_urlsafe)$"
)
"""What makes a name that nobody else has."""


def told_by_server(ctx: Context, statement: Statement, node: ir.Node) -> bool:
    """Whether what a statement is given is a variable that the request sets only where it holds a server's secret."""
    around = (each for each in ir.ancestors(statement.node) if isinstance(each, ir.Func))
    proven = {one for func in around for one in ctx.once(of_servers_alone, func)}
    bound = bindings_of(statement.module, node)
    chosen = (each for each in (node, *(one.value for one in bound)) if isinstance(each, ir.Cond))
    return any(each.node in proven for each in bound) or any(each.then in proven for each in chosen)


def of_chosen_row(ctx: Context, here: Given, node: ir.Node | None) -> bool:
    """`row.id` where the row was read by what the request says: the request chose it all the same."""
    found = (
        here.module.lookup(node.obj.id, node)
        if isinstance(node, ir.Attr) and isinstance(node.obj, ir.Name)
        else None
    )
    values = [each.value for each in found[1] if each.value is not None] if found else []
    made = ctx.statements_under.get(here.func, ()) if values else ()
    read = [
        each
        for each in made
        if each.kind == "read" and any(is_given(here, by) for _, by in each.where_values)
    ]
    return any(each.node in ir.walk(value) for each in read for value in values)


def _is_told_member(here: Given, holder: ir.Node | None, name: str) -> bool:
    """Whether a helper was called with an object of which this entry is the request's: `store({ id: params.id })`."""
    return isinstance(holder, ir.Name) and f"{holder.id}.{name}" in here.names


def _entry(here: Given, node: ir.Attr) -> ir.Node | None:
    """`x` of `const input = { x: … }` where `input.x` is read."""
    values = [each.value for each in bindings_of(here.module, node.obj) if not each.keys]
    return next((each.get(node.name) for each in values if isinstance(each, ir.Obj)), None)


def _name_given(here: Given, node: ir.Name, depth: int) -> bool:
    bindings = bindings_of(here.module, node)
    if any(each.kind == "param" for each in bindings) or not any(each.value for each in bindings):
        return node.id in here.names or any(_each_given(here, one.node, depth) for one in bindings)
    earlier = [each for each in bindings if each.value is not None and each.node.line <= node.line]
    return any(
        not any(str(key) in _OTHERS for key in each.keys)
        and each.node.within is not None
        and each.node not in here.of_servers
        and (
            is_given(here, each.value, depth + 1)
            or (bool(each.keys) and _is_told_member(here, each.value, str(each.keys[0])))
        )
        for each in earlier
    )


def _each_given(here: Given, param: ir.Node, depth: int) -> bool:
    """`id` of `ids.map((id) => …)` where the request gave `ids`."""
    several = runs_over(param)
    return several is not None and is_given(here, several, depth + 1)


def _shortened(call: ir.Call) -> bool:
    """`hashids.decode(id)`: the id of a row in other letters; it is no secret."""
    return (
        last_name(call.func) == "decode"
        and re.search(r"hash_?ids?|sqids?", ir.dotted(call.func), re.I) is not None
    )


def _call_given(here: Given, call: ir.Call, depth: int) -> bool:
    if isinstance(call.func, ir.Attr):
        held = call.func.obj
        of_carrier = call.func.name == "get" and _is_carrier(held) and not _is_body(here, held)
        if call.func.name == "catch" and isinstance(held, ir.Call):
            return is_given(here, held, depth)  # `request.json().catch(() => ({}))`
        if call.func.name in _METHODS and not of_carrier:
            return is_given(here, call.func.obj, depth) or (
                (
                    call.func.name in {"parse", "safeParse", "parseAsync", "loads", "validate"}
                    or _shortened(call)
                )
                and any(is_given(here, each, depth + 1) for each in call.args)
            )
        if _is_carrier(call.func.obj):
            return call.func.name in _WRITTEN and call.func.obj.id in here.names  # type: ignore[attr-defined]
    whole = ir.plain_dotted(call.func)
    converts = _CONVERTERS.match(whole.rpartition(".")[2]) or whole == "Buffer.from"
    return bool(converts) and any(is_given(here, each, depth + 1) for each in call.args)
