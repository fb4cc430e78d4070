"""Part of the rule on states that stay open: a row is marked as running, and a failure leaves it so.

What a watchdog outside the repository puts right is not seen; one inside it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.marks import Mark, is_kept, marks, settles
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.syntax import leaves_within


@dataclass(frozen=True, slots=True)
class _End:
    """Where a failure ends: in a handler that does not change the row, or `None` where nothing catches it."""

    handler: ir.Node | None
    path: str


def left_in_progress(ctx: Context) -> Iterator[Finding]:
    """Rows marked as running before a paid call whose failure nothing on its way answers with a change of them.

    Goes from the call up to the route: a handler that settles the row ends the search, one below the mark that
    swallows the failure too. A table that something picks rows of by that state, or by age, is left alone.
    """
    flows: dict[ir.Func, list[Flow]] = {}
    for flow in ctx.flows:
        for func in flow.funcs:
            flows.setdefault(func, []).append(flow)
    for mark in marks(ctx):
        for flow in flows.get(mark.func, []):
            end = _end_of(ctx, mark, flow)
            if end is None or put_right(ctx, mark):
                continue
            where = "the handler does not change it" if end.handler is not None else "nothing catches that"
            message = f"{mark.key} stays as it is here when what follows fails: {where}"
            evidence = [Place(end.path, end.handler.line)] if end.handler is not None else []
            yield finding("stuck-status", mark.module, mark.node, message, key=mark.key, weight=52,
                          line=mark.line, end=mark.end, evidence=evidence)  # fmt: skip
            if end.handler is not None:
                message = f"{mark.key}, set to {mark.word!r} at line {mark.line}, is not changed here"
                yield finding("stuck-status", ctx.program.modules[end.path], end.handler, message,
                              key=f"{mark.key} handler", weight=BARELY,
                              evidence=[Place(mark.module.path, mark.line)])  # fmt: skip
            break


def _end_of(ctx: Context, mark: Mark, flow: Flow) -> _End | None:
    """Where a failure of the flow's call ends with the row still marked; None where it is settled, or not known."""
    at = flow.funcs.index(mark.func)
    node: ir.Node | None = flow.call.call
    for place in range(len(flow.funcs) - 1, -1, -1):
        func = flow.funcs[place]
        if place < len(flow.funcs) - 1:
            node = site_in(ctx, func, flow.funcs[place + 1], mark if place == at else None)
        if node is None or (place == at and not follows(ctx, mark, node)):
            return None
        handler, open_ = climb(ctx, mark, func, node)
        if not open_:
            return None
        if handler is not None:
            known = place <= at and (place < at or _may_fail(ctx, flow.call, mark, handler))
            known = known or (place > at and _ends_here(ctx, mark, flow, place, handler))
            return _End(handler, ctx.program.module_of[func].path) if known else None
    http = flow.route is not None and (flow.route.is_http or flow.route.method == "ACTION")
    job = flow.route is not None and flow.route.method == "JOB" and not _heard(ctx, mark)
    return _End(None, "") if (http or job) and _rejects(flow.call) else None


def _ends_here(ctx: Context, mark: Mark, flow: Flow, place: int, handler: ir.Node) -> bool:
    """Whether an attempt below the mark ends the row itself where it succeeds, and its handler tells no caller more.

    None of the functions between may change the row behind the call.
    """
    attempt, table, at = handler.parent, mark.statement.table, flow.funcs.index(mark.func)
    if not isinstance(attempt, ir.Try) or not isinstance(handler, ir.Handler) or leaves_within(handler.body):
        return False
    ends = settles(ctx, table, (one for part in attempt.body for one in ir.walk(part)), guessed=False)
    own, below = set(flow.funcs), set(ir.walk(attempt))
    inside = (one for each in flow.funcs[at:place] for one in ir.walk(each))
    rest = (
        one for one in inside if one not in below and (one.within is not mark.func or one.line > mark.end)
    )
    others = (one for one in rest if not (isinstance(one, ir.Call) and own & set(helpers_behind(ctx, one))))
    return ends and not settles(ctx, table, others, guessed=False)


def _heard(ctx: Context, mark: Mark) -> bool:
    """Whether a queue's own word for failed jobs settles the row: `worker.on("failed", …)`, `onFailure`."""
    for module in ctx.live:
        for call in module.calls({"on"}):
            named = call.args and ir.text_of(call.args[0]) in {"failed", "error"}
            if named and settles(ctx, mark.statement.table, ir.walk(call)):
                return True
    return any(each.key in {"onFailure", "on_failure", "link_error"} for each in mark.module.all(ir.Prop))


