"""Part of the rule on credits: a refund that only one way of failing comes to, and a call that throws does not.

Follows an error from the paid call outwards to the function that took the credits. What a caller further out, a
wrapper or a framework does about it is not seen.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.exits import is_caught_by_name
from portraitist.audit.rules.syntax import fails

_BROAD = {"Exception", "BaseException", "Throwable"}
_SETTLES = re.compile(r"^(catch|allSettled|finally|gather|tryCatch|safe\w*|attempt)$")


def kept_when_thrown(ctx: Context, ledger: Ledger, flow: Flow, taker: ir.Func) -> bool:
    """Whether an error of the paid call leaves the function that took the credits, and no refund stands in its way."""
    if taker not in flow.funcs:
        return False
    chain = flow.funcs[flow.funcs.index(taker) :]
    node: ir.Node | None = flow.call.call
    for position in range(len(chain) - 1, -1, -1):
        func = chain[position]
        if node is None or not _passes(ctx, ledger, func, node):
            return False
        before = chain[position - 1] if position else None
        node = None if before is None else _call_of(ctx, before, func)
    return True


def _call_of(ctx: Context, caller: ir.Func, func: ir.Func) -> ir.Node | None:
    """Where one function calls another itself and waits for it; None where it is handed on."""
    if func.within is caller and isinstance(func.parent, ir.Call):
        return func.parent
    for call in ir.find(caller, ir.Call):
        if any(each.node is func for each in ctx.program.functions_called(call)):
            return call
    return None


def _passes(ctx: Context, ledger: Ledger, func: ir.Func, node: ir.Node) -> bool:
    """Whether an error at a node leaves its function, with no refund on its way."""
    gives = [each for each in ledger.events(func) if each.kind == "give"]
    if isinstance(node, ir.Call) and is_caught_by_name(node):
        return False
    below = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Call) and _SETTLES.search(last_name(each.func)):
            return False
        if isinstance(each, ir.Try) and below in each.body:
            lines = [(one.line, one.end) for one in each.final]
            broad = [one for one in each.handlers if _is_broad(ctx, func, one)]
            lines += [(one.line, one.end) for one in broad]
            if any(first <= give.line <= last for give in gives for first, last in lines):
                return False
            if broad and not _leaves(broad[0]):
                return False  # what follows may look at what came of it
        if each is func:
            break
        below = each
    return True


def _is_broad(ctx: Context, func: ir.Func, handler: ir.Handler) -> bool:
    if handler.catches is None or ctx.program.module_of[func].language == "javascript":
        return True
    return any(each.id in _BROAD for each in ir.find(handler.catches, ir.Name))


def _leaves(handler: ir.Handler) -> bool:
    """Whether a handler throws, or answers with an error's status."""
    for each in handler.body:
        if isinstance(each, ir.Return):
            return fails(each)
    return False
