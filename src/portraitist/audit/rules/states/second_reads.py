"""Part of the rule on states that stay open: a handler of failures that reads the request's body once more.

A body can be read once; what Express or a framework has parsed before is no such body.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.state_words import STATE_OR_PHASE

_READS = {"json", "text", "formData", "arrayBuffer", "blob"}


def read_again(ctx: Context) -> Iterator[Finding]:
    """A `catch` that takes the row's id out of `req.json()`, which the `try` has read: it throws, nothing is written.

    Only where the handler goes on to write a state with what it read. A clone that is read is none of these.
    """
    for module in ctx.live:
        if module.language != "javascript" or "catch" not in module.file.text:
            continue
        for again in module.calls(_READS):
            func, handler = again.within, _handler(again)
            if func is None or handler is None or ctx.role_at(module, again) not in LIVE_ROLES:
                continue
            first = _read_before(module, func, handler, again)
            written = _written_after(ctx, func, handler, again) if first is not None else None
            if first is not None and written is not None:
                name = ir.plain_dotted(again.func)
                message = f"{name}() was read on line {first.line} and throws here: the state below is never written"
                yield finding("stuck-status", module, again, message, key="read again", weight=60,
                              evidence=[Place(module.path, first.line), Place(module.path, written)])  # fmt: skip


def _handler(call: ir.Call) -> ir.Handler | None:
    """The outermost handler of the function in which a call stands; None where its own failure is caught at once."""
    if isinstance(call.parent, ir.Attr):
        return None
    around = (
        each for each in ir.ancestors(call) if isinstance(each, ir.Handler) and each.within is call.within
    )
    return next(around, None)


def _read_before(module: Module, func: ir.Func, handler: ir.Handler, again: ir.Call) -> ir.Call | None:
    """The reading of the same request that is sure to come first."""
    name = ir.plain_dotted(again.func).rpartition(".")[0]
    if not name or not any(each.name == name for each in func.params):
        return None
    attempt = handler.parent
    for call in module.calls(_READS):
        same = ir.plain_dotted(call.func).rpartition(".")[0] == name
        if call.within is not func or not same or call.line >= handler.line:
            continue
        around = [each for each in ir.ancestors(call) if each.within is func]
        branches = [each for each in around if isinstance(each, ir.If | ir.Loop | ir.Cond | ir.Handler)]
        if not branches and (attempt in around or not any(isinstance(each, ir.Try) for each in around)):
            return call
    return None


def _written_after(ctx: Context, func: ir.Func, handler: ir.Handler, again: ir.Call) -> int | None:
    """The line of the state that the handler writes after the second reading, in the same block or below it."""
    own = next((each for each in ir.ancestors(again) if isinstance(each, ir.Try | ir.Handler)), handler)
    inside = set(ir.walk(own))
    for each in ctx.statements_under.get(func, ()):
        states = any(STATE_OR_PHASE.search(snake(use.column)) for use in each.columns)
        if each.kind == "write" and states and each.node in inside and each.line > again.line:
            return each.line
    return None
