"""Weights, polling and storing: where weights come from, where the state is asked for, where pictures go.

Adds `weights.*`, `poll`, `persist` and the handlers' `webhook` facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import fold, renderings
from portraitist.audit.model import LIVE_ROLES, Place

_SOURCE = re.compile(
    r"(^|\.)(output|files|urls|results?)\.(weights|lora|lora_weights|lora_url|safetensors)$|(^|\.)output\.version$"
)
"""Fields of a training's answer that hold weights, or the version that has them."""
_URL = re.compile(
    r"\.safetensors\b|trained_model\.tar|flux-lora\.tar|replicate\.delivery/.*(weights|lora|\.tar)|/weights\b.*\{|\{.*\}.*\.tar\b"
    r"|(?<!inference\.)(?<!router\.)huggingface\.co/(?!api/|spaces/).*\{",
    re.I,
)
_URL_WORDS = ("safetensors", "weights", "huggingface")
"""One of these, or `.tar`, is in all that `_URL` finds; they are looked for first because that is quicker."""
_STATUS_CALL = re.compile(
    r"status|poll|check|monitor|progress|refresh|(?<![aA])[sS]ync|get_?prediction|get_?training", re.I
)
_NO_QUESTION = re.compile(
    r"(set|console|save|update|simulate|report|show|print|log|broadcast|notify|emit|send|publish|track|record)|on[A-Z_]",
    re.ASCII,
)
_SLEEP = {"sleep", "setTimeout", "delay", "wait", "asyncio.sleep", "time.sleep", "setInterval"}


def collect(ctx: Context) -> None:
    """Adds the facts of every module."""
    for module in ctx.modules:
        _sources(ctx, module)
        _urls(ctx, module)
        _polls(ctx, module)
    for module, call in ctx.once(puts):
        bucket = _bucket(ctx, module, call)
        if bucket:
            ctx.add("persist", bucket, module, call, value=bucket, shows="")
    _consumers(ctx)
    _rows(ctx)
    _handlers(ctx)


def _sources(ctx: Context, module: Module) -> None:
    words = module.file.words
    versions = "version" in words and "output" in words and "training" in words
    if not (versions or any(each in words for each in ("weights", "lora", "safetensors"))):
        return
    members: list[ir.Attr | ir.Index] = [*module.all(ir.Attr), *module.all(ir.Index)]
    for node in members:
        name = node.name if isinstance(node, ir.Attr) else ir.text_of(node.key)
        if name not in _FIELDS:
            continue
        found = _SOURCE.search(ir.dotted(node))
        if found and not (isinstance(node.parent, ir.Assign) and node.parent.target is node):
            line = node.name_line if isinstance(node, ir.Attr) else node.line
            key = found.group().removeprefix(".")
            ctx.add("weights.source", key, module, node, line=line, shows=name)
    for call in module.calls({"get"}):
        name = ir.text_of(call.args[0]) if call.args and isinstance(call.func, ir.Attr) else None
        if name in {"weights", "version"} and isinstance(call.func, ir.Attr):
            taken = ir.dotted(call.func.obj).rpartition(".")[2]
            if re.search(r"output|result" if name == "weights" else r"^out(put)?$|_output$", taken):
                ctx.add("weights.source", f"output.{name}", module, call, shows=name)


_FIELDS = {"weights", "lora", "lora_weights", "lora_url", "safetensors", "version"}


def _urls(ctx: Context, module: Module) -> None:
    """Addresses of weights that the code builds itself."""
    if not any(each in module.file.lowered_words for each in _URL_WORDS) and ".tar" not in module.lowered:
        return
    texts = [each for each in module.all(ir.Lit) if isinstance(text := each.value, str) and "/" in text]
    texts = [each for each in texts if 10 < len(str(each.value)) < 400]
    for node in (*module.all(ir.Tmpl), *texts):
        if isinstance(node.parent, ir.Tmpl) or not _may_be_url(node):
            continue
        for text in renderings(ctx.ev.eval(module, node))[:1]:
            if _URL.search(text) and "://" in text and " " not in text.strip():
                ctx.add("weights.url", _url_key(text), module, node, value=text, shows="")


