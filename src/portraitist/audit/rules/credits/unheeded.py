"""Part of the rule on credits: credits that could not be taken, which nobody hears of before the paid call.

A stored function of Supabase answers with an error instead of throwing; a helper of the repository may say no by its
answer. What a helper from outside answers is not known.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.calls import returns
from portraitist.audit.rules.base import helpers_behind
from portraitist.audit.rules.failures.answers import error_of

_WORDS = {"success", "ok", "allowed", "deducted"}


def unheeded(ctx: Context, take: ir.Node, func: ir.Func) -> str:
    """Why a take may have failed unheard, or ""; `func` is the function that it stands in."""
    if not isinstance(take, ir.Call):
        return ""
    if isinstance(take.func, ir.Attr) and take.func.name == "rpc":
        module = ctx.program.module_of[func]
        chained = isinstance(take.parent, ir.Attr)
        if module.language != "javascript" or chained:
            return ""
        told = error_of(take, func)
        if told is None:
            return "the error in the answer of what takes the credits is never looked at"
        return "a failure of what takes the credits is only logged" if isinstance(told, ir.If) else ""
    dropped = isinstance(take.parent, ir.Func | ir.If | ir.Try | ir.Loop)
    helpers = helpers_behind(ctx, take)
    if dropped and helpers and all(_says_no(each) for each in helpers):
        return f"{helpers[0].name} says by its answer whether it took the credits, and nobody looks at that"
    return ""


def _says_no(func: ir.Func) -> bool:
    """Whether a function gives back a no in one place and something else in another, and throws nothing."""
    given = returns(func)
    no = [each for each in given if _is_no(each)]
    throws = any(each.throws and each.within is func for each in ir.find(func, ir.Return))
    return bool(no) and len(no) < len(given) and not throws


def _is_no(value: ir.Node) -> bool:
    if isinstance(value, ir.Obj):
        told = value.get(*_WORDS)
        return isinstance(told, ir.Lit) and told.value is False
    if isinstance(value, ir.Arr) and value.items:
        return _is_no(value.items[0])
    return isinstance(value, ir.Lit) and value.value is False
