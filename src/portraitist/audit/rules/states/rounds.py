"""Part of the rule on states that stay open: questions that are asked so many times, and what is left then.

Limits that a platform sets without a word in the repository are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import literals
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, last_name, names_in, provider_behind
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.states.counted_in_vain import counted
from portraitist.audit.rules.states.marks import Mark, marks, settles
from portraitist.audit.rules.states.picked import put_right
from portraitist.audit.rules.syntax import branches_around

_SLEEPS = {"sleep", "delay", "wait", "setTimeout", "timeout", "pause"}
_COUNTS = re.compile(r"attempt|tries|retr|poll|rounds?$|^i$|count|elapsed|start|now|deadline|max", re.I)
_UNDER_WAY = {"starting", "processing"}
ENDS = {"succeeded", "failed", "canceled", "cancelled", "completed", "error"}


def counted_waits(ctx: Context) -> Iterator[Finding]:
    """Loops that ask the provider a number of times: the row in front, the time they take, nobody behind them."""
    found = [
        (module, loop) for module, loop in ctx.once(asking_loops) if ctx.role_at(module, loop) in LIVE_ROLES
    ]
    yield from _without_limit(found)
    loops = {loop: module for module, loop in found if is_counted(loop)}
    alone = bool(loops) and _only_in(ctx, loops)
    for loop, module in loops.items():
        func = loop.within
        if func is None:
            continue
        yield from _cut_short(ctx, module, loop)
        left = list(_left_marked(ctx, module, loop, func))
        yield from left
        if alone and not left:
            message = (
                "nobody asks again when these rounds are over: work that takes longer is paid for and lost"
            )
            yield finding("stuck-status", module, loop, message, key="rounds", weight=BARELY, end=loop.end)


def asking_loops(ctx: Context) -> list[tuple[Module, ir.Loop]]:
    """The loops that wait around a question to the provider, or around a call of what asks it."""
    asked = [(each.module, each.call) for each in ctx.calls if each.purpose == "status"]
    for func in askers(ctx):
        asked += [(each.module, each.call) for each in ctx.program.callers.get(func, ())] if func else []
    for module in (each for each in ctx.live if each.language == "python"):
        asked += [(module, each) for each in module.calls({"reload"}) if _is_of_run(ctx, module, each)]
    found = []
    for module, call in asked:
        around = (
            each for each in ir.ancestors(call) if isinstance(each, ir.Loop) and each.within is call.within
        )
        loop = next(around, None)
        if loop is not None and _delay(ctx, module, loop) is not None:
            found.append((module, loop))
    return found


def _is_of_run(ctx: Context, module: Module, call: ir.Call) -> bool:
    """`prediction.reload()` of what the provider answered."""
    return (
        isinstance(call.func, ir.Attr)
        and provider_behind(ctx, module, call.func.obj, helpers=True) is not None
    )


def _without_limit(loops: list[tuple[Module, ir.Loop]]) -> Iterator[Finding]:
    """`while (status !== "succeeded" && status !== "failed")`, and no count and no clock in any test of the loop.

    Or `while pred["status"] in ("starting", "processing")`.
    """
    seen: set[ir.Loop] = set()
    for module, loop in loops:
        tests = [each.test for each in ir.find(loop, ir.If)] + ([loop.test] if loop.test is not None else [])
        names = " ".join(name for each in tests for name in names_in(each))
        waits = (ENDS | _UNDER_WAY) & set(names.split())
        if loop in seen or loop.target is not None or not waits or _LIMITS.search(names) or is_counted(loop):
            continue
        seen.add(loop)
        message = "asks for an end without a limit of rounds or of time: what never ends is asked for as long"
        yield finding("stuck-status", module, loop, message, key="no limit", weight=BARELY, end=loop.end)


_LIMITS = re.compile(
    r"attempt|tries|retr|poll|round|\bi\b|count|elapsed|start(?!ing)|\bnow\b|deadline|max|time|limit|iter|abort|cancelled_by",
    re.I,
)


def is_counted(loop: ir.Loop) -> bool:
    """`range(60)`, `attempts < 60`, `time.time() - start < 300`."""
    if loop.target is not None:
        return isinstance(loop.source, ir.Call) and last_name(loop.source.func) == "range"
    orders = (each for each in ir.find(loop.test, ir.Bin) if each.op in {"<", "<="}) if loop.test else ()
    raised = {name for name, _ in counted(loop)}
    return any(
        "length" not in names_in(each)
        and (_COUNTS.search(" ".join(names_in(each))) or raised & variables_in(each))
        for each in orders
    )


def _delay(ctx: Context, module: Module, loop: ir.Loop) -> float | None:
    """The seconds that a round waits at least: 0 where that is not known, None where it does not wait."""
    for call in ir.find(loop, ir.Call):
        name = last_name(call.func)
        if name in _SLEEPS and call.args:
            given = literals(
                ctx.ev.eval(module, call.args[1 if name == "setTimeout" and len(call.args) > 1 else 0])
            )
            known = [
                float(each) for each in given if isinstance(each, int | float) and not isinstance(each, bool)
            ]
            return min(known, default=0) / (1 if module.language == "python" else 1000)
    return None


def _rounds(ctx: Context, module: Module, loop: ir.Loop) -> float:
    """How often a loop goes round at most, 0 where that is not known."""
    tests = ir.find(loop.test, ir.Bin) if loop.test is not None else ()
    given = next(
        (each.right for each in tests if each.op in {"<", "<="} and isinstance(each.left, ir.Name)), None
    )
    if isinstance(loop.source, ir.Call) and loop.source.args:
        given = loop.source.args[-1]
    known = [
        each
        for each in (literals(ctx.ev.eval(module, given)) if given is not None else [])
        if isinstance(each, int)
    ]
    return known[0] if len(known) == 1 else 0


def _cut_short(ctx: Context, module: Module, loop: ir.Loop) -> Iterator[Finding]:
    """`maxDuration = 60` above a loop that may wait for three minutes."""
    takes = (_delay(ctx, module, loop) or 0) * _rounds(ctx, module, loop)
    near = (
        {module} | {flow.route.module for flow in ctx.flows if flow.route and loop.within in flow.funcs}
        if takes
        else set()
    )
    for each in sorted(near, key=lambda one: one.path):
        for binding in each.top.names.get("maxDuration", ()):
            limit = (
                [one for one in literals(ctx.ev.eval(each, binding.value)) if isinstance(one, int)]
                if binding.value
                else []
            )
            if limit and takes > limit[0]:
                message = f"this waits up to {takes:g} seconds, and the function is ended after {limit[0]}"
                yield finding("stuck-status", module, loop, message, key="duration", weight=40, end=loop.line,
                              evidence=[Place(each.path, binding.node.line)])  # fmt: skip
                return


def _left_marked(ctx: Context, module: Module, loop: ir.Loop, func: ir.Func) -> Iterator[Finding]:
    """A row marked in front of the loop, and nothing behind it that ends the row where no last word has come."""
    if loop.body and module.language == "python" and loop.body[-1].end < loop.end:
        return  # an `else` of the loop
    for mark in marks(ctx):
        if mark.func is not func or mark.end >= loop.line or put_right(ctx, mark):
            continue
        behind = [each for each in ir.walk(func) if each.line > loop.end and not _for_an_end(each, loop)]
        leaves = [each for each in behind if isinstance(each, ir.Return) and each.within is func]
        thrown = any(each.throws for each in leaves)
        if thrown or settles(ctx, mark.statement.table, iter(behind)) or _settled_around(ctx, mark, loop):
            continue
        last = max((each.end for each in leaves), default=loop.end)
        message = f"{mark.key} stays {mark.word!r} when these rounds are over without an end"
        yield finding("stuck-status", module, loop, message, key=f"{mark.key} rounds", weight=46, end=last,
                      evidence=[Place(mark.module.path, mark.line)])  # fmt: skip
        return


def _for_an_end(node: ir.Node, loop: ir.Loop) -> bool:
    """Whether a node stands under a test that is true for one of the provider's last words."""
    return any(each.line > loop.end and _is_equal(each.test) for each in branches_around(node))


def _is_equal(test: ir.Node) -> bool:
    negated = any(isinstance(each, ir.Bin) and each.op in {"!=", "!==", "not", "!"} for each in ir.walk(test))
    return not negated and bool(ENDS & names_in(test))


def _settled_around(ctx: Context, mark: Mark, loop: ir.Loop) -> bool:
    """Whether a `finally` around the loop ends the row."""
    around = (each for each in ir.ancestors(loop) if isinstance(each, ir.Try))
    return any(settles(ctx, mark.statement.table, ir.walk(one)) for each in around for one in each.final)


def _only_in(ctx: Context, loops: dict[ir.Loop, Module]) -> bool:
    """Whether the provider is asked in such loops alone, and tells nobody of its own accord."""
    inside = {each for loop in loops for each in ir.find(loop, ir.Call)}
    funcs = {target.node for call in inside for target in ctx.program.functions_called(call)}
    asked = [
        each
        for each in ctx.calls
        if each.purpose == "status" and ctx.role_at(each.module, each.call) in LIVE_ROLES
    ]
    told = any(each.fields("webhook") for each in ctx.creates())
    return not told and all(each.call in inside or each.func in funcs for each in asked)
