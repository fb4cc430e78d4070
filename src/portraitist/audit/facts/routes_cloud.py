"""Routes that a cloud's library makes of a function: Firebase's requests and callables, other clouds' HTTP triggers.

The name under which a function is exported is its path. Edge and serverless functions by folder are in `routes_files`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.routes_javascript import handler_targets
from portraitist.audit.link.module import Module

_METHODS = {"onRequest": "ANY", "onCall": "POST", "onCallGenkit": "POST", "http": "ANY"}


def routes(ctx: Context) -> Iterator[Route]:
    """Every HTTP function of such a library."""
    for module in ctx.modules:
        if module.language == "javascript":
            for call in module.calls(_METHODS.keys()):
                yield from _made(ctx, module, call)


def _made(ctx: Context, module: Module, call: ir.Call) -> Iterator[Route]:
    name = ir.dotted(call.func).rpartition(".")[2]
    known = any("functions" in each.origin for each in ctx.program.resolve(module, call.func))
    if not call.args or not known:
        return
    last = call.args[-1]
    handler = last.get("handler") if isinstance(last, ir.Obj) else last
    targets = handler_targets(ctx, module, handler) if handler is not None else []
    label = ir.text_of(call.args[0]) or _exported_as(call)
    if targets and label:
        yield Route(_METHODS[name], f"/{label}", module, call, tuple(targets), (), "cloud")


def _exported_as(call: ir.Call) -> str:
    """The name a function is given: `exports.name = …`, `export const name = …`."""
    assign = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign | ir.Func)), None)
    target = assign.target if isinstance(assign, ir.Assign) else None
    return target.name if isinstance(target, ir.Attr) else target.id if isinstance(target, ir.Name) else ""