def _may_be_url(node: ir.Node) -> bool:
    parts = node.parts if isinstance(node, ir.Tmpl) else [node]
    text = "".join(str(each.value) if isinstance(each, ir.Lit) else "{x}" for each in parts)
    lowered = text.lower()
    told = ".tar" in lowered or any(each in lowered for each in _URL_WORDS)
    return told and "/" in text and _URL.search(text) is not None


def _url_key(text: str) -> str:
    return text.rpartition("/")[2][:80] or text[:80]


def _consumers(ctx: Context) -> None:
    for each in ctx.of("payload"):
        if each.key in ctx.words.weights_keys and not each.key.startswith("..."):
            ctx.facts.append(replace(each, kind="weights.consumer"))


def _polls(ctx: Context, module: Module) -> None:
    for call in module.calls({"setInterval", "setTimeout", "useSWR", "useQuery"}):
        name = ir.plain_dotted(call.func).rpartition(".")[2]
        if name == "setInterval" and call.args:
            polled = _polled(ctx, module, call.args[0])
            if polled:
                ctx.add("poll", polled, module, call, shows="setInterval")
        elif name == "setTimeout" and call.args:
            func = ir.enclosing(call, ir.Func)
            passed = ir.plain_dotted(call.args[0]) or _called_name(call.args[0])
            while func is not None and func.name != passed:
                func = ir.enclosing(func, ir.Func)
            if (
                func is not None
                and passed
                and _STATUS_CALL.search(passed + (_polled(ctx, module, func) or ""))
            ):
                ctx.add("poll", passed, module, call, shows="setTimeout")
        elif (
            name in {"useSWR", "useQuery"}
            and ir.keyword(call, "refreshInterval", "refetchInterval") is not None
        ):
            ctx.add("poll", _first_text(ctx, module, call), module, call, shows=name)
    for loop in module.all(ir.Loop):
        sleeps = any(
            ir.plain_dotted(each.func).rpartition(".")[2] in _SLEEP for each in ir.find(loop, ir.Call)
        )
        if sleeps and (polled := _polled(ctx, module, loop) or _looked_at(loop)):
            ctx.add("poll", polled, module, loop, shows="")


def _looked_at(loop: ir.Loop) -> str:
    """The function whose answer's state ends a loop that sleeps: `task = get_task(id)`, `task.status == DONE`."""
    looked = {
        holder.id
        for branch in ir.find(loop, ir.If)
        for each in ir.walk(branch.test)
        if isinstance(holder := _state_of(each), ir.Name)
    }
    for made in ir.find(loop, ir.Assign):
        if isinstance(made.target, ir.Name) and made.target.id in looked and isinstance(made.value, ir.Call):
            return ir.plain_dotted(made.value.func).rpartition(".")[2]
    return ""


def _state_of(node: ir.Node) -> ir.Node | None:
    """What a state is read of: `task.status`, `task["status"]`, `task.get("status")`."""
    if isinstance(node, ir.Attr) and node.name in _STATES:
        return node.obj
    if isinstance(node, ir.Index) and ir.text_of(node.key) in _STATES:
        return node.obj
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name == "get":
        return node.func.obj if node.args and ir.text_of(node.args[0]) in _STATES else None
    return None


_STATES = {"status", "state"}


def _first_text(ctx: Context, module: Module, call: ir.Call) -> str:
    """What a query hook asks: its address, the first word of its key, or the procedure it belongs to."""
    key = ir.keyword(call, "queryKey")
    told = (*call.args[:1], *(key.items if isinstance(key, ir.Arr) else ()))
    words = [ir.text_of(each) or _with_holes(ctx, module, each) for each in told]
    named = ir.plain_dotted(call.func)
    return next((each for each in words if each), named if "." in named else "query")


def _with_holes(ctx: Context, module: Module, node: ir.Node) -> str:
    """The text of a template that something else than holes is in: `/api/pictures/{id}`."""
    if not isinstance(node, ir.Tmpl):
        return ""
    return next((text for text in renderings(ctx.ev.eval(module, node)) if text[:1] != "{"), "")


