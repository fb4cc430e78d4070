"""Part of the rule on states that stay open: a body that is read once more, by a failure's handler or a check.

A body can be read once; what Express or a framework has parsed before is no such body.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind
from portraitist.audit.rules.state_words import STATE_OR_PHASE
from portraitist.audit.rules.states.open_ends import hooks_of

_READS = {"json", "text", "formData", "arrayBuffer", "blob"}


def read_again(ctx: Context) -> Iterator[Finding]:
    """A `catch` that takes the row's id out of `req.json()`, which the `try` has read: it throws, nothing is written.

    Only where the handler goes on to write a state with what it read. A clone that is read is none of these.
    """
    for module in ctx.live:
        if module.language != "javascript" or "catch" not in module.file.words:
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


def read_by_two(ctx: Context) -> Iterator[Finding]:
    """A webhook's handler that reads its request's body and then hands the request to what reads, or clones, it again.

    Only readings that every request meets; a clone that is made before the first reading is none of these.
    """
    for func, path in hooks_of(ctx):
        module = ctx.program.modules[path]
        readings = list(_readings(ctx, func)) if module.language == "javascript" else []
        first = next((each for each, cloned in readings if not cloned), None)
        if first is not None:
            again = next((each for each, _ in readings if each.line > first.line), None)
            if again is not None:
                message = f"the body is read at line {first.line}: this second reading of it fails, for every webhook"
                yield finding("stuck-status", module, again, message, key="read by two", weight=60,
                              evidence=[Place(module.path, first.line)])  # fmt: skip


def _readings(ctx: Context, func: ir.Func) -> Iterator[tuple[ir.Call, bool]]:
    """The readings of the handler's request on the way that all take, and whether each reads a clone."""
    name = func.params[0].name if func.params else ""
    for call in sorted(ir.find(func, ir.Call), key=lambda each: each.line) if name else ():
        if call.within is not func or _is_conditional(call, func):
            continue
        deed = _reading(call, name)
        if deed:
            yield call, deed == "clone"
        at = next(
            (n for n, each in enumerate(call.args) if isinstance(each, ir.Name) and each.id == name), None
        )
        for helper in helpers_behind(ctx, call) if at is not None else ():
            inner = helper.params[at].name if at is not None and at < len(helper.params) else ""
            read = {_reading(each, inner) for each in ir.find(helper, ir.Call)} - {""} if inner else set()
            if read:
                yield call, "clone" in read


def _reading(call: ir.Call, request: str) -> str:
    """The method by which a call reads, or clones, a request: `json` of `req.json()`, "" for another call."""
    holder, _, deed = ir.plain_dotted(call.func).rpartition(".")
    return deed if holder == request and deed in _READS | {"clone"} else ""


def _is_conditional(call: ir.Call, func: ir.Func) -> bool:
    """Whether some requests pass a call by: it stands in a branch, not in its test."""
    below: ir.Node = call
    for each in ir.ancestors(call):
        if each is func:
            return False
        tested = isinstance(each, ir.If | ir.Cond) and below is each.test
        if isinstance(each, ir.If | ir.Loop | ir.Cond | ir.Handler | ir.Func) and not tested:
            return True
        below = each
    return False


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
