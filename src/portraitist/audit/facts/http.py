"""Raw HTTP: which calls are requests of a known client, to which address, with which method and body.

Says which addresses are the provider's; which call site a request belongs to is decided in `transport`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import Frame, bindings_of
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import (
    Known,
    OneOf,
    Outside,
    Struct,
    Text,
    Unknown,
    Value,
    literals,
    render,
    renderings,
    structs,
    text,
)

_PROVIDER = r"[\w-]*api[\w-]*\.replicate\.com"  # trainings of old, and some trials, have hosts of their own
_HOST = re.compile(rf"^https?://{_PROVIDER}(:443)?(?P<path>/[^?#]*)?")
_OPERATIONS = r"/(predictions|trainings|models|deployments|files|hardware|account|collections|webhooks)"
_OPERATION = re.compile(rf"^(/v1)?{_OPERATIONS}(/[^/]+)*/?$")
_CONFIGURED = re.compile(
    rf"^(https?://)?\{{[^}}]*\}}(/replicate)?(/v1)?(?P<path>{_OPERATIONS}(/[^/?#]+)*)/?([?#].*)?$"
)
_ANOTHER_PLACE = re.compile(rf"/|https?://(?!{_PROVIDER}|[^/]*\{{)")
_SLASHES = re.compile(r"(?<!:)//+")
"""Where a base that ends in a slash meets a path that begins with one."""
_SETTING = re.compile(r"\{([A-Z][A-Z0-9_]+)\}")
_ANOTHER_HOST = re.compile(rf"https?://(?!{_PROVIDER})[^/{{]+/")
_ANSWER_URL = re.compile(r"(^|\.)urls\.(get|cancel|stream)$")
_NODE = {"http", "https"}
"""Node's own clients, which are given the host and the path apart; Python's `http.client` has the same root."""
METHODS = {"get", "post", "put", "patch", "delete", "head"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: where to, how, with what; `options` is every object that it is given."""

    address: Value
    method: str
    body: tuple[Struct, ...]
    node: ir.Node | None
    options: tuple[Struct, ...] = ()