def _called_name(node: ir.Node) -> str:
    calls = list(ir.find(node, ir.Call))
    return ir.plain_dotted(calls[0].func).rpartition(".")[2] if calls else ""


def _polled(ctx: Context, module: Module, node: ir.Node) -> str:
    """What a timer or loop asks: the provider's status call, or a function or address named for it."""
    provider = {each.call: each for each in ctx.calls if each.module is module}
    names: list[str] = []
    for call in ir.find(node, ir.Call):
        if call in provider and provider[call].purpose == "status":
            return provider[call].api
        name = ir.plain_dotted(call.func)
        short = name.rpartition(".")[2]
        if short in {"fetch", "get", "reload", "post"}:
            text = next((text for arg in call.args[:1] for text in renderings(ctx.ev.eval(module, arg))), "")
            if _STATUS_CALL.search(text) or re.search(r"predictions?|trainings?", text):
                names.append(text.partition("?")[0])
            elif short == "reload":
                names.append("reload")
        elif (
            short
            and _STATUS_CALL.search(short)
            and not _NO_QUESTION.match(short)
            and short not in {"status", "json", "check"}
        ):
            names.append(short)
    if isinstance(node, ir.Name | ir.Attr):
        names.append(ir.plain_dotted(node).rpartition(".")[2])
        names = [each for each in names if _STATUS_CALL.search(each)]
    return names[0] if names else ""


def puts(ctx: Context) -> list[tuple[Module, ir.Call]]:
    """The calls that may put something into a storage, by their names."""
    names = ctx.words.storage_puts
    return [(module, call) for module in ctx.modules for call in module.calls(names, lower=True)]


def _bucket(ctx: Context, module: Module, call: ir.Call) -> str:
    chain = call.func
    for _ in range(_LINKS):
        if isinstance(chain, ir.Name):
            chain = _made_by(module, chain)
        if not isinstance(chain, ir.Attr | ir.Call):
            break
        if isinstance(chain, ir.Call):
            name = chain.func.name if isinstance(chain.func, ir.Attr) else ir.plain_dotted(chain.func)
            if name in {"from", "from_", "bucket", "Bucket", "get_bucket"} and chain.args:
                return _text(ctx, module, chain.args[0])
            chain = chain.func
        else:
            chain = chain.obj
    named = ir.keyword(call, "Bucket", "bucket", "bucketName")
    if named is not None:
        return _text(ctx, module, named)
    origin = ctx.program.origin(module, call.func)
    short = origin.rpartition(".")[2]
    if short == "upload_fileobj" and len(call.args) > 1:
        return _text(ctx, module, call.args[1])
    if origin.startswith("firebase/storage"):
        return "firebase-storage"
    if "cloudinary" in origin:
        return "cloudinary"
    if origin.startswith("uploadthing"):
        return "uploadthing"
    return "vercel-blob" if origin.startswith("@vercel/blob") else ""


_LINKS = 12
"""So long a chain of calls, over variables too, is followed to the bucket that it begins with."""
_FILES = {"file", "blob", "bucket", "from", "from_", "Object", "Bucket", "get_bucket", "new_key"}


def _made_by(module: Module, name: ir.Name) -> ir.Node:
    """What a variable was made by, where that is a bucket or a file of one: `file = bucket.file(path)`."""
    made = [each.value for each in bindings_of(module, name) if each.kind == "assign" and not each.keys]
    only = made[0] if len(made) == 1 else None
    return only if isinstance(only, ir.Call) and _called_name(only) in _FILES else name


def _text(ctx: Context, module: Module, node: ir.Node) -> str:
    value = fold(ctx.ev.eval(module, node))
    return value if isinstance(value, str) and value else (ir.dotted(node).rpartition(".")[2] or "bucket")


_STORED_AS = re.compile(
    r"(image|photo|picture|file|video|audio|storage|object|s3|blob)_?(name|path|key)", re.I
)


