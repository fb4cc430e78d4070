"""Where the failure of work that was started is heard of, and whether the credits for it are given back there.

Whether credits are kept at all is judged in `charges`.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.base import names_in
from portraitist.audit.rules.credits.ledger import Ledger

_TRAINS = re.compile(r"train|tun(e|ing)|lora|finetun", re.I)
_DRAWS = re.compile(r"generat|predict|image|photo|picture|video|headshot", re.I)


def failed_branch(ctx: Context, func: ir.Func) -> ir.If | None:
    """The branch of a function for work that failed."""
    return ctx.once(_failed_branch, func)


def _failed_branch(_ctx: Context, func: ir.Func) -> ir.If | None:
    return next((each for each in ir.find(func, ir.If) if names_in(each.test) & {"failed", "canceled"}), None)


def given_back_later(ctx: Context, ledger: Ledger, flow: Flow) -> Place | None:
    """Where the credits of work that fails once it runs are given back, by a webhook, a poll or a job.

    None for calls that wait for the work. A place that is named for other work (a training's, where this is a
    picture) does not count; one that is named for none, or for both, does.
    """
    if not (flow.call.fields("webhook") or flow.call.api.endswith("create")):
        return None
    other, own = (_DRAWS, _TRAINS) if flow.call.purpose == "training" else (_TRAINS, _DRAWS)
    for func, kinds in ledger.kinds.items():
        module = ctx.program.module_of[func]
        if "give" not in kinds or func in flow.funcs or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        named = f"{module.path} {func.name}"
        branch = failed_branch(ctx, func) if own.search(named) or not other.search(named) else None
        if branch is None:
            continue
        last = max((each.end for each in branch.then), default=branch.line)
        for event in ledger.events(func):
            if event.kind == "give" and branch.line < event.line <= last:
                return Place(module.path, event.line)
    return None
