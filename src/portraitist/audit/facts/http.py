"""Raw HTTP: which calls are requests of a known client, to which address, with which method and body.

Only requests whose folded address is the provider's become provider calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import (
    Known,
    OneOf,
    Outside,
    Struct,
    Unknown,
    Value,
    literals,
    render,
    renderings,
    structs,
    text,
)

_HOST = re.compile(r"^https?://api\.replicate\.com(?P<path>/[^?#]*)?")
_ANSWER_URL = re.compile(r"(^|\.)urls\.(get|cancel|stream)$")
_METHODS = {"get", "post", "put", "patch", "delete", "head"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: where to, how, with what."""

    address: Value
    method: str
    body: tuple[Struct, ...]
    node: ir.Node | None


def http_request(ctx: Context, module: Module, call: ir.Call) -> ProviderCall | None:
    """The provider call that a raw HTTP request makes, or None for every other call."""
    if not _may_be_request(ctx, call):
        return None
    request = request_of(ctx, module, call)
    if request is not None:
        return _provider_call(ctx, module, call, request)
    return _through_wrapper(ctx, module, call)


def _may_be_request(ctx: Context, call: ir.Call) -> bool:
    if call.tagged or (not call.args and call.kw is None):
        return False
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    return name.lower() in ctx.words.http_verbs or bool(call.args and not isinstance(call.args[0], ir.Func))


def request_of(ctx: Context, module: Module, call: ir.Call) -> Request | None:
    """The request a call of a known HTTP client makes."""
    origin = _client_origin(ctx, module, call)
    if not origin:
        return None
    head = call.args[0] if call.args else None
    options = [found for each in call.args for found in structs(ctx.ev.eval(module, each))]
    if call.kw is not None:
        options.extend(structs(ctx.ev.eval(module, call.kw)))
    address = _address(ctx, module, call, head, options)
    method = _method(ctx, module, call, origin, options)
    if method in {"", "REQUEST"} and len(call.args) > 1:
        address = ctx.ev.eval(module, call.args[1])
        method = str(next(iter(literals(ctx.ev.eval(module, call.args[0]))), "")).upper()
    base = _base_url(ctx, module, call)
    if base is not None:
        address = text([base, Known("/"), address]) if _needs_slash(base, address) else text([base, address])
    return Request(address, method or "GET", tuple(_bodies(options, origin, method)), head)


def _client_origin(ctx: Context, module: Module, call: ir.Call) -> str:
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    if name.lower() not in ctx.words.http_verbs:
        return ""
    origin = ctx.program.origin(module, call.func)
    root = re.split(r"[.(]", origin.removeprefix("global:"), maxsplit=1)[0]
    return (
        origin
        if root in ctx.words.http_clients or origin.removeprefix("global:") in ctx.words.http_clients
        else ""
    )


def _address(
    ctx: Context, module: Module, call: ir.Call, head: ir.Node | None, options: list[Struct]
) -> Value:
    if head is not None and not isinstance(head, ir.Obj):
        value = ctx.ev.eval(module, head)
        if not structs(value):
            return value
    for struct in options:
        found = struct.get("url", "uri", "endpoint")
        if found is not None:
            return found
    return Unknown("address")


def _method(ctx: Context, module: Module, call: ir.Call, origin: str, options: list[Struct]) -> str:
    name = call.func.name.lower() if isinstance(call.func, ir.Attr) else origin.rpartition(".")[2].lower()
    if name in _METHODS:
        return name.upper()
    for struct in options:
        found = [each for each in literals(struct.get("method")) if isinstance(each, str)]
        if found:
            return found[0].upper()
    if name == "request" and call.args and (verb := ir.text_of(call.args[0])) and verb.lower() in _METHODS:
        return "REQUEST"
    if name == "request" and any(struct.get("data") is not None for struct in options):
        return "POST"
    return "GET"


def _base_url(ctx: Context, module: Module, call: ir.Call) -> Value | None:
    """`baseURL` of an axios instance, `prefixUrl` of got and ky, `base_url` of an httpx client."""
    if not isinstance(call.func, ir.Attr):
        return None
    made = _creation(ctx, module, call.func.obj)
    if made is None:
        return None
    value = ctx.ev.eval(made[0], ir.keyword(made[1], "baseURL", "prefixUrl", "base_url"))
    return None if isinstance(value, Unknown) else value


def _needs_slash(base: Value, address: Value) -> bool:
    return not (render(base) or "/").endswith("/") and not (render(address) or "/").startswith("/")


