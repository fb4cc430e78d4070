"""Calls of the provider: SDK methods by the origin of their receiver, raw HTTP by the folded address.

Adds `replicate.call`, `http`, `payload`, `webhook` (the address sent) and `const` facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, sent_fields
from portraitist.audit.facts.transport import http_calls
from portraitist.audit.link.bindings import bindings_of, entry_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import (
    Field,
    OneOf,
    Outside,
    Struct,
    Text,
    Value,
    fold,
    render,
    renderings,
    structs,
)
from portraitist.audit.model import Place

_CLIENT = re.compile(
    r"^replicate(?:\.(?:default|Replicate|AsyncReplicate|client\.Client|Client|client|default_client))?(?:\(\))?\.(?P<rest>.+)$"
)
_VERSION = re.compile(r"^(?:[\w.-]+/[\w.-]+:)?[0-9a-f]{64}$")
_MODEL = re.compile(r"^[\w.-]+/[\w.-]+(?::[0-9a-f]{8,64})?$")
_TEXT_HINT = re.compile(r"replicate", re.I)


def collect(ctx: Context) -> None:
    """Finds every provider call in every module, live or not, and what it sends."""
    raw = http_calls(ctx)
    in_module: dict[str, list[ir.Call]] = {}
    for each in raw.values():
        in_module.setdefault(each.module.path, []).append(each.call)
    for module in ctx.modules:
        for call in _may_be_calls(ctx, module, in_module.get(module.path, [])):
            found = _sdk_call(ctx, module, call) or raw.get(call) or _handed_over(ctx, module, call)
            found = found or _through_ai_sdk(ctx, module, call)
            if found is not None:
                ctx.calls.append(found)
                _facts(ctx, found)
    _pinned_versions(ctx)


def _may_be_calls(ctx: Context, module: Module, raw: list[ir.Call]) -> list[ir.Call]:
    """The calls with a name of the SDK's, those that are handed one, and `raw`: no other needs a closer look."""
    verbs = ctx.words.sdk_verbs
    handed = [
        each.parent
        for name in verbs & module.attributes.keys()
        for each in module.attributes[name]
        if isinstance(each.parent, ir.Call) and each in each.parent.args[:2]
    ]
    found = dict.fromkeys([*module.calls(verbs | _AI_CALLS), *handed, *raw])
    return sorted(found, key=lambda each: each.first)


def _sdk_call(ctx: Context, module: Module, call: ir.Call) -> ProviderCall | None:
    if not isinstance(call.func, ir.Attr | ir.Name) or not _may_be_sdk(ctx, call.func):
        return None
    api = sdk_method(ctx, module, call.func)
    if not api:
        return None
    options = _options(ctx, module, call, api)
    model = ctx.ev.eval(module, call.args[0]) if call.args and not isinstance(call.args[0], ir.Obj) else None
    return ProviderCall(module, call, api, True, tuple(options), model)


def _handed_over(ctx: Context, module: Module, call: ir.Call) -> ProviderCall | None:
    """`asyncio.to_thread(replicate.run, model, input=…)`: a method of the SDK given to something that calls it."""
    for position, arg in enumerate(call.args[:2]):
        if not isinstance(arg, ir.Attr) or not _may_be_sdk(ctx, arg):
            continue
        api = sdk_method(ctx, module, arg)
        if api:
            given = ir.Call(call.line, call.end, arg, call.args[position + 1 :], call.kw)
            first = given.args[0] if given.args else None
            model = (
                ctx.ev.eval(module, first) if first is not None and not isinstance(first, ir.Obj) else None
            )
            return ProviderCall(module, call, api, True, tuple(_options(ctx, module, given, api)), model)
    return None


