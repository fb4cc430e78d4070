"""Files of others that a signed-in visitor is given: stored objects by a key of the request. Part of `idor`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.db_common import call_name, chain_calls, from_call
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import unasked
from portraitist.audit.rules.open_ways import open_data
from portraitist.audit.rules.requests import Given, below, is_given

_HANDS_OUT = {"createSignedUrl", "createSignedUrls", "download", "remove"}
_KEEPS = {"upload", "createSignedUploadUrl", *_HANDS_OUT}
_WHO = re.compile(r"user|member|owner|account|session|profile|uid", re.I)
_COMPARES = {"startsWith", "includes", "startswith", "split", "match"}


def handed_out(ctx: Context, route: Route, kept: dict[str, Place]) -> Iterator[Finding]:
    """A route that signs, reads or removes what the visitor names, with all rights, where members have folders.

    Not where the key is compared with who asks on the way. `kept` says which buckets have such folders.
    """
    if not kept or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return
    for here in below(ctx, route):
        if not (route.guarded_by or any(asks_who(ctx, each) for each in here.way)):
            continue
        if any(ctx.once(_compares, each) for each in here.way):
            continue
        for call in ir.find(here.func, ir.Call):
            bucket = _bucket(ctx, here.module, call, _HANDS_OUT)
            if bucket in kept and _chosen(ctx, here, call):
                message = (
                    f"{route.key} gives out files of {bucket} by a key of the request, whoever's they are"
                )
                yield unasked("idor", route, (here.module, call), message, key=f"{bucket} files {route.key}",
                              weight=63, evidence=[kept[bucket]])  # fmt: skip


def _chosen(ctx: Context, here: Given, call: ir.Call) -> bool:
    """Whether the whole key is the request's, and storage lets the client have anything."""
    base = next((each.func.obj for each in chain_calls(call) if call_name(each) in {"from", "from_"}
                 and isinstance(each.func, ir.Attr)), None)  # fmt: skip
    client = base.obj if isinstance(base, ir.Attr) else base
    whole = not isinstance(call.args[0], ir.Tmpl) and not any(
        _WHO.search(each) for each in _names(call.args[0])
    )
    return (
        whole
        and client is not None
        and is_given(here, call.args[0])
        and open_data.all_rights_behind(ctx, here.module, client)
    )


def _names(node: ir.Node) -> list[str]:
    return [
        each.id if isinstance(each, ir.Name) else each.name
        for each in ir.walk(node)
        if isinstance(each, ir.Name | ir.Attr)
    ]


def _compares(_ctx: Context, func: ir.Func) -> bool:
    """`key.startsWith(user.id)` and the like."""
    return any(
        isinstance(call.func, ir.Attr)
        and call.func.name in _COMPARES
        and any(_WHO.search(name) for each in call.args for name in _names(each))
        for call in ir.find(func, ir.Call)
    )


def members_buckets(ctx: Context) -> dict[str, Place]:
    """The buckets in which some path begins with a member's id."""
    found: dict[str, Place] = {}
    for module in ctx.live:
        for call in module.calls(_KEEPS) if module.language == "javascript" else ():
            bucket = _bucket(ctx, module, call, _KEEPS)
            if bucket and any(_begins_with_who(each) for each in _written(module, call.args[0])):
                found.setdefault(bucket, Place(module.path, call.line))
    return found


def _written(module: Module, node: ir.Node) -> list[ir.Node]:
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    return [each.value for each in found[1] if each.value is not None] if found else [node]


def _begins_with_who(node: ir.Node) -> bool:
    first = node.parts[0] if isinstance(node, ir.Tmpl) and node.parts else None
    return (
        first is not None
        and not isinstance(first, ir.Lit)
        and any(_WHO.search(each) for each in _names(first))
    )


def _bucket(ctx: Context, module: Module, call: ir.Call, names: set[str]) -> str:
    """The bucket of `storage.from("bucket").download(key)`, "" for any other call."""
    if call_name(call) not in names or not call.args:
        return ""
    source = from_call(call)
    stored = source is not None and "storage" in ir.dotted(source.func)
    return (ir.text_of(source.args[0]) or ir.dotted(source.args[0])) if source is not None and stored else ""
