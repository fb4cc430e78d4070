"""Part of the rule on mock data: payments that count as proved by a literal, and numbers drawn by lot as a judgement.

What a setting or a call decides is left alone, and so is a name that is set again in its function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser, trace
from portraitist.audit.rules.mocks.pretended import switched

_PROVED = re.compile(
    r"(^|_)(payment|purchase|receipt|transaction|subscription|order|charge)_(was_|is_)?"
    r"(verified|valid|successful|success|succeeded|ok|confirmed|completed|approved|paid)$"
    r"|^(is_)?(valid|verified|successful)_(payment|purchase|receipt|transaction)$"
)
_JUDGES = re.compile(
    r"(^|_)(similarity|confidence|quality|accuracy|likeness|sharpness|resemblance|identity|realism|match)"
    r"(_score|_pct|_percent|_rating)?$|(^|_)score$"
)
_BY_LOT = {"random.uniform", "random.random", "random.randint", "Math.random", "random.gauss"}
_DRAWS = {each.partition(".")[2] for each in _BY_LOT}


_PLAIN = {
    "random", "Math", "uniform", "randint", "gauss", "round", "floor", "ceil", "min", "max", "toFixed", "Number",
    "parseFloat", "float", "int",
}  # fmt: skip


def never_refused(ctx: Context) -> Iterator[Finding]:
    """`payment_verified = True` in front of a branch that it decides, and `score: Math.random()`."""
    for module in ctx.live:
        if module.role != "src" or module.path in ctx.dead_modules or runs_in_browser(module):
            continue
        yield from _payments(ctx, module)
        if not _DRAWS.isdisjoint(module.callees):
            yield from _scores(ctx, module)


def _payments(ctx: Context, module: Module) -> Iterator[Finding]:
    for assign in module.all(ir.Assign):
        name, value, func = assign.target, assign.value, assign.within
        if not isinstance(name, ir.Name) or not isinstance(value, ir.Lit) or value.value is not True:
            continue
        if (
            func is None
            or not _PROVED.search(snake(name.id))
            or ctx.role_at(module, assign) not in LIVE_ROLES
        ):
            continue
        sets = [each for each in ir.find(func, ir.Assign) if last_name(each.target) == name.id]
        tests = [
            each
            for each in ir.find(func, ir.If)
            if any(isinstance(one, ir.Name) and one.id == name.id for one in ir.walk(each.test))
        ]
        if len(sets) == 1 and tests and not switched(assign):
            message = f"{name.id} is written as true here: the branch at line {tests[0].line} refuses nobody"
            yield finding("mock-data", module, assign, message, key=name.id, weight=66)


def _scores(ctx: Context, module: Module) -> Iterator[Finding]:
    """The first entry of each function that is named for a judgement and holds a number drawn by lot."""
    seen: set[ir.Func] = set()
    for prop in module.all(ir.Prop):
        func = prop.within
        if func is None or func in seen or not prop.key or not _JUDGES.search(snake(prop.key)):
            continue
        drawn = next((part for _, part in trace(ctx, module, prop.value) if _is_drawn(part)), None)
        if drawn is not None and ctx.role_at(module, prop) in LIVE_ROLES and not switched(prop):
            seen.add(func)
            message = f"{prop.key} is a number drawn by lot"
            yield finding("mock-data", module, prop, message, key=f"lot {prop.key}", weight=48)


def _is_drawn(part: ir.Node) -> bool:
    """Whether a number is drawn, and nothing but literals goes into it."""
    drawn = any(ir.plain_dotted(each.func) in _BY_LOT for each in ir.find(part, ir.Call))
    return drawn and names_in(part) <= _PLAIN