def _creation(ctx: Context, module: Module, expr: ir.Node) -> tuple[Module, ir.Call] | None:
    """The call that made the client object behind `expr`, looked up through names and fields."""
    if isinstance(expr, ir.Name):
        found = module.lookup(expr.id, expr)
        for binding in found[1] if found else []:
            if isinstance(binding.value, ir.Call):
                return module, binding.value
            if binding.kind == "import" and isinstance(binding.node, ir.Import):
                return _imported_creation(ctx, module, binding.node, str(binding.keys[0]))
    if isinstance(expr, ir.Attr) and isinstance(expr.obj, ir.Name) and expr.obj.id in {"this", "self"}:
        for assign in module.all(ir.Assign):
            target = assign.target
            named = isinstance(target, ir.Attr) and target.name == expr.name
            if (named or (isinstance(target, ir.Name) and target.id == expr.name)) and isinstance(
                assign.value, ir.Call
            ):
                return module, assign.value
    return None


def _imported_creation(
    ctx: Context, module: Module, node: ir.Import, name: str
) -> tuple[Module, ir.Call] | None:
    path = ctx.program.resolver.resolve(module.path, node.module, module.language)
    other = ctx.program.modules.get(path) if path else None
    if other is None:
        return None
    entry = other.exports.get(name, name)
    if isinstance(entry, ir.Call):
        return other, entry
    local = entry if isinstance(entry, str) else name
    for binding in other.top.names.get(local, []):
        if isinstance(binding.value, ir.Call):
            return other, binding.value
    return None


def _bodies(options: list[Struct], origin: str, method: str) -> list[Struct]:
    found: list[Struct] = []
    for struct in options:
        for key in ("body", "json", "data", "content"):
            found.extend(structs(struct.get(key)))
    if not found and "axios" in origin and method in {"POST", "PUT", "PATCH"} and options:
        found.append(options[0])
    return found


def _provider_call(ctx: Context, module: Module, call: ir.Call, request: Request) -> ProviderCall | None:
    keys = provider_paths(request.address)
    if not keys or _host_is_passed_in(module, call, request):
        return None
    return ProviderCall(module, call, f"{request.method} {keys[0]}", False, request.body)


def provider_paths(address: Value) -> list[str]:
    """The provider paths an address may be; `{urls.get}` for an address out of the provider's own answer."""
    found: list[str] = []
    for each in renderings(address):
        match = _HOST.match(each)
        if match:
            found.append(match.group("path") or "/")
    options = address.options if isinstance(address, OneOf) else (address,)
    for option in options:
        if (
            isinstance(option, Outside)
            and option.kind == "field"
            and (answer := _ANSWER_URL.search(option.name))
        ):
            found.append("{urls." + answer.group(2) + "}")
    return sorted(set(found), key=lambda each: (-each.count("{"), each))


def _host_is_passed_in(module: Module, call: ir.Call, request: Request) -> bool:
    """Whether the whole address is a parameter: then the caller makes the provider call, not the wrapper."""
    node = request.node
    if not isinstance(node, ir.Name):
        return False
    found = module.lookup(node.id, node)
    return found is not None and all(each.kind == "param" for each in found[1])


def _through_wrapper(ctx: Context, module: Module, call: ir.Call) -> ProviderCall | None:
    """A call of a helper that passes its address parameter on to an HTTP client."""
    for target in ctx.program.functions_called(call):
        func = target.node
        if not isinstance(func, ir.Func) or target.module is None:
            continue
        for param, inner in _addresses(ctx, target.module, func):
            argument = argument_for(call, func, param)
            if isinstance(argument, ir.Lit | ir.Tmpl | ir.Name | ir.Attr):
                keys = provider_paths(ctx.ev.eval(module, argument))
                if keys:
                    return _wrapped(ctx, module, call, keys[0], inner)
    return None


def _addresses(ctx: Context, module: Module, func: ir.Func) -> list[tuple[ir.Param, Request]]:
    """The parameters of a function that it hands to an HTTP client as the address."""
    if func not in ctx.wrappers:
        found: list[tuple[ir.Param, Request]] = []
        names = {each.name: each for each in func.params if each.name}
        for call in ir.find(func, ir.Call) if names else ():
            head = call.args[0] if call.args else None
            if isinstance(head, ir.Name) and head.id in names and (request := request_of(ctx, module, call)):
                found.append((names[head.id], request))
        ctx.wrappers[func] = found
    return ctx.wrappers[func]


def _wrapped(ctx: Context, module: Module, call: ir.Call, path: str, inner: Request) -> ProviderCall:
    options = [found for each in call.args for found in structs(ctx.ev.eval(module, each))]
    if call.kw is not None:
        options.extend(structs(ctx.ev.eval(module, call.kw)))
    methods = [str(each) for struct in options for each in literals(struct.get("method"))]
    bodies = _bodies(options, "", "") or options
    return ProviderCall(
        module, call, f"{(methods or [inner.method])[0].upper()} {path}", False, tuple(bodies)
    )
