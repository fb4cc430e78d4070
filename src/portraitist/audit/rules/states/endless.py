"""Part of the rule on states that stay open: loops that wait for a state which nothing in them ever reads anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, names_in

_FINAL = {"succeeded", "failed", "canceled", "cancelled", "completed", "processing", "starting", "running"}
_WAITS = re.compile(r"sleep|setTimeout|delay|wait|reload|refresh", re.I)


def endless_waits(ctx: Context) -> Iterator[Finding]:
    """A loop that waits while a variable has a state, never sets it, and has no other way out.

    A variable that a callback or a called function of the file may set is left alone.
    """
    for module in ctx.live:
        for loop in module.all(ir.Loop):
            if loop.test is None or loop.target is not None or not _FINAL & names_in(loop.test):
                continue
            if ctx.role_at(module, loop) not in LIVE_ROLES or not _waits(loop) or _leaves(loop):
                continue
            names = set(ir.find(loop.test, ir.Name))
            read = {each.id for each in names if not isinstance(each.parent, ir.Attr | ir.Call | ir.Index)}
            other = any(isinstance(each, ir.Call | ir.Attr | ir.Index) for each in ir.walk(loop.test))
            if read and not other and not any(_is_set_again(module.body, loop, each) for each in read):
                name = min(read)
                message = f"the loop waits for {name} to change, and nothing in it ever sets it"
                yield finding(
                    "stuck-status", module, loop, message, key=f"loop {name}", weight=60, end=loop.line
                )


def _waits(loop: ir.Loop) -> bool:
    return any(_WAITS.search(ir.dotted(each.func)) for each in ir.find(loop, ir.Call))


def _leaves(loop: ir.Loop) -> bool:
    """Whether something in the loop leaves it: a return, a throw, a break."""
    return any(
        isinstance(each, ir.Return) or (isinstance(each, ir.Other) and each.kind == "break_statement")
        for part in loop.body
        for each in ir.walk(part)
    )


def _is_set_again(body: ir.Node, loop: ir.Loop, name: str) -> bool:
    """Whether the variable is set in the loop, or in a function beside it that may run meanwhile."""
    for assign in ir.find(body, ir.Assign):
        if name in variables_in(assign.target):
            inside = any(each is loop for each in ir.ancestors(assign))
            if inside or assign.within is not loop.within:
                return True
    return False
