"""Part of the rule on mock data: pages that show placeholders as what was generated, after waiting for nothing.

Only where the handler asks nobody: no request, no action of the server, no function that makes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, helpers_of, last_name, trace
from portraitist.audit.rules.mocks.pretended import switched

_SETS = re.compile(
    r"^set[A-Z]\w*(Image|Photo|Picture|Result|Output|Video|Headshot|Avatar|Portrait)\w*$|^set(Images?|Results?)$"
)
_STAND_IN = re.compile(
    r"placeholder|placehold\.co|picsum\.|unsplash\.|dummyimage|/(sample|demo|mock|example)[\w-]*[/.]", re.I
)
_ASKS = re.compile(r"fetch|axios|mutat|invoke|request|upload|\.(get|post|put|rpc|from|send|call)$|api", re.I)


def shown_instead(ctx: Context) -> Iterator[Finding]:
    """`setTimeout(() => setImages([placeholder]))` in a page, where the product generates elsewhere."""
    if not ctx.calls:
        return
    for module in ctx.live:
        if (
            module.role != "src"
            or not module.path.endswith((".tsx", ".jsx"))
            or "setTimeout" not in module.callees
        ):
            continue
        seen: set[ir.Func] = set()
        for call in module.all(ir.Call):
            func = _handler(call) if isinstance(call.func, ir.Name) and _SETS.match(call.func.id) else None
            if func is None or func in seen or ctx.role_at(module, call) not in LIVE_ROLES or switched(call):
                continue
            waits = next(
                (each for each in ir.find(func, ir.Call) if last_name(each.func) == "setTimeout"), None
            )
            if (
                waits is None
                or waits.line > call.line
                or _asks(ctx, func)
                or not _stands_in(ctx, module, call)
            ):
                continue
            seen.add(func)
            message = f"{last_name(call.func)} is given placeholders after a wait, and nobody was asked for anything"
            yield finding("mock-data", module, waits, message, key=func.name or "timer", weight=52)


def _handler(call: ir.Call) -> ir.Func | None:
    """The named function inside the component in which something is set."""
    funcs = [each for each in ir.ancestors(call) if isinstance(each, ir.Func)]
    return next((each for each in funcs[:-1] if _named(each)), None)


def _named(func: ir.Func) -> bool:
    return bool(func.name) or (isinstance(func.parent, ir.Assign) and isinstance(func.parent.target, ir.Name))


def _asks(ctx: Context, func: ir.Func) -> bool:
    """Whether a handler, or a function that it calls, asks somebody."""
    return any(
        _ASKS.search(snake(ir.dotted(each.func)))
        for one in (func, *helpers_of(ctx, func))
        for each in ir.find(one, ir.Call)
    )


def _stands_in(ctx: Context, module: Module, call: ir.Call) -> bool:
    parts = [part for arg in call.args for _, part in trace(ctx, module, arg)]
    texts = (each for part in parts for each in ir.find(part, ir.Lit))
    return any(isinstance(each.value, str) and _STAND_IN.search(each.value) for each in texts)