def _through_ai_sdk(ctx: Context, module: Module, call: ir.Call) -> ProviderCall | None:
    """`generateImage({ model: replicate.image("owner/name"), … })` of the AI SDK and its provider for Replicate."""
    options = call.args[0] if call.args else None
    handle = options.get("model") if isinstance(options, ir.Obj) else None
    name = ir.plain_dotted(call.func).rpartition(".")[2]
    if handle is None or name not in _AI_CALLS:
        return None
    made = [each for each in ctx.program.resolve(module, handle) if _AI_SDK.match(each.origin)]
    model = handle.args[0] if isinstance(handle, ir.Call) and handle.args else None
    if not made:
        return None
    sent = [each for each in structs(ctx.ev.eval(module, options)) for each in (each, *_own_options(each))]
    value = ctx.ev.eval(module, model) if model is not None else None
    return ProviderCall(module, call, name, True, tuple(_without_wrapping(each) for each in sent), value)


_AI_CALLS = {"generateImage", "experimental_generateImage"}
_AI_SDK = re.compile(r"^@ai-sdk/replicate\.(replicate|createReplicate\(\))(\.(image|imageModel))?\(\)")


def _own_options(body: Struct) -> list[Struct]:
    """What the AI SDK hands on as it is: `providerOptions.replicate`."""
    return [own for each in structs(body.get("providerOptions")) for own in structs(each.get("replicate"))]


def _without_wrapping(body: Struct) -> Struct:
    """The keys that reach the provider: not the handle of the model, nor the options of other providers."""
    return Struct(
        tuple(each for each in body.fields if each.key not in {"model", "providerOptions"}), body.open
    )


def _may_be_sdk(ctx: Context, func: ir.Attr | ir.Name) -> bool:
    name = func.name if isinstance(func, ir.Attr) else func.id
    return name in ctx.words.sdk_verbs


def sdk_method(ctx: Context, module: Module, func: ir.Attr | ir.Name) -> str:
    """`predictions.create` for the callee of an SDK call, "" for anything else."""
    for target in ctx.program.resolve(module, func):
        found = _CLIENT.match(target.origin)
        if found:
            rest = re.sub(r"\.\w+\(\)(?=\.(versions|predictions|examples)\b)", "", found.group("rest"))
            rest = rest.rpartition("().")[2] if "()." in rest else rest
            return rest if rest in ctx.words.sdk_methods else ""
    return _by_receiver_name(ctx, module, func) if isinstance(func, ir.Attr) else ""


def _by_receiver_name(ctx: Context, module: Module, func: ir.Attr) -> str:
    """`replicate.predictions.create` where nothing says what `replicate` is (an untyped parameter)."""
    parts = ir.plain_dotted(func).split(".")
    for position, part in enumerate(parts):
        rest = ".".join(parts[position + 1 :])
        if _TEXT_HINT.search(part) and rest in ctx.words.sdk_methods:
            receiver = func
            for _ in parts[position + 1 :]:
                receiver = receiver.obj if isinstance(receiver, ir.Attr) else receiver  # type: ignore[assignment]
            targets = ctx.program.resolve(module, receiver)
            known = [
                each
                for each in targets
                if each.node is not None or not each.origin.startswith(("param:", "global:"))
            ]
            return "" if known or (targets and module.role == "test") else rest
    return ""


def _options(ctx: Context, module: Module, call: ir.Call, api: str) -> list[Struct]:
    """The structs that hold what is sent: option objects and keyword arguments."""
    found: list[Struct] = []
    if call.kw is not None:
        value = ctx.ev.eval(module, call.kw)
        found.extend(structs(value))
    for arg in call.args:
        if not isinstance(arg, ir.Lit | ir.Tmpl):
            found.extend(structs(ctx.ev.eval(module, arg)))
    if api == "predict" and found:
        return found
    return found


def _facts(ctx: Context, found: ProviderCall) -> None:
    module, call = found.module, found.call
    kind = "replicate.call" if found.sdk else "http"
    model = fold(found.model) if found.model is not None else None
    line = call.func.name_line if isinstance(call.func, ir.Attr) and call.func.line != call.line else 0
    ctx.add(kind, found.api, module, call, value=model, line=line, shows=_token(found))
    posts = (
        found.creates
        or (found.sdk and found.api.endswith("create"))
        or (not found.sdk and found.api.startswith("POST"))
    )
    if posts:
        _payload(ctx, found)


