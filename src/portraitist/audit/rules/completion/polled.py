"""Part of the rule `no-retry`: a wait that ends in any state, or gives up, and whose output is taken all the same.

Only an output that is taken as a whole counts: an entry of nothing is an error of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import tests_of

_STATE = re.compile(r"status|state|succe|complet|fail", re.I)


def waited_in_vain(ctx: Context) -> Iterator[Finding]:
    """`while (run.status !== "succeeded" && tries < 60) …`, and then `return run.output`, of which nobody asks."""
    seen: set[ir.Loop] = set()
    for call in (each for each in ctx.calls if each.purpose == "status"):
        loop = next((each for each in ir.ancestors(call.call) if isinstance(each, ir.Loop)), None)
        func = call.func
        if loop is None or loop in seen or func is None or loop.within is not func or loop.test is None:
            continue
        seen.add(loop)
        polled = _polled(loop.test)
        if not polled or ctx.role_at(call.module, loop) not in LIVE_ROLES:
            continue
        taken = next(
            (each for each in ir.find(func, ir.Attr) if each.line > loop.end and _is_output(each, polled)),
            None,
        )
        asked = [each.test for each in tests_of(func) if each.line > loop.end]
        words = [name for test in asked for name in names_in(test)]
        if taken is not None and not any(
            _STATE.search(each) or each in {"output", *polled} for each in words
        ):
            message = "the wait ends in any state, or gives up, and the output is taken without a look at which it was"
            yield finding("no-retry", call.module, taken, message, key="waited", weight=BARELY,
                          evidence=[Place(call.module.path, loop.line)])  # fmt: skip


def _polled(test: ir.Node) -> set[str]:
    """The variables whose state a loop's test asks for."""
    return {
        each.obj.id
        for each in ir.find(test, ir.Attr)
        if each.name in {"status", "state"} and isinstance(each.obj, ir.Name)
    }


def _is_output(node: ir.Attr, polled: set[str]) -> bool:
    """`run.output` as a whole: no entry or member of it, which would throw."""
    if node.name != "output" or not isinstance(node.obj, ir.Name) or node.obj.id not in polled:
        return False
    up = node.parent
    inside = isinstance(up, ir.Attr | ir.Index) and up.obj is node and not up.maybe
    joined = isinstance(up, ir.Bin) and up.op in {"or", "and", "??", "not"}
    return not inside and not joined
