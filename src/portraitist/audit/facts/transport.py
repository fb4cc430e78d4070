"""Raw HTTP calls of the provider, however many helpers stand between the path and the HTTP client.

A request belongs to the call site that names the operation: a client's method that is handed a path makes no
provider call, its caller does. Addresses and bodies are read in `http`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.http import (
    METHODS,
    Request,
    address_nodes,
    address_of,
    configured_paths,
    elsewhere_too,
    is_request,
    names_operation,
    plainly_elsewhere,
    provider_paths,
    request_of,
    signed_for_others,
)
from portraitist.audit.link.bindings import Frame
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Struct, Value, literals, renderings, structs

MAX_HOPS = 5
"""How many helpers may stand between the call that names a path and the HTTP client."""

MAX_SITES = 60
"""How many callers of one helper are looked at."""

_NAMED = re.compile(r"replicate", re.I)
_TRAININGS = re.compile(r"^/v1/models/.+/versions/[^/]+/trainings$")


@dataclass(frozen=True, slots=True)
class Hop:
    """A call on the way to the client, in `module`: of `func`, whose `params` make up the address.

    The client's own call has neither.
    """

    module: Module
    call: ir.Call
    func: ir.Func | None = None
    params: tuple[ir.Param, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A call that may be the provider's: its host is a setting."""

    hops: tuple[Hop, ...]
    request: Request
    path: str


def http_calls(ctx: Context) -> dict[ir.Call, ProviderCall]:
    """Every raw HTTP call of the provider by the call that names its operation."""
    found: dict[ir.Call, ProviderCall] = {}
    maybe: list[_Candidate] = []
    for module in ctx.modules:
        for call in module.calls(ctx.words.http_verbs, lower=True):
            if not plainly_elsewhere(call) and is_request(ctx, module, call):
                claimed = _claim(ctx, (Hop(module, call),), found, maybe)
                if call not in found:
                    _as_it_stands(ctx, Hop(module, call), claimed, found)
    for candidate in maybe:
        if _trusted(candidate, maybe):
            _add(ctx, candidate.hops, candidate.request, candidate.path, found)
    return found


def _claim(
    ctx: Context, hops: tuple[Hop, ...], found: dict[ir.Call, ProviderCall], maybe: list[_Candidate]
) -> bool:
    """Finds the call sites that a request belongs to; whether there are any."""
    address = address_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops))
    if address is None:
        return False
    named = [each for each in _paths(ctx, hops[-1], address) if names_operation(each)]
    if len(hops) > 1 and any(each.startswith("{urls.") for each in named):
        return False  # a caller that hands on the address of an answer has named no operation
    configured = configured_paths(address) if not named else []
    request = _request(ctx, hops) if named or configured else None
    if request is not None and named:
        _add(ctx, hops, request, named[0], found)
        return True
    if request is not None:
        maybe.append(_Candidate(hops, request, configured[0]))
        return True
    if len(hops) > MAX_HOPS:
        return False
    sites = [_claim(ctx, each, found, maybe) for each in outwards(ctx, hops)]
    return any(sites)


def _paths(ctx: Context, hop: Hop, address: Value) -> list[str]:
    signed = any(each.key == "headers" for each in ir.find(hop.call, ir.Prop))
    found = provider_paths(address, signed=signed)
    if not found or not elsewhere_too(address):
        return found
    if signed_for_others(ctx, hop.module, hop.call):
        return []
    return [each for each in found if names_operation(each)]


def outwards(ctx: Context, hops: tuple[Hop, ...]) -> Iterator[tuple[Hop, ...]]:
    """The ways from the callers of the function whose parameters the address is made of."""
    head = hops[0]
    if head.func is None:
        nodes = address_nodes(head.call)
    else:
        passed = [argument_for(head.call, head.func, each) for each in head.params]
        nodes = [each for each in passed if each is not None]
    seen = {each.call for each in hops}
    owners: dict[ir.Func, list[ir.Param]] = {}
    for param in dict.fromkeys(params_in(head.module, nodes)):
        if isinstance(param.parent, ir.Func):
            owners.setdefault(param.parent, []).append(param)
    for func, params in owners.items():
        for site in ctx.program.callers.get(func, [])[:MAX_SITES]:
            if site.call not in seen:
                yield (Hop(site.module, site.call, func, tuple(params)), *hops)


def params_in(module: Module, nodes: list[ir.Node], depth: int = 0) -> Iterator[ir.Param]:
    """The parameters that the expressions are made of, seen through local names."""
    for name in (each for node in nodes for each in ir.walk(node) if isinstance(each, ir.Name)):
        looked = module.lookup(name.id, name) if name.id not in {"self", "this", "cls"} else None
        for binding in looked[1] if looked else ():
            param = binding.value if isinstance(binding.value, ir.Param) else binding.node
            if binding.kind == "param" and isinstance(param, ir.Param):
                yield param
            elif binding.kind == "assign" and binding.value is not None and depth < 3 and name.within:
                yield from params_in(module, [binding.value], depth + 1)


def _request(ctx: Context, hops: tuple[Hop, ...]) -> Request | None:
    """The request at the end of the hops, its parameters bound to what the first call passes."""
    return request_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops))