def site_in(ctx: Context, outer: ir.Func, inner: ir.Func, mark: Mark | None) -> ir.Node | None:
    """Where a function is called in another, after the mark if that stands there, or is written in it."""
    if inner.within is outer:
        return inner
    calls: list[ir.Node] = [
        each.call for each in ctx.program.callers.get(inner, []) if each.call.within is outer
    ]
    calls += [node for _, node in ctx.reached.references.get(inner, []) if node.within is outer]
    return next((each for each in calls if mark is None or each.line > mark.end), None)


def follows(ctx: Context, mark: Mark, node: ir.Node) -> bool:
    """Whether the call comes after the mark, on the same way, once the mark is kept."""
    if node.line <= mark.end or not is_kept(ctx, mark, node.line):
        return False
    above = set(ir.ancestors(node))
    below: ir.Node = mark.node
    for each in ir.ancestors(mark.node):
        if isinstance(each, ir.If) and (
            each not in above
            or any(below in arm and not _under(arm, node) for arm in (each.then, each.other))
        ):
            return each not in above and not _leaves(each, below)
        if each is mark.func:
            break
        if isinstance(each, ir.Handler) and each not in above:
            return False
        below = each
    return True


def _leaves(branch: ir.If, below: ir.Node) -> bool:
    """Whether the arm in which the mark stands ends the function."""
    arm = branch.then if below in branch.then else branch.other
    return any(isinstance(each, ir.Return) for each in arm)


def _under(arm: list[ir.Node], node: ir.Node) -> bool:
    return any(node is each or each in set(ir.ancestors(node)) for each in arm)


def climb(ctx: Context, mark: Mark, func: ir.Func, node: ir.Node) -> tuple[ir.Node | None, bool]:
    """The handler in a function at which a failure of `node` ends, and whether the row stays marked so far."""
    table = mark.statement.table
    below = node
    for each in ir.ancestors(node):
        if each is func:
            break
        ends: list[ir.Node] = []
        if isinstance(each, ir.Try) and each.handlers and below in each.body:
            ends = [*each.handlers, *each.final]
        elif isinstance(each, ir.Call) and last_name(each.func) in {"catch", "allSettled"}:
            ends = [each] if last_name(each.func) == "allSettled" or below is each.func else []
            if last_name(each.func) == "catch":
                ends = [*each.args] if ends else []
        if ends:
            if any(settles(ctx, table, ir.walk(one)) for one in ends):
                return None, False
            if not all(_passes_on(one) for one in ends if isinstance(one, ir.Handler)) or not isinstance(
                each, ir.Try
            ):
                later = (one for one in ir.walk(func) if one.line > each.end)
                return ends[0], not settles(ctx, table, later, guessed=False)
        below = each
    return None, True


def _passes_on(handler: ir.Handler) -> bool:
    return any(isinstance(each, ir.Return) and each.throws for each in handler.body)


def _rejects(call: ProviderCall) -> bool:
    """Whether a refused call raises an error: the SDK's does, a raw request where its function throws."""
    later = (
        (each for each in ir.find(call.func, ir.Return) if each.throws and each.line >= call.call.line)
        if call.func
        else ()
    )
    raises = (
        (each for each in ir.find(call.func, ir.Attr) if each.name == "raise_for_status") if call.func else ()
    )
    client = ir.plain_dotted(ir.root_of(call.call)).lower() in {"axios", "ky", "got"}
    return call.sdk or client or any(True for _ in later) or any(True for _ in raises)


def _may_fail(ctx: Context, call: ProviderCall, mark: Mark, handler: ir.Node) -> bool:
    """Whether a failure reaches the handler: of the call, or a throw after the mark that nothing has settled before."""
    if _rejects(call):
        return True
    attempt = handler.parent
    for each in (
        (one for one in ir.find(attempt, ir.Return) if one.throws) if isinstance(attempt, ir.Try) else ()
    ):
        block = each.parent
        settled = isinstance(block, ir.If) and settles(ctx, mark.statement.table, ir.walk(block))
        if each.line > mark.end and each.within is mark.func and not settled:
            return True
    return False
