"""Part of the rule on mock data: a switch written into the code that passes real work by, and pictures of no bytes.

A switch counts where it is a name with a literal value that nothing sets again; one that a setting decides is left
alone, and so is what no live code reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.failures.quiet import working

_SWITCHES = re.compile(
    r"(^|_)(bypass|mock|mocked|fake|simulate|simulation|dummy|stub|demo|test|skip|dry_run)(_|$)"
)
_NO_WORK = re.compile(
    r"auth|login|mail|cache|log|valid|captcha|rate|animation|intro|signature|verif|onboarding"
)
_MAKERS = {"from", "alloc", "Uint8Array", "Blob"}
_PICTURE = re.compile(r"image|photo|picture|img|video|audio|pdf|file|buffer|bytes|mask|poster", re.I)


def bypassed(ctx: Context) -> Iterator[Finding]:
    """Switches that are always on, in front of work that is never done, and empty buffers that are handed on."""
    paid = working(ctx).paid
    for func in ctx.in_order(paid):
        module = ctx.program.module_of[func]
        if module.role == "src" and module.path not in ctx.dead_modules:
            yield from _switches(ctx, module, func, paid)
    for module in ctx.live:
        if module.role == "src" and module.path not in ctx.dead_modules:
            yield from _nothing_in_it(ctx, module)


def _switches(ctx: Context, module: Module, func: ir.Func, paid: dict[ir.Func, int]) -> Iterator[Finding]:
    """`const BYPASS_REPLICATE = true`, asked by a branch that leaves with an answer, or whose other way is the work."""
    for test in ir.find(func, ir.If):
        name = test.test
        if not isinstance(name, ir.Name) or test.within is not func:
            continue
        word = snake(name.id)
        if not _SWITCHES.search(word) or _NO_WORK.search(word):
            continue
        made = _always_on(module, name)
        rest = [each for part in test.other for each in ir.walk(part)]
        if exits(test.then):
            rest += [each for each in ir.walk(func) if each.line > test.end]
        left = any(_leads(ctx, each, paid) for each in rest if isinstance(each, ir.Call))
        if made is None or not left:
            continue
        near = made.within is func and made.line <= test.line
        message = (
            f"{name.id} is always on: the paid work behind this branch is never done, and this answers for it"
        )
        yield finding("mock-data", module, made if near else test, message, key=name.id, weight=56,
                      end=test.test.end, evidence=[Place(module.path, made.line)])  # fmt: skip


def _leads(ctx: Context, call: ir.Call, paid: dict[ir.Func, int]) -> bool:
    """Whether a call is paid, or leads to paid work."""
    own = call in ctx.call_at and ctx.call_at[call].creates
    return own or any(each.node in paid for each in ctx.program.functions_called(call))


def _always_on(module: Module, name: ir.Name) -> ir.Assign | None:
    """The one assignment of `true` to a name in its file, if there is no other."""
    made = [
        each
        for each in module.all(ir.Assign)
        if isinstance(each.target, ir.Name) and each.target.id == name.id
    ]
    only = made[0] if len(made) == 1 else None
    value = only.value if only is not None else None
    return only if isinstance(value, ir.Lit) and value.value is True else None


def _nothing_in_it(ctx: Context, module: Module) -> Iterator[Finding]:
    """`const imageBuffer = Buffer.from([])`, which a call of the repository gets as the picture."""
    for call in module.calls(_MAKERS):
        made, func = call.parent, call.within
        target = made.target if isinstance(made, ir.Assign) and made.value is call else None
        if not isinstance(target, ir.Name) or func is None or not _PICTURE.search(target.id):
            continue
        if not _is_empty(call) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        again = [
            each
            for each in ir.find(func, ir.Assign)
            if each is not made and last_name(each.target) == target.id
        ]
        uses = [each for each in ir.find(func, ir.Name) if each.id == target.id and each is not target]
        handed = next((each for each in uses if _handed(ctx, each)), None)
        if again or handed is None or len(uses) > 1:
            continue
        message = f"{target.id} is empty and is handed on at line {handed.line} as if it held something"
        yield finding("mock-data", module, call, message, key=target.id, weight=52, line=target.line,
                      evidence=[Place(module.path, handed.line)])  # fmt: skip


def _is_empty(value: ir.Call) -> bool:
    if len(value.args) != 1:
        return False
    name, given = ir.dotted(value.func), value.args[0]
    nothing = (isinstance(given, ir.Arr) and not given.items) or ir.text_of(given) == ""
    if name in {"Buffer.alloc", "Uint8Array"}:
        return nothing or (isinstance(given, ir.Lit) and given.value == 0)
    return name in {"Buffer.from", "Blob"} and nothing


def _handed(ctx: Context, name: ir.Name) -> bool:
    """Whether a name is an argument of a call of the repository, or an entry of one."""
    for each in ir.ancestors(name):
        if isinstance(each, ir.Call):
            return bool(ctx.program.functions_called(each))
        if not isinstance(each, ir.Prop | ir.Obj | ir.Arr):
            return False
    return False
