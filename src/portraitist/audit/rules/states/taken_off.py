"""Part of the rule on states that stay open: jobs that a worker takes off a list of Redis before it works on them.

What a list no longer holds is lost with the process that took it. A watchdog outside the repository is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.detached import below_of
from portraitist.audit.rules.states.marks import marks
from portraitist.audit.rules.states.picked import put_right

_TAKES = {
    "brpop",
    "blpop",
    "lpop",
    "rpop",
    "brPop",
    "blPop",
    "lPop",
    "rPop",
    "bzpopmin",
    "zpopmin",
    "bzPopMin",
    "zPopMin",
}
_KEEPS = re.compile(
    r"brpoplpush|rpoplpush|blmove|lmove|xreadgroup|in_?flight|unacked|lrem\b|processing[_:-]?(list|queue|set|jobs)",
    re.I,
)
"""Words of a list where a job lies while it is worked on."""


def taken_off_first(ctx: Context) -> Iterator[Finding]:
    """A loop that pops jobs and pays for each, where nothing keeps the job meanwhile and nothing picks up what is left.

    A job that is pushed back where the work fails is not kept either: that is not done by a process that has ended.
    """
    paid = {func for flow in ctx.flows for func in flow.funcs}
    for module in ctx.live if paid else ():
        for call in module.calls(_TAKES) if _may_take(module) else ():
            loop = next((each for each in ir.ancestors(call) if isinstance(each, ir.Loop)), None)
            func = call.within
            if loop is None or func is None or ctx.role_at(module, call) not in LIVE_ROLES:
                continue
            works = next((each for each in _after(loop, call) if _pays(ctx, each, paid)), None)
            if works is None or any(put_right(ctx, mark) for mark in marks(ctx)):
                continue
            message = (
                f"takes the job off the list, and line {works.line} works on it: a process that ends meanwhile takes "
                "the job with it, and nothing has it any more"
            )
            yield finding("stuck-status", module, call, message, key="taken off", weight=BARELY, end=works.line,
                          evidence=[Place(module.path, works.line)])  # fmt: skip
            break


def _may_take(module: Module) -> bool:
    return "redis" in module.lowered and _KEEPS.search(module.file.text) is None


def _after(loop: ir.Loop, taken: ir.Call) -> list[ir.Call]:
    """The calls of the loop behind the one that takes a job."""
    return [each for part in loop.body for each in ir.find(part, ir.Call) if each.line > taken.line]


def _pays(ctx: Context, call: ir.Call, paid: set[ir.Func]) -> bool:
    """Whether a call is paid, or leads to one that is."""
    if call in ctx.call_at:
        return ctx.call_at[call].creates
    helpers = (each.node for each in ctx.program.functions_called(call))
    return any(isinstance(each, ir.Func) and not paid.isdisjoint(below_of(ctx, each)) for each in helpers)