def _token(found: ProviderCall) -> str:
    return found.api.rpartition(".")[2] if found.sdk else ""


_NOT_SENT = {"signal", "fetch", "auth", "useFileOutput"}
"""Options that the SDK keeps to itself."""


def _payload(ctx: Context, found: ProviderCall) -> None:
    fields = sent_fields(found.options)
    if not fields and found.creates:
        ctx.puzzled("payload", found.module, found.call, f"the body of {found.api} is not resolved")
    for each in fields:
        if found.sdk and each.key in _NOT_SENT:
            continue
        module = ctx.program.modules[each.path]
        key = f"...{each.key}" if each.spread else each.key
        anchor = ir.Other(each.line, each.end, [])
        anchor.parent = (
            found.call
            if each.path == found.module.path and each.scope == found.module.scope_name(found.call)
            else None
        )
        ctx.add(
            "payload",
            key,
            module,
            anchor,
            value=_value(each.value),
            evidence=[Place(found.module.path, found.call.line)],
        )
        if each.key in {"webhook", "webhook_completed"} and not each.spread:
            _webhook(ctx, module, anchor, each)


def _webhook(ctx: Context, module: Module, anchor: ir.Node, sent: Field) -> None:
    """The address given for webhooks, where it is sent, where callers hand it over, and where it is written."""
    several = {webhook_path(text): text for text in renderings(sent.value)}
    addresses: dict[str, str | None] = {path: text for path, text in several.items() if path.startswith("/")}
    whole = webhook_path(render(sent.value))
    if not addresses or (len(addresses) < 2 and whole != "{}"):
        addresses = {whole: render(sent.value)}
    for path, text in addresses.items():
        ctx.add("webhook", path, module, anchor, value=text, shows="webhook")
        if written := _written_as(module, sent.node, path):
            ctx.add("webhook", path, module, written, value=text, shows="")
    for where, argument in arguments_behind(ctx, module, sent.node):
        given = render(ctx.ev.eval(where, argument))
        if (path := webhook_path(given)) in addresses and path != "{}":
            ctx.add("webhook", path, where, argument, value=given, shows="")
            if written := _written_as(where, argument, path):
                ctx.add("webhook", path, where, written, value=given, shows="")


def _written_as(module: Module, node: ir.Node | None, path: str) -> ir.Node | None:
    """The text that ends in the address's path, where a variable of the same file stands for it."""
    if path == "{}" or not isinstance(node, ir.Name) or (found := module.lookup(node.id, node)) is None:
        return None
    values = [each.value for each in found[1] if each.value is not None]
    texts = [each for value in values for kind in (ir.Tmpl, ir.Lit) for each in ir.find(value, kind)]
    return next((each for each in texts if each.line != node.line and path in module.text(each.line)), None)


def arguments_behind(ctx: Context, module: Module, node: ir.Node | None) -> Iterator[tuple[Module, ir.Node]]:
    """What callers hand over for a name that is a parameter, or for a member of one: `params.webhookUrl`."""
    key = node.name if isinstance(node, ir.Attr) else None
    name = node.obj if isinstance(node, ir.Attr) else node
    for binding in bindings_of(module, name):
        param, keys = binding.node, binding.keys if key is None else (*binding.keys, key)
        func = param.parent
        if binding.kind == "param" and isinstance(param, ir.Param) and isinstance(func, ir.Func):
            for site in ctx.program.callers.get(func, []):
                argument = argument_for(site.call, func, param)
                for each in keys:
                    argument = entry_of(site.module, argument, each)
                if argument is not None:
                    yield site.module, argument


