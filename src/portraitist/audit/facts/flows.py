"""Flows: from a route, page, job or script over every call to the provider call, in order.

Also says which functions nothing can reach; those become `dead` and stay out of flows.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, ProviderCall, Route
from portraitist.audit.facts.denial import exits
from portraitist.audit.facts.unserved import unserved
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.reach import Reach
from portraitist.audit.model import Place

MAX_VISITED = 600
"""How many functions are looked at backwards from one provider call."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One way from an entry to a provider call; `steps` are the places in order, both ends included."""

    entry: str
    route: Route | None
    call: ProviderCall
    steps: tuple[Place, ...]
    funcs: tuple[ir.Func, ...]


def mark_dead(ctx: Context) -> None:
    """Computes what is reachable; must run before facts are added, their role depends on it."""
    idle = unserved(ctx)
    handlers = [
        each.node
        for route in ctx.routes
        for each in route.handlers
        if isinstance(each.node, ir.Func) and each.node not in idle and not _begun_below(route)
    ]
    ctx.reached = Reach(ctx.program, handlers, idle)
    live = ctx.reached.live
    for module in ctx.modules:
        if module.role == "src":
            if module.path not in ctx.reached.live_modules:
                ctx.dead_modules.add(module.path)
            ctx.dead_funcs.update(each for each in module.all(ir.Func) if each not in live)


def _begun_below(route: Route) -> bool:
    """Whether a function begins a job: its handler, which that function names, is reached when that one is."""
    node = route.node
    return route.framework == "job" and not isinstance(node, ir.Func) and node.within is not None


def collect(ctx: Context) -> None:
    """Adds a `flow` fact for every way in to every call that starts paid work."""
    for call in ctx.creates():
        best = to_call(ctx, call)
        for flow in best:
            ctx.flows.append(flow)
            _fact(ctx, flow)
        if not best:
            ctx.puzzled(
                "flow", call.module, call.call, f"no route, job or script found that reaches {call.api}"
            )


def to_call(ctx: Context, call: ProviderCall) -> list[Flow]:
    """Every way to a call; those that only begin at a page are left out where there are others."""
    flows = _backwards(ctx, call)
    return [each for each in flows if each.route is not None and each.route.method != "PAGE"] or flows


def _fact(ctx: Context, flow: Flow) -> None:
    first = flow.steps[0]
    module = ctx.program.modules[first.path]
    anchor = flow.route.node if flow.route is not None else ir.Other(first.line, first.line, [])
    _add(ctx, flow, module, anchor, first.line)
    if flow.route is not None and (home := flow.route.home)[1] is not flow.route.node:
        _add(ctx, flow, *home, home[1].line)


def _add(ctx: Context, flow: Flow, module: Module, anchor: ir.Node, line: int) -> None:
    ctx.add("flow", flow.call.api, module, anchor, value=flow.entry, line=line, evidence=flow.steps, shows="")


def _backwards(ctx: Context, call: ProviderCall) -> list[Flow]:
    entries = ctx.handled_by
    end = Place(call.module.path, call.call.line)
    start = call.func
    found: list[Flow] = []
    if start is None:
        return _top_level(ctx, call, call.module, (end,), ())
    queue: deque[tuple[ir.Func, tuple[Place, ...], tuple[ir.Func, ...]]] = deque([(start, (end,), (start,))])
    seen = {start}
    while queue and len(seen) < MAX_VISITED:
        func, steps, funcs = queue.popleft()
        for route in entries.get(func, []):
            if not _for_method(ctx, route, func, steps[0]):
                continue
            place = Place(route.module.path, route.node.line)
            found.append(Flow(route.key, route, call, _with(place, steps), funcs))
        if any(route.method == "PAGE" for route in entries.get(func, [])):
            continue  # a job goes on to who enqueues it, a handler to those that call it as a helper
        found.extend(_decorated(ctx, call, func, steps, funcs))
        for module, node in _sites(ctx, func):
            if isinstance(node, ir.Call) and _kept_out(ctx, func, node, steps[0]):
                continue
            owner = ir.enclosing(node, ir.Func)
            place = Place(module.path, node.line)
            longer = steps if isinstance(node, ir.Func) else _with(place, steps)
            if owner is None:
                found.extend(_top_level(ctx, call, module, longer, funcs))
            elif owner not in seen and module.role in {"src", "script"}:
                seen.add(owner)
                queue.append((owner, longer, (owner, *funcs)))
    return found


def _kept_out(ctx: Context, func: ir.Func, call: ir.Call, place: Place) -> bool:
    """Whether a call says yes or no to a parameter that keeps a place of the function from it: `make(resume=True)`."""
    if place.path != ctx.program.module_of[func].path:
        return False
    told = {
        each.name: value.value
        for each in func.params
        if isinstance(value := argument_for(call, func, each), ir.Lit) and isinstance(value.value, bool)
    }
    return bool(told) and any(_passes_by(each, told, place.line) for each in ir.find(func, ir.If))


