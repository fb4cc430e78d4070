"""Part of the rule on states that stay open: rows that only the request which made them ends, when it is not cut off.

How long a platform lets a request run is not known; work in tasks and in queues is looked at in `detached`, `cut_off`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, last_name, place
from portraitist.audit.rules.failures.quiet import LOGS
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RUNNING
from portraitist.audit.rules.states.detached import below_of, in_tasks, only_here
from portraitist.audit.rules.states.marks import WAITED_FOR, Mark, marks
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.states.rounds import asking_loops
from portraitist.audit.rules.states.unfinished import follows, site_in


def cut_requests(ctx: Context) -> Iterator[Finding]:
    """A row marked as running in an HTTP request that waits for the provider, which nothing but that request ends.

    A request that asks in a loop, or whose file says after what time it is ended.
    """
    waits: dict[ir.Func, tuple[Flow, ir.Loop | None]] = {}
    for flow in ctx.flows:
        if flow.route and flow.route.is_http:
            loop = _loop_of(ctx, flow)
            if loop is not None or (
                flow.call.api in WAITED_FOR and "maxDuration" in flow.route.module.top.names
            ):
                waits.update(dict.fromkeys(flow.funcs, (flow, loop)))
    tasks = ctx.once(in_tasks) if waits else set()
    seen: set[str] = set()
    for mark in marks(ctx) if waits else ():
        if mark.func not in waits or mark.key in seen:
            continue
        flow, loop = waits[mark.func]
        if not _is_before(ctx, mark, flow) or not tasks.isdisjoint(flow.funcs):
            continue
        if put_right(ctx, mark) or not only_here(ctx, mark, below_of(ctx, mark.func), mark.func):
            continue
        seen.add(mark.key)
        message = f"only this request, which waits for the provider, ends {mark.key}: cut off, it stays {mark.word!r}"
        yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} request", weight=BARELY,
                      line=mark.line, end=mark.end, evidence=[place(flow.call)])  # fmt: skip
        call = flow.call
        if loop is not None and loop.within is call.func and not _goes_on(ctx, call.func, loop):
            message = (
                "the id of this work is stored nowhere while it is waited for: nobody can ask for it again"
            )
            yield finding("stuck-status", call.module, loop, message, key="id unkept", weight=BARELY,
                          line=call.call.end, end=loop.end, evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


def _is_before(ctx: Context, mark: Mark, flow: Flow) -> bool:
    """Whether a mark says that work runs, on the way to the call, and no queue is told on that way."""
    at = flow.funcs.index(mark.func)
    last = at == len(flow.funcs) - 1
    node = flow.call.call if last else site_in(ctx, mark.func, flow.funcs[at + 1], mark)
    tasks = (ir.dotted(one) for func in flow.funcs for each in func.decorators for one in ir.walk(each))
    told = any(_QUEUES.match(last_name(each.func)) for each in ir.find(mark.func, ir.Call))
    told = told or any("task" in each.lower() for each in tasks)
    return (
        (mark.word in RUNNING or mark.statement.insert)
        and node is not None
        and not told
        and follows(ctx, mark, node)
    )


_QUEUES = re.compile(r"^(apply_async|delay|enqueue\w*|add_task|send_task|trigger\w*|add\w*Job)$")


def _loop_of(ctx: Context, flow: Flow) -> ir.Loop | None:
    """The loop that asks for the end of the work, in a function on the way to the call or below one."""
    if not flow.call.creates or flow.call.api in WAITED_FOR:
        return None
    near = {one for func in flow.funcs for one in (func, *helpers_of(ctx, func))}
    return next((loop for _, loop in ctx.once(asking_loops) if loop.within in near), None)


def _goes_on(ctx: Context, func: ir.Func | None, loop: ir.Loop) -> bool:
    """Whether an id is handed to anything but a log or the provider, or kept, before the end of the loop."""
    if func is None:
        return True
    ids = [each for each in ir.walk(func) if isinstance(each, ir.Attr | ir.Index) and last_name(each) == "id"]
    kept = (each.parent for each in ids)
    made = {last_name(each.target) for each in kept if isinstance(each, ir.Assign)}
    named = [each for each in ir.find(func, ir.Name) if each.id in made]
    return any(_is_taken(ctx, each) for each in (*ids, *named) if each.line <= loop.end)


def _is_taken(ctx: Context, node: ir.Node) -> bool:
    """Whether the nearest call around a value is none of the provider's, and no log; or the value is in a row."""
    if isinstance(node.parent, ir.Assign):
        return not isinstance(node.parent.target, ir.Name)
    around = next(
        (each for each in ir.ancestors(node) if isinstance(each, ir.Call | ir.Func | ir.Return)), None
    )
    return (
        isinstance(around, ir.Call) and around not in ctx.call_at and not LOGS.match(ir.dotted(around.func))
    )
