"""What comes behind a loop that asks the provider so many times, once its rounds are over without an answer.

The ways are followed by `failures.walk`. A loop's own `else` is not followed.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES
from portraitist.audit.rules.failures.values import NOTHING, Partly, Sure
from portraitist.audit.rules.failures.walk import End, TiredError, Walk, Way, blocks_of, ends_behind
from portraitist.audit.rules.states.rounds import ENDS, asking_loops, is_counted
from portraitist.audit.rules.syntax import is_way_out


def ended_rounds(ctx: Context) -> list[tuple[Module, ir.Loop]]:
    """The live loops that ask the provider a number of times."""
    return ctx.once(_ended_rounds)


def _ended_rounds(ctx: Context) -> list[tuple[Module, ir.Loop]]:
    found: dict[ir.Loop, Module] = {}
    for module, loop in ctx.once(asking_loops):
        otherwise = module.language == "python" and bool(loop.body) and loop.body[-1].end < loop.end
        if is_counted(loop) and not otherwise and ctx.role_at(module, loop) in LIVE_ROLES:
            found[loop] = module
    return [(module, loop) for loop, module in found.items()]


def behind_rounds(module: Module, loop: ir.Loop) -> list[End]:
    """How the ways end on which a loop came to its last round and no word of an end; none where there are too many."""
    walk = Walk(python=module.language == "python")
    names = _unset(loop) | _under_way(loop)
    try:
        return walk.behind(loop, [Way(names, frozenset(names))])
    except TiredError:
        return []


def _unset(loop: ir.Loop) -> dict[str, Sure]:
    """The variables that still hold what they began with: each time the loop sets one, it leaves at once."""
    func = loop.within
    begun: dict[str, Sure] = {}
    for each in ir.find(func, ir.Assign) if func is not None else ():
        for target, value in _pairs(each) if each.within is func else ():
            if each.line < loop.line and (value is None or isinstance(value, ir.Lit)):
                begun[target.id] = Sure(value.value) if isinstance(value, ir.Lit) else NOTHING
            elif each.line < loop.line or (each.line <= loop.end and not _leaves_then(each)):
                begun.pop(target.id, None)
    return begun


def _pairs(made: ir.Assign) -> Iterator[tuple[ir.Name, ir.Node | None]]:
    """The variables of an assignment with what each gets: `last, turn = None, 0` too."""
    if isinstance(made.target, ir.Name):
        yield made.target, made.value
    elif isinstance(made.target, ir.Arr) and isinstance(made.value, ir.Arr):
        for target, value in zip(made.target.items, made.value.items, strict=False):
            if isinstance(target, ir.Name):
                yield target, value


def _under_way(loop: ir.Loop) -> dict[str, Sure]:
    """The variables that the loop asks for an end: none of those words has come."""
    found: dict[str, Sure] = {}
    for each in ir.find(loop, ir.Bin):
        ends = {lit.value for lit in ir.find(each.right, ir.Lit)} & ENDS if each.right is not None else set()
        asked = each.left
        if isinstance(asked, ir.Call) and isinstance(asked.func, ir.Attr) and asked.func.name == "get":
            base: ir.Node = asked.func.obj
        else:
            base = asked.obj if isinstance(asked, ir.Attr | ir.Index) else asked
        if ends and isinstance(base, ir.Name):
            found[base.id] = _RUNS if base is asked else Sure(Partly(status=_RUNS))
    return found


_RUNS = Sure("processing")


def _leaves_then(node: ir.Assign) -> bool:
    """Whether what stands behind an assignment in its block leaves the loop."""
    up = node.parent
    for body in blocks_of(up) if up is not None else ():
        if node in body:
            rest = body[body.index(node) + 1 :]
            return any(
                is_way_out(each) and getattr(each, "kind", "") != "continue_statement" for each in rest
            )
    return False


MAX_CALLERS = 2
"""How many callers up what a poll gives back is followed."""


def giving_up(ctx: Context) -> dict[ir.Func, tuple[Sure, ir.Loop, Module]]:
    """The functions that give back nothing, or a failure, when their questions are over: what, where."""
    found: dict[ir.Func, tuple[Sure, ir.Loop, Module]] = {}
    for module, loop in ended_rounds(ctx):
        value = _given(behind_rounds(module, loop))
        if loop.within is not None and value is not None:
            found.setdefault(loop.within, (value, loop, module))
    last = dict(found)
    for _ in range(MAX_CALLERS):
        more: dict[ir.Func, tuple[Sure, ir.Loop, Module]] = {}
        for func, (value, loop, module) in last.items():
            for site in ctx.program.callers.get(func, ()):
                owner = site.call.within
                if owner is None or owner in found or owner in ctx.handled_by:
                    continue
                try:
                    handed = _given(ends_behind(site.module, site.call, value))
                except TiredError:
                    continue
                if handed is not None:
                    more.setdefault(owner, (handed, loop, module))
        found.update(more)
        last = more
    return found


def _given(ends: list[End]) -> Sure | None:
    """What a function surely gives on the first of its ways that gives back a failure."""
    for each in ends:
        value = each.value if each.kind == "gives" else NOTHING if each.kind == "falls" else None
        if value is not None and _tells_failure(value):
            return value
    return None


def _tells_failure(value: Sure) -> bool:
    """`None`, `False`, `{"success": False}`."""
    if isinstance(value.value, dict):
        said = [value.value.get(key) for key in ("success", "ok", "succeeded")]
        return any(isinstance(each, Sure) and each.value is False for each in said)
    return value.value is None or value.value is False