def frame_of(hops: tuple[Hop, ...], *, known: bool = False) -> Frame | None:
    """The arguments of every call on the way; the parameters around the first one stay open, or are what is passed."""
    frame = None if known else _blind(hops[0].module, hops[0].call)
    for depth, hop in enumerate(hops[:-1], 1):
        assert hop.func is not None
        frame = Frame(hop.func, hop.call, hop.module, frame, depth)
    return frame


def _blind(module: Module, call: ir.Call) -> Frame | None:
    """A frame in which the parameters around a call stay what they are: not known here."""
    frame: Frame | None = None
    for func in [each for each in ir.ancestors(call) if isinstance(each, ir.Func)][::-1]:
        nothing = ir.Call(func.line, func.line, ir.Name(func.line, func.line, func.name), [])
        frame = Frame(func, nothing, module, frame, 0)
    return frame


def _add(
    ctx: Context, hops: tuple[Hop, ...], request: Request, path: str, found: dict[ir.Call, ProviderCall]
) -> None:
    head = hops[0]
    if head.call in found:
        return
    bodies = request.body
    method = request.method
    if not any(_says_input(each) for each in bodies):
        # a helper that is given the body, or its input: what the callers pass
        folded = request_of(ctx, hops[-1].module, hops[-1].call, frame_of(hops, known=True))
        given = folded.body if folded is not None else ()
        bodies = given if not bodies or any(_says_input(each) for each in given) else bodies
    if len(hops) > 1:
        options = _given(ctx, head)
        bodies = bodies or tuple(options)
        said = [str(each).upper() for struct in options for each in literals(struct.get("method"))]
        method = next(iter([*_verbs(head.call), *said]), method)
    found[head.call] = ProviderCall(head.module, head.call, f"{method} {path}", False, bodies)


def _verbs(call: ir.Call) -> list[str]:
    """The methods that a call names in so many words: `ask("POST", path)`, whichever request it comes to."""
    named = [*call.args, *([found] if (found := ir.keyword(call, "method", "verb")) is not None else [])]
    return [text.upper() for each in named if (text := ir.text_of(each)) and text.lower() in METHODS]


def _says_input(body: Struct) -> bool:
    return any(each.fields for each in structs(body.get("input")))


def _given(ctx: Context, hop: Hop) -> list[Struct]:
    """The objects a call passes: `body`, `json` or `data` of them, or they themselves."""
    values = [ctx.ev.eval(hop.module, each) for each in (*hop.call.args, hop.call.kw) if each is not None]
    options = [each for value in values for each in structs(value)]
    inner = [
        each for struct in options for key in ("json", "body", "data") for each in structs(struct.get(key))
    ]
    return inner or options


def _as_it_stands(ctx: Context, hop: Hop, claimed: bool, found: dict[ir.Call, ProviderCall]) -> None:
    """A request that does not name its operation is still the provider's where its host is.

    When callers name the operation, it keeps the hole (`POST /v1/{path}`); else what they may pass is folded in.
    """
    frame = frame_of((hop,)) if claimed else None
    address = address_of(ctx, hop.module, hop.call, frame)
    keys = _paths(ctx, hop, address) if address is not None else []
    request = request_of(ctx, hop.module, hop.call, frame) if keys else None
    if request is None:
        return
    given = not claimed and re.fullmatch(r"(/v1)?/?\{[^}]*\}", keys[0]) and not names_operation(keys[0])
    if given and not any(isinstance(each, ir.Tmpl) for each in address_nodes(hop.call)):
        ctx.puzzled(
            "http", hop.module, hop.call, "an address that a client with the provider's base is given"
        )
        return
    _add(ctx, (hop,), request, keys[0], found)


def _trusted(candidate: _Candidate, others: list[_Candidate]) -> bool:
    """Whether a path at a configured host is the provider's: the same client says so somewhere.

    Its setting is named after the provider, a training is started at the provider's own path, or the class or
    file around it carries the provider's name and names its host or sends a version with its input.
    """
    client = candidate.hops[-1].call
    return any(_says_provider(each) for each in others if each.hops[-1].call is client)


def _says_provider(candidate: _Candidate) -> bool:
    addresses = renderings(candidate.request.address)
    bases = [each.partition("}")[0] for each in addresses]
    if any(_NAMED.search(each) for each in bases) or _TRAININGS.match(candidate.path):
        return True
    in_path = any("/replicate/" in each for each in addresses)
    named = in_path or any(_NAMED.search(_surroundings(each)) for each in candidate.hops)
    versioned = in_path or any("/v1/" in each for each in addresses)
    sends = candidate.request.method == "POST" and any(
        each.get("input") is not None and each.get("version", "model") is not None
        for each in candidate.request.body
    )
    hosted = any("api.replicate.com" in each.module.file.text for each in candidate.hops)
    return named and (versioned or sends or hosted)


def _surroundings(hop: Hop) -> str:
    cls = ir.enclosing(hop.call, ir.Class)
    return f"{hop.module.path.rpartition('/')[2]} {cls.name if cls is not None else ''}"
