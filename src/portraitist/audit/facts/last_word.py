"""Checks that let pass whom they know, and refuse everybody who comes to their end. Part of the facts on guards."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.base import Context

_CHECKS = re.compile(r"check|verif|ensure|require|guard|access|only|authori[sz]|protect", re.I)
_SHOWN = re.compile(
    r"^(headers?|remote_addr|cookies|authorization|x_?api_?key|api_?key|token|secret|signature)$", re.I
)
_CODES = {401, 403, "401", "403"}


def refuses_the_rest(ctx: Context, name: str, func: ir.Func) -> bool:
    """Whether a function that is named like a check ends in a refusal by 401 or 403, behind tests of what was shown.

    `if sent == key: return` and then `abort(403)`: whoever shows nothing comes to the end.
    """
    if not func.body or not _CHECKS.search(name):
        return False
    last, before = func.body[-1], func.body[:-1]
    codes = {one.value for one in ir.find(last, ir.Lit) if isinstance(one.value, int | str)}
    if isinstance(last, ir.If | ir.Try | ir.Loop) or not codes & _CODES or not denial.refuses_in(ctx, [last]):
        return False
    passes = any(isinstance(each, ir.Return) for part in before for each in ir.walk(part))
    return passes and any(
        _SHOWN.match(each.name if isinstance(each, ir.Attr) else each.id if isinstance(each, ir.Name) else "")
        for part in before
        for each in ir.walk(part)
    )