def _rows(ctx: Context) -> None:
    """Rows that hold pictures: inserts and updates of a picture column, or of the name under which one is stored."""
    putting = {call.within for _, call in ctx.once(puts)} - {None}
    for each in ctx.statements:
        if each.kind != "write" or each.module.role not in LIVE_ROLES:
            continue
        names = [snake(use.column) for use in each.columns]
        under = each.func in putting and any(_STORED_AS.fullmatch(one) for one in names)
        if under or any(one in ctx.words.picture_columns for one in names):
            ctx.add(
                "persist",
                each.table,
                each.module,
                each.node,
                value=each.table,
                line=each.line,
                end=each.end,
                shows=ctx.shown(
                    each.module, each.line, each.end, each.table, *(use.column for use in each.columns)
                ),
            )


def _handlers(ctx: Context) -> None:
    sent = {each.key for each in ctx.of("webhook")}
    told = dict(_named_like_settings(ctx)) if "{}" in sent else {}
    for route in ctx.routes:
        if not route.is_http or route.method in _NEVER_SENT:
            continue
        named = "webhook" in route.path.lower() and _OF_PROVIDER.search(route.path + route.module.path)
        if named or route.path in told or any(same_path(route.path, each) for each in sent):
            evidence = [each.place for each in ctx.of("webhook") if same_path(route.path, each.key)]
            evidence = evidence or [each for path, each in told.items() if path == route.path]
            ctx.add(
                "webhook", route.path, route.module, route.node, evidence=evidence, value=route.key, shows=""
            )


_NEVER_SENT = {"GET", "HEAD", "OPTIONS"}
"""Methods by which nothing is delivered: such a route beside a webhook only says that it is there."""
_SETTING = re.compile(r"^\{(?:env\.)?([A-Z][A-Z0-9_]+)\}(\?.*)?$")


def _named_like_settings(ctx: Context) -> Iterator[tuple[str, Place]]:
    """The path whose last part says what the setting says in which an address is kept, `MODEL_TRAINED_WEBHOOK`.

    At least two words must be the same, one of them more than the provider's name, and no other path may fit as well.
    Files that start paid work hear of none.
    """
    starts = {each.module for each in ctx.calls if each.creates}
    heard = [each for each in ctx.routes if _may_hear(each) and each.module not in starts]
    posted = {each.path: _words(each.path.rpartition("/")[2]) for each in heard}
    for fact in ctx.of("webhook"):
        setting = _SETTING.match(fact.value) if isinstance(fact.value, str) else None
        if setting is None:
            continue
        words = _words(setting.group(1))
        alike = {path: len(words & each) for path, each in posted.items() if words & each - {"replicate"}}
        most = max(alike.values(), default=0)
        best = [path for path, count in alike.items() if count == most]
        if most > 1 and len(best) == 1:
            yield best[0], fact.place


def _may_hear(route: Route) -> bool:
    """Whether a route takes what is posted, and its file reads a run's state or output."""
    posted = route.is_http and route.method in {"POST", "ANY"} and "webhook" not in route.path.lower()
    return posted and ("output" in route.module.file.text or "status" in route.module.file.text)


def _words(text: str) -> set[str]:
    """The words of a name in small letters without an s at their end, but those that any such name has."""
    return {each.rstrip("s") for each in re.split(r"[^a-z0-9]+", snake(text.replace("-", "_")).lower())} - {
        "", "webhook", "url", "callback", "api", "endpoint", "base", "address",
    }  # fmt: skip


_OF_PROVIDER = re.compile(r"replicate|training|prediction|generat|model", re.I)


def same_path(route: str, sent: str) -> bool:
    """Whether an address sent to the provider ends at a route; holes match any segment."""
    ours, theirs = _segments(route), _segments(sent)
    if len(ours) != len(theirs) or not ours:
        return False
    return all(a == b or a[0] in "{[" or b[0] in "{[" for a, b in zip(ours, theirs, strict=True)) and any(
        a == b and (a not in _COMMON or len(ours) == 1) for a, b in zip(ours, theirs, strict=True)
    )


_COMMON = {"api", "v1", "v2"}
"""Segments that say nothing: `/api/{x}/{y}` is no address of its own."""


def _segments(path: str) -> list[str]:
    return [each for each in path.strip("/").split("/") if each]