def _passes_by(branch: ir.If, told: dict[str, bool], line: int) -> bool:
    """Whether a branch on what a call says plainly leaves a line out: in its other arm, or behind its way out."""
    test, yes = branch.test, True
    if isinstance(test, ir.Bin) and test.op in {"not", "!"}:
        test, yes = test.left, False
    if not isinstance(test, ir.Name) or test.id not in told:
        return False
    taken, left = (branch.then, branch.other) if told[test.id] is yes else (branch.other, branch.then)
    if any(each.line <= line <= each.end for each in left):
        return True
    last = taken[-1] if taken else None
    return branch.end < line and isinstance(last, ir.Return)


def _for_method(ctx: Context, route: Route, func: ir.Func, place: Place) -> bool:
    """Whether a route's own method comes to a place of its handler: not where the handler asks for another method.

    A handler that serves several methods has a route for each.
    """
    if route.method not in _METHODS or place.path != ctx.program.module_of[func].path:
        return True
    return not any(_shuts_out(each, route.method, place.line) for each in ir.find(func, ir.If))


def _shuts_out(branch: ir.If, mine: str, line: int) -> bool:
    """Whether a branch on `request.method` keeps a method away from a line: in it, beside it or behind it."""
    method, equal, whole = _asked_method(branch.test)
    enters = (method == mine) is equal
    if not method:
        return False
    if any(each.line <= line <= each.end for each in branch.then):
        return not enters and (equal or whole)
    beside = any(each.line <= line <= each.end for each in branch.other)
    return whole and enters and (beside or (branch.end < line and exits(branch.then)))


def answers_at_once(ctx: Context, route: Route) -> bool:
    """Whether a handler of several methods first of all answers this one plainly: `GET` for its state."""
    for func in route.funcs:
        branch = next((each for each in func.body if isinstance(each, ir.If)), None)
        if (
            branch is None
            or _asked_method(branch.test) != (route.method, True, True)
            or len(branch.then) != 1
        ):
            continue
        calls = ir.find(branch.then[0], ir.Call)
        if isinstance(branch.then[0], ir.Return) and not any(map(ctx.program.functions_called, calls)):
            return True
    return False


_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def _asked_method(test: ir.Node) -> tuple[str, bool, bool]:
    """(method, whether it is to be that one, whether nothing else is asked) of a test; "" where none is named."""
    if isinstance(test, ir.Bin) and test.op == "and" and test.right is not None:
        found = next(
            (each for part in (test.left, test.right) if (each := _asked_method(part))[0]), ("", True, True)
        )
        return found[0], found[1], False
    if isinstance(test, ir.Bin) and isinstance(test.left, ir.Attr) and test.left.name == "method":
        method = (ir.text_of(test.right) or "").upper()
        if method in _METHODS and test.op in EQUALITY:
            return method, test.op in {"==", "==="}, True
    return "", True, True


_PLAIN_DECORATORS = {
    "staticmethod",
    "classmethod",
    "property",
    "wraps",
    "abstractmethod",
    "lru_cache",
    "cache",
    "contextmanager",
    "override",
}


def _decorated(
    ctx: Context, call: ProviderCall, func: ir.Func, steps: tuple[Place, ...], funcs: tuple[ir.Func, ...]
) -> list[Flow]:
    """A function that some framework calls because of its decorator: a bot's command, a page of a UI."""
    names = [ir.dotted(each) for each in func.decorators]
    calling = [each for each in names if "." in each and each.rpartition(".")[2] not in _PLAIN_DECORATORS]
    module = ctx.program.module_of[func]
    if (
        not calling
        or module.path in ctx.dead_modules
        or re.search(r"retry|backoff|require|auth|login|limit|cache", calling[0])
    ):
        return []
    place = Place(module.path, func.line)
    return [Flow(f"{calling[0]} {func.name}", None, call, _with(place, steps), funcs)]


def _with(place: Place, steps: tuple[Place, ...]) -> tuple[Place, ...]:
    return steps if steps[0] == place else (place, *steps)


def _sites(ctx: Context, func: ir.Func) -> list[tuple[Module, ir.Node]]:
    """Where a function is called, named as a value, or written inside another one."""
    sites: list[tuple[Module, ir.Node]] = [
        (each.module, each.call) for each in ctx.program.callers.get(func, [])
    ]
    sites.extend(ctx.reached.references.get(func, []))
    module = ctx.program.module_of[func]
    if ir.enclosing(func, ir.Func) is not None or not (func.name or isinstance(func.parent, ir.Class)):
        sites.append((module, func))
    return sites


def _top_level(
    ctx: Context, call: ProviderCall, module: Module, steps: tuple[Place, ...], funcs: tuple[ir.Func, ...]
) -> list[Flow]:
    if module.role not in {"src", "script"} or module.path in ctx.dead_modules:
        return []
    return [Flow(f"SCRIPT {module.path}", None, call, steps, funcs)]
