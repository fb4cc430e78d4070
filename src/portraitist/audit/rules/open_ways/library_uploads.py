"""Upload routes that a library makes as a whole and nobody told whom to ask: part of `open_uploads`.

next-s3-upload, better-upload and Edge Store. What a proxy asks is not seen; what a middleware file of Next may cover is
told in the JSON only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.middleware import lets_nobody_in
from portraitist.audit.rules.open_ways.open_data import knows_who

_BARE = {"next-s3-upload", "next-s3-upload/route"}
_S3 = re.compile(r"^next-s3-upload(/route)?\.(APIRoute|POST)\b")
_BETTER = re.compile(r"^@?better-upload/server\.route$")
_BUCKETS = {"fileBucket", "imageBucket"}
_HOOKS = {"key", "onBeforeUpload", "beforeUpload", "middleware"}


def library_routes(ctx: Context, module: Module) -> Iterator[Finding]:
    """`export … from "next-s3-upload"`, `export default APIRoute.configure(…)`, `route({…})`, buckets without a hook.

    A hook that throws, looks at who asks, or hands the request to somebody may be the check.
    """
    if not any(each in module.lowered for each in ("next-s3-upload", "better-upload", "edgestore")):
        return
    nodes: list[ir.Node] = [
        each
        for each in module.all(ir.Import)
        if each.reexport and each.module in _BARE and not each.type_only
    ]
    nodes += [
        each
        for name, entry in module.exports.items()
        if name in {"default", "POST"}
        for each in _handed_out(module, entry)
        if _is_s3(ctx, module, each)
    ]
    if not any(each.module is module for each in ctx.routes):
        nodes.clear()  # what lies where Next serves nothing
    nodes += [
        each for each in module.calls({"route"}) if _BETTER.match(ctx.program.origin(module, each.func))
    ]
    nodes += [each for each in module.calls(_BUCKETS) if _is_bucket(ctx, module, each)]
    for each in nodes:
        weight = _weight(ctx, module)
        if weight and not _has_hook(ctx, module, each):
            message = (
                "an upload route lets files into the storage from anybody: it is the library's, with no check"
            )
            yield finding("missing-auth", module, each, message, key="upload", weight=weight)
            return


def _handed_out(module: Module, entry: str | ir.Node) -> list[ir.Node]:
    """What an export stands for: the expression itself, or what the name of it was given."""
    if isinstance(entry, str):
        given = [each.value for each in module.top.names.get(entry, []) if each.kind == "assign"]
        return [each for each in given if each is not None]
    if isinstance(entry, ir.Name):
        given = [each.value for each in bindings_of(module, entry) if each.kind == "assign"]
        return [entry, *(each for each in given if each is not None)]
    return [entry]


def _is_s3(ctx: Context, module: Module, node: ir.Node) -> bool:
    """`APIRoute` as it is, or `APIRoute.configure(…)`; nothing that wraps it."""
    made = node
    if isinstance(node, ir.Call):
        if call_name(node) != "configure" or not isinstance(node.func, ir.Attr):
            return False
        made = node.func.obj
    return isinstance(made, ir.Name) and _S3.match(ctx.program.origin(module, made)) is not None


def _is_bucket(ctx: Context, module: Module, call: ir.Call) -> bool:
    """Whether a bucket of Edge Store is one that anybody may fill: nobody asks for a context, no hook stands by."""
    if "createcontext" in module.lowered or not isinstance(call.func, ir.Attr):
        return False
    made = creations(ctx, module, call.func.obj)
    if not any(
        "edgestore" in ctx.program.origin(module, each.func).lower()
        for each in made
        if isinstance(each, ir.Call)
    ):
        return False
    last: ir.Node = call
    while isinstance(last.parent, ir.Attr) and isinstance(last.parent.parent, ir.Call):
        last = last.parent.parent
    return not any(call_name(each) == "beforeUpload" for each in chain_calls(last))


def _has_hook(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a hook may be the check: it throws, looks at who asks, or its code is not seen."""
    whole = [node]
    if call_name(node) == "route" if isinstance(node, ir.Call) else False:
        whole = [module.body]  # a router may have the hook for all of its routes
    for prop in (one for each in whole for one in ir.find(each, ir.Prop)):
        if prop.key in _HOOKS or prop.spread:
            func = prop.value
            if not isinstance(func, ir.Func):
                return True
            throws = any(each.throws for each in ir.find(func, ir.Return))
            if throws or asks_who(ctx, func) or knows_who(ctx, func) or _hands_on(func):
                return True
    return False


def _hands_on(func: ir.Func) -> bool:
    """Whether a hook gives the request to another function, which may be the one that asks."""
    given = {
        each.id
        for param in func.params[:1]
        if param.pattern is not None
        for each in ir.find(param.pattern, ir.Name)
    }
    given |= {each.name for each in func.params[:1]} | {"req", "request", "ctx"}
    handed = (one for each in ir.find(func, ir.Call) for one in each.args)
    return any(isinstance(each, ir.Name) and each.id in given for each in handed)


def _weight(ctx: Context, module: Module) -> int:
    """How grave an open route of this file is: 0 where Next's middleware keeps strangers from it."""
    said = {lets_nobody_in(ctx, each) for each in ctx.routes if each.module is module}
    if said == {False}:
        return 0
    covered = any(one.endswith(("middleware.ts", "middleware.js")) for one in ctx.tree.paths)
    return BARELY if covered and said != {True} else 50