def is_request(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a call is one of a known HTTP client."""
    return (
        not call.tagged and bool(call.args or call.kw is not None) and bool(_client_origin(ctx, module, call))
    )


def plainly_elsewhere(call: ir.Call) -> bool:
    """Whether the very text of an address leads to another host, or `fetch` to this server's own root."""
    head = call.args[0] if call.args else None
    text = ir.text_of(head.parts[0] if isinstance(head, ir.Tmpl) and head.parts else head) or ""
    if text.startswith("/"):
        return isinstance(call.func, ir.Name)
    return bool(_ANOTHER_HOST.match(text))


def address_nodes(call: ir.Call) -> list[ir.Node]:
    """The expressions that a request's address may stand in."""
    if _verb_first(call):
        return [call.args[1]]
    found = [each for each in call.args if not isinstance(each, ir.Func)]
    named = call.kw.get("url", "uri", "endpoint") if call.kw is not None else None
    return [*found[:1], *([named] if named is not None else [])]


def address_of(ctx: Context, module: Module, call: ir.Call, frame: Frame | None = None) -> Value | None:
    """The address of a call of a known HTTP client; `frame` binds the parameters around it.

    None for what is no such call, and for one that certainly goes elsewhere.
    """
    if not _client_origin(ctx, module, call):
        return None
    head = call.args[0] if call.args else None
    verb_first = _verb_first(call)
    direct = head if not isinstance(head, ir.Obj) and not verb_first else None
    elsewhere = direct is not None and _elsewhere(ctx.ev.eval(module, direct, frame))
    if elsewhere and _base_url(ctx, module, call) is None:
        return None
    address = (
        ctx.ev.eval(module, call.args[1], frame) if verb_first else _address(ctx, module, call, head, frame)
    )
    base = None if _is_absolute(address) else _base_url(ctx, module, call)
    if base is None:
        return address
    return text([base, Known("/"), address]) if _needs_slash(base, address) else text([base, address])


def request_of(ctx: Context, module: Module, call: ir.Call, frame: Frame | None = None) -> Request | None:
    """The whole request, body folded as well; None where `address_of` knows none."""
    address = address_of(ctx, module, call, frame)
    if address is None:
        return None
    origin = _client_origin(ctx, module, call)
    options = _options(ctx, module, call, frame)
    if _verb_first(call):
        known = [str(each).upper() for each in literals(ctx.ev.eval(module, call.args[0], frame))]
        method = known[0] if known else "{method}"
    else:
        method = _method(call, origin, options)
    bodies = _bodies(options)
    if not bodies and "axios" in origin and method in {"POST", "PUT", "PATCH"} and len(call.args) > 1:
        bodies = structs(ctx.ev.eval(module, call.args[1], frame))
    if not bodies and origin.partition(".")[0] in _NODE:
        bodies = [found for each in _written(call) for found in structs(ctx.ev.eval(module, each, frame))]
    first = call.args[0] if call.args else None
    return Request(address, method or "GET", tuple(bodies), first, tuple(options))


def _options(ctx: Context, module: Module, call: ir.Call, frame: Frame | None) -> list[Struct]:
    """Every object that a request is given."""
    given = [*call.args, *([call.kw] if call.kw is not None else [])]
    return [found for each in given for found in structs(ctx.ev.eval(module, each, frame))]


def _verb_first(call: ir.Call) -> bool:
    """`client.request("POST", address)`, `httpx.Request("POST", address)`: the method comes first."""
    name = call.func.name if isinstance(call.func, ir.Attr) else ""
    if len(call.args) < 2:
        return False
    first = call.args[0]
    says = ir.text_of(first) or (first.id if isinstance(first, ir.Name) else "")
    if ir.plain_dotted(call.func).partition(".")[0] in _NODE and says.lower() not in METHODS:
        return False  # Python's `http = urllib3.PoolManager()` has the name of Node's own client
    two = name in {"request", "build_request"} or (
        name == "Request" and says.lower() in {*METHODS, "method", "verb"}
    )
    return two and not isinstance(call.args[1], ir.Obj)


def _elsewhere(address: Value) -> bool:
    """Whether every text an address may be starts at another host, or at this server's own root."""
    options = address.options if isinstance(address, OneOf) else (address,)
    if not all(isinstance(each, Known | Text) for each in options):
        return False
    found = renderings(address)
    return bool(found) and all(_ANOTHER_PLACE.match(each) for each in found)


def _is_absolute(address: Value) -> bool:
    """Clients with a base address ignore it for an absolute one."""
    return (render(address) or "").startswith(("http://", "https://"))


def _client_origin(ctx: Context, module: Module, call: ir.Call) -> str:
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    if name.lower() not in ctx.words.http_verbs:
        return ""
    origin = ctx.program.origin(module, call.func)
    root = origin.removeprefix("global:").partition("(")[0].partition(".")[0]
    return (
        origin
        if root in ctx.words.http_clients or origin.removeprefix("global:") in ctx.words.http_clients
        else ""
    )


def _address(ctx: Context, module: Module, call: ir.Call, head: ir.Node | None, frame: Frame | None) -> Value:
    if head is not None and not isinstance(head, ir.Obj):
        value = ctx.ev.eval(module, head, frame)
        if not structs(value):
            return value
    for struct in _options(ctx, module, call, frame):
        found = struct.get("url", "uri", "endpoint")
        if found is not None:
            return found
        host, path = struct.get("hostname", "host"), struct.get("path")
        if host is not None and path is not None:
            return text([Known("https://"), host, path])
    return Unknown("address")


def _written(call: ir.Call) -> Iterator[ir.Node]:
    """What is written into a request of Node's own client: `const req = https.request(…); req.write(body)`."""
    assign, func = call.parent, call.within
    name = assign.target if isinstance(assign, ir.Assign) else None
    for each in ir.find(func, ir.Call) if func is not None and isinstance(name, ir.Name) else ():
        if isinstance(name, ir.Name) and ir.plain_dotted(each.func) in {f"{name.id}.write", f"{name.id}.end"}:
            yield from each.args[:1]


def _method(call: ir.Call, origin: str, options: list[Struct]) -> str:
    name = call.func.name.lower() if isinstance(call.func, ir.Attr) else origin.rpartition(".")[2].lower()
    if name in METHODS:
        return name.upper()
    for struct in options:
        found = [each for each in literals(struct.get("method")) if isinstance(each, str)]
        if found:
            return found[0].upper()
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
    if ir.dotted(made[1].func).rpartition(".")[2] == "HTTPSConnection" and made[1].args:
        return text([Known("https://"), ctx.ev.eval(made[0], made[1].args[0])])
    value = ctx.ev.eval(made[0], ir.keyword(made[1], "baseURL", "prefixUrl", "base_url"))
    return None if isinstance(value, Unknown) else value


def _needs_slash(base: Value, address: Value) -> bool:
    return not (render(base) or "/").endswith("/") and not (render(address) or "/").startswith("/")


MAX_MAKERS = 3
"""How many functions may stand between a client and the call that makes it."""


def _creation(ctx: Context, module: Module, expr: ir.Node, depth: int = 0) -> tuple[Module, ir.Call] | None:
    """The call that made the client object behind `expr`, looked up through names, fields and functions."""
    if isinstance(expr, ir.Call):
        return _made_by(ctx, module, expr, depth)
    if isinstance(expr, ir.Name):
        for binding in bindings_of(module, expr):
            if isinstance(binding.value, ir.Call):
                return _made_by(ctx, module, binding.value, depth)
            if binding.kind == "import" and isinstance(binding.node, ir.Import):
                return _imported_creation(ctx, module, binding.node, str(binding.keys[0]))
    if isinstance(expr, ir.Attr) and isinstance(expr.obj, ir.Name) and expr.obj.id in {"this", "self"}:
        for assign in module.all(ir.Assign):
            target = assign.target
            named = isinstance(target, ir.Attr) and target.name == expr.name
            if (named or (isinstance(target, ir.Name) and target.id == expr.name)) and isinstance(
                assign.value, ir.Call
            ):
                return _made_by(ctx, module, assign.value, depth)
    return None


def _made_by(ctx: Context, module: Module, call: ir.Call, depth: int) -> tuple[Module, ir.Call]:
    """A call that makes a client, or the one within the functions of the repository that it runs."""
    for target in ctx.program.functions_called(call) if depth < MAX_MAKERS else ():
        if isinstance(target.node, ir.Func) and target.module is not None:
            for value in returns(target.node):
                if (found := _creation(ctx, target.module, value, depth + 1)) is not None:
                    return found
    return module, call


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
    local = entry.id if isinstance(entry, ir.Name) else entry if isinstance(entry, str) else name
    for binding in other.top.names.get(local, []):
        if isinstance(binding.value, ir.Call):
            return other, binding.value
    return None


def _bodies(options: list[Struct]) -> list[Struct]:
    found: list[Struct] = []
    for struct in options:
        for key in ("body", "json", "data", "content"):
            found.extend(structs(struct.get(key)))
    return found


def provider_paths(address: Value, *, signed: bool = True) -> list[str]:
    """The provider paths an address may be; `{urls.get}` for an address out of the provider's own answer.

    Where a request that sends no headers may ask for something else too, it fetches a picture.
    """
    found: list[str] = []
    for each in renderings(address):
        match = _HOST.match(each)
        if match:
            found.append(_SLASHES.sub("/", match.group("path") or "/"))
    options = address.options if isinstance(address, OneOf) else (address,)
    answers = [(each, _ANSWER_URL.search(each.name)) for each in options
               if isinstance(each, Outside) and each.kind == "field"]  # fmt: skip
    others = [each for each, answer in answers if answer is None]
    if signed or not others:
        found.extend("{urls." + answer.group(2) + "}" for _, answer in answers if answer is not None)
    return sorted(set(found), key=lambda each: (-each.count("{"), each))


def elsewhere_too(address: Value) -> bool:
    """Whether an address may be another host's as well: one of several, by a choice that is made at run time."""
    written = renderings(address) if isinstance(address, OneOf | Text) else []
    return any(_ANOTHER_HOST.match(each) for each in written)


def signed_for_others(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a request is signed with a setting that has another vendor's name."""
    signatures = [
        name
        for prop in ir.find(call, ir.Prop)
        if str(prop.key).lower() == "authorization"
        for each in renderings(ctx.ev.eval(module, prop.value))
        for name in _SETTING.findall(each)
    ]
    return bool(signatures) and not any("REPLICATE" in each for each in signatures)


def names_operation(path: str) -> bool:
    """Whether a path says which operation of the provider is meant: its first segment is one of the API's."""
    return path.startswith("{urls.") or bool(_OPERATION.match(path))


def configured_paths(address: Value) -> list[str]:
    """The provider's paths at a host that only the configuration knows: `{BASE_URL}/v1/predictions`."""
    found = {
        f"/v1{match.group('path')}"
        for each in renderings(address)
        if (match := _CONFIGURED.match(_SLASHES.sub("/", each)))
    }
    return sorted(found, key=lambda each: (-each.count("{"), each))
