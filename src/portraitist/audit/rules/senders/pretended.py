"""Part of the rule on webhooks: helpers that are named for a check of the sender and agree to everything.

Judges functions of the repository that do nothing but say yes. What a library's function does is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.calls import returns

_CHECKS = re.compile(r"verif|valid|signature|secret|hmac|authentic|check_?(sender|token)", re.I)
_LOGS = re.compile(r"(^|\.)(console|logger|logging|log)\.|^print$")


def pretended(ctx: Context, func: ir.Node) -> Iterator[ir.Call]:
    """The calls in a function to checks of a sender that say yes whatever they are given."""
    for call in ir.find(func, ir.Call):
        if _CHECKS.search(ir.dotted(call.func).rpartition(".")[2]) and agrees(ctx, call):
            yield call


def agrees(ctx: Context, call: ir.Call) -> bool:
    """Whether all that a call may reach is `return true`: nothing is asked, and nothing can throw."""
    found = [each.node for each in ctx.program.functions_called(call)]
    return bool(found) and all(isinstance(each, ir.Func) and _is_yes(each) for each in found)


def _is_yes(func: ir.Func) -> bool:
    said = returns(func)
    plain = all(isinstance(each, ir.Lit) and each.value is True for each in said)
    works = any(
        not _LOGS.search(ir.dotted(each.func)) for part in func.body for each in ir.find(part, ir.Call)
    )
    leaves = any(each.throws for each in ir.find(func, ir.Return))
    return bool(said) and plain and not works and not leaves
