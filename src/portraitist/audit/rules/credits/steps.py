"""What is done with credits on a way to a paid call, step by step, and which steps stand before it.

What a function does with credits is found by `ledger`; whether the order is right is judged in `charges`.
"""

from __future__ import annotations

from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.rules.credits.ledger import Event, Ledger


@dataclass(frozen=True, slots=True)
class Step:
    """An event on a way, and whether it stands before the way's next step."""

    event: Event
    before: bool
    func: ir.Func
    module: Module


def steps_of(ctx: Context, ledger: Ledger, flow: Flow) -> list[Step]:
    """What a way does with credits, from the route on; the call that leads to the paid one is no step."""
    found: dict[ir.Node, Step] = {}
    steps: list[Step] = []
    for func in flow.funcs:
        module = ctx.program.module_of[func]
        line = goes_on(flow, module, func)
        for event in ledger.events(func):
            if event.line == line and event.end >= line and _leads_on(ctx, event.node, flow):
                continue
            before = event.line < line or _hands_on(ctx, module, event.node, flow)
            step = Step(event, before, func, module)
            known = found.setdefault(event.node, step)
            if known is step or known.event.kind != event.kind:
                steps.append(step)
    return steps


def answers_of(take: Step) -> set[str]:
    """The names that hold the answer of a taking, or a part of it: `failed` of `const failed = answer.error`."""
    made = ir.enclosing(take.event.node, ir.Assign)
    names = variables_in(made.target) if made is not None else set()
    for each in ir.find(take.func, ir.Assign) if names else ():
        root = ir.root_of(each.value) if isinstance(each.value, ir.Attr | ir.Index | ir.Name) else None
        if isinstance(root, ir.Name) and root.id in names and each.line >= take.event.line:
            names |= variables_in(each.target)
    return names


def _hands_on(ctx: Context, module: Module, node: ir.Node, flow: Flow) -> bool:
    """Whether a function of the way is handed to the call, which calls it: what the call does comes first, mostly."""
    given = node.args if isinstance(node, ir.Call) else ()
    return any(
        target.node in flow.funcs
        for each in given
        if isinstance(each, ir.Name | ir.Attr)
        for target in ctx.program.resolve(module, each)
    )


def goes_on(flow: Flow, module: Module, func: ir.Func) -> int:
    """The line at which a function of the way goes on to the next."""
    lines = [
        each.line for each in flow.steps if each.path == module.path and func.line < each.line <= func.end
    ]
    return max(lines, default=func.end)


def _leads_on(ctx: Context, node: ir.Node, flow: Flow) -> bool:
    """Whether an event is the very call that leads to the paid one, a wrapper around it included.

    What the function that it leads to does is a step of that function.
    """
    if not isinstance(node, ir.Call):
        return False
    targets = {each.node for each in ctx.program.functions_called(node)}
    return (
        node is flow.call.call or not targets.isdisjoint(flow.funcs) or flow.call.call in set(ir.walk(node))
    )


def before_call(flow: Flow, steps: list[Step]) -> list[Step]:
    """The steps before the paid call: those from which the way comes to it, where some are such."""
    early = [each for each in steps if each.before]
    return [each for each in early if _leads_to(flow, each)] or early


def _leads_to(flow: Flow, step: Step) -> bool:
    """Whether what is done at a step may come to the paid call: not from the other arm of a branch around either."""
    line = goes_on(flow, step.module, step.func)
    inside = step.event.node
    for each in ir.ancestors(inside):
        if each is step.func:
            break
        if isinstance(each, ir.If):
            own, other = (each.then, each.other) if inside in each.then else (each.other, each.then)
            here = any(one.line <= line <= one.end for one in own)
            there = any(one.line <= line <= one.end for one in other)
            if there or (not here and exits(own[-1:])):
                return False
        inside = each
    return True