def _value(value: Value) -> object:
    if isinstance(value, Struct):
        return None
    if isinstance(value, OneOf) and any(isinstance(each, Outside) for each in value.options):
        return fold(OneOf(tuple(each for each in value.options if not isinstance(each, Outside))))
    return fold(value)


_QUERY = re.compile(r"[?#]|&\w+=")
"""Where an address's path ends; also behind a first parameter that is joined by what may be `?` or `&`."""


_SLASHED = re.compile(r"^\{(base_url|url_root|host_url|root_url)\}(?=\w)")
"""What Python's frameworks give as the address of the server, with the slash at its end."""


def webhook_path(address: str | None) -> str:
    """The path of an address that is given for webhooks; `{}` where it is not known."""
    given = _SLASHED.sub("/", address or "{}")
    text = re.sub(r"^((https?:|\{[^}]*\}:?)?//[^/]+|\{[^}]*\})", "", given)
    path = _QUERY.split(text, maxsplit=1)[0]
    if address and not path.strip("/") and re.fullmatch(r"https?://[\w.-]+/?", address):
        return address
    return path if path.strip("/") else "{}"


def _pinned_versions(ctx: Context) -> None:
    for module in ctx.modules:
        for each in module.all(ir.Lit):
            if isinstance(each.value, str) and len(each.value) >= 64 and _VERSION.match(each.value):
                line = _named_at(each)
                ctx.add(
                    "const", name_of(each), module, each, line=line, value=each.value, shows=each.value[:20]
                )
    _model_names(ctx)


def _model_names(ctx: Context) -> None:
    """Model names without a version that reach `run` or `model`: `black-forest-labs/flux-dev`."""
    models: set[str] = set()
    for found in ctx.calls:
        values = (
            [found.model, *(each.value for each in found.fields("model", "version"))] if found.creates else []
        )
        for value in values:
            if value is not None and not isinstance(value, Text):
                folded = fold(value)
                models.update(
                    each
                    for each in (folded if isinstance(folded, list) else [folded])
                    if isinstance(each, str)
                )
    wanted = {each for each in models if _MODEL.match(each) and not _VERSION.match(each)}
    for module in ctx.modules:
        near = "replicate" in module.file.lowered_words
        for lit in module.all(ir.Lit) if wanted or near else ():
            if lit.value in wanted or (near and _is_pinned(lit)):
                line = _named_at(lit)
                ctx.add("const", name_of(lit), module, lit, line=line, value=lit.value, shows=str(lit.value))


def _is_pinned(literal: ir.Lit) -> bool:
    """`IMAGE_MODEL = "black-forest-labs/flux-schnell"`: a model by its constant's name, however it gets to a call."""
    made, value = literal.parent, literal.value
    named = made.target.id if isinstance(made, ir.Assign) and isinstance(made.target, ir.Name) else ""
    return named.isupper() and "MODEL" in named and isinstance(value, str) and _MODEL.match(value) is not None


def _named_at(literal: ir.Lit) -> int:
    """The line on which a constant's name stands: that before its literal, where that is too long for one line."""
    parent = literal.parent
    return parent.line if isinstance(parent, ir.Assign | ir.Prop) else literal.line


def name_of(node: ir.Node) -> str:
    """The name a literal is bound to (constant, key, parameter), else the literal itself."""
    own = str(node.value) if isinstance(node, ir.Lit) else ""
    for each in ir.ancestors(node):
        if isinstance(each, ir.Assign):
            return ir.plain_dotted(each.target).removeprefix("this.").removeprefix("self.") or own
        if isinstance(each, ir.Prop) and each.key:
            return each.key
        if isinstance(each, ir.Param) and each.name:
            return each.name
        if isinstance(each, ir.Call):
            name = ir.dotted(each.func)
            if name.endswith(("getenv", "environ.get", "Field")) or name in {"os.getenv"}:
                continue
            siblings = [text for arg in each.args if (text := ir.text_of(arg)) and arg is not node]
            return "/".join(siblings[:2]) or own
        if isinstance(each, ir.Func):
            break
    return own
