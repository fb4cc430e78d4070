"""The risk of progress that a clock tells instead of the work itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY

_PROGRESS = re.compile(r"progress|percent", re.I)


def _speaks_of_progress(module: Module) -> bool:
    """Whether a file names both a progress and a training."""
    text = module.lowered
    return ("progress" in text or "percent" in text) and (
        "training" in text or "replicate" in text or "prediction" in text
    )


def time_progress(ctx: Context) -> Iterator[Finding]:
    """A progress value of a training computed from elapsed time instead of its log.

    Only values whose name says progress or percent, in files that speak of trainings. A bar that a timer moves on by
    itself is one too, where the timer asks nobody.
    """
    for module in (each for each in ctx.live if _speaks_of_progress(each)):
        yield from _moved_by_timer(ctx, module)
        seen: set[ir.Func | None] = set()
        nodes: list[ir.Assign | ir.Prop] = [*module.all(ir.Assign), *module.all(ir.Prop)]
        for node in nodes:
            name = last_name(node.target) if isinstance(node, ir.Assign) else node.key or ""
            value = node.value
            if value is None or not _PROGRESS.search(name):
                continue
            func = ir.enclosing(node, ir.Func)
            if func in seen:
                continue
            if _by_clock(ctx, module, value) and ctx.role_at(module, node) in LIVE_ROLES:
                seen.add(func)
                yield finding(
                    "time-progress",
                    module,
                    node,
                    f"{name} is computed from the clock",
                    key=name,
                    weight=_weight(module),
                )


def _weight(module: Module) -> int:
    """A page's bar is an estimate for the eye; what a server stores or answers is believed."""
    return BARELY if module.path.endswith((".tsx", ".jsx")) else 47


def _moved_by_timer(ctx: Context, module: Module) -> Iterator[Finding]:
    """`setInterval(() => setProgress((p) => p + 1), …)`."""
    for timer in module.calls({"setInterval"}):
        tick = timer.args[0] if timer.args else None
        if not isinstance(tick, ir.Func) or ctx.role_at(module, timer) not in LIVE_ROLES:
            continue
        asks = any(
            re.search(r"fetch|axios|get|poll|load|check", ir.dotted(each.func))
            for each in ir.find(tick, ir.Call)
        )
        for call in ir.find(tick, ir.Call):
            given = call.args[0] if call.args else None
            adds = (
                any(each.op == "+" for each in ir.find(given, ir.Bin))
                if isinstance(given, ir.Func)
                else False
            )
            if adds and not asks and re.match(r"set\w*(progress|percent)", last_name(call.func), re.I):
                message = (
                    f"{last_name(call.func)} is moved on by a timer that asks nobody how far the work is"
                )
                yield finding(
                    "time-progress",
                    module,
                    timer,
                    message,
                    key=last_name(call.func),
                    weight=_weight(module),
                    end=timer.end,
                )
                break


def _by_clock(ctx: Context, module: Module, value: ir.Node) -> bool:
    parts = [value]
    for each in ir.find(value, ir.Name):
        found = module.lookup(each.id, each)
        parts.extend(one.value for one in (found[1] if found else []) if one.value is not None)
    divides = any(
        isinstance(each, ir.Bin) and each.op in {"/", "*"} for each in ir.walk(value)
    ) or "Math.min" in {ir.plain_dotted(c.func) for c in ir.find(value, ir.Call)}
    clock = any(
        ir.plain_dotted(call.func)
        in {"Date.now", "time.time", "datetime.now", "datetime.utcnow", "time.monotonic", "performance.now"}
        or ir.dotted(call.func).endswith("getTime")
        for part in parts
        for call in ir.find(part, ir.Call)
    ) or bool(re.search(r"elapsed|duration", " ".join(names_in(value)), re.I))
    return divides and clock and not isinstance(value, ir.Func)
