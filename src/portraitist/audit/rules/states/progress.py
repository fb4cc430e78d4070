"""The risk of progress that a clock tells instead of the work itself.

Told by names and by what files speak of; what a page shows of its own server's answers is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser
from portraitist.audit.rules.gravity import BARELY

_PROGRESS = re.compile(r"progress|percent", re.I)


def _speaks_of_progress(module: Module) -> bool:
    """Whether a file names both a progress and a training."""
    text = module.file.lowered_words
    return ("progress" in text or "percent" in text) and (
        "training" in text or "replicate" in text or "prediction" in text
    )


def time_progress(ctx: Context) -> Iterator[Finding]:
    """A progress value of a training computed from elapsed time instead of its log.

    Only values whose name says progress or percent, in files that speak of trainings. A bar that a timer moves on by
    itself is one too, where the timer asks nobody, and one that goes on by a fixed step or with each question. A number
    that is the same as long as the work runs, or one for each state, weighs little, and so does a timer's bar in files
    that only speak of generating.
    """
    spoken = [each for each in ctx.live if _speaks_of_progress(each)]
    timed = [each for each in ctx.live if "setInterval" in each.file.words and "rogress" in each.file.words]
    for module in timed if ctx.calls else ():
        if module not in spoken and "generat" in module.file.lowered_words:
            yield from (replace(each, weight=BARELY) for each in _moved_by_timer(ctx, module))
    for module in spoken:
        yield from _moved_by_timer(ctx, module)
        yield from _by_state(ctx, module)
        seen: set[ir.Func | None] = set()
        for node, name, value in _progresses(module):
            func = ir.enclosing(node, ir.Func)
            if func in seen or ctx.role_at(module, node) not in LIVE_ROLES or not _goes_anywhere(node):
                continue
            source = "the clock" if _by_clock(module, value) else _by_questions(value)
            if source:
                seen.add(func)
                told = f"what {name} is given" if isinstance(node, ir.Call) else name
                message = f"{told} is computed from {source}"
                yield finding("time-progress", module, node, message, key=name, weight=_weight(module))
            elif _is_fixed(node, value):
                seen.add(func)
                message = f"{name} is a fixed number while the work runs, however far it is"
                yield finding("time-progress", module, node, message, key=f"fixed {name}", weight=BARELY)


def _progresses(module: Module) -> Iterator[tuple[ir.Node, str, ir.Node]]:
    """Where a progress is set, its name, and to what: also by what is called so, `setProgress(…)`, `on_progress(…)`."""
    for assign in module.all(ir.Assign):
        if assign.value is not None and _PROGRESS.search(last_name(assign.target)):
            yield assign, last_name(assign.target), assign.value
    for prop in module.all(ir.Prop):
        if _PROGRESS.search(prop.key or ""):
            yield prop, prop.key or "", prop.value
    for call in module.all(ir.Call):
        name = last_name(call.func)
        if call.args and _TELLS.match(name) and not isinstance(call.args[-1], ir.Func):
            yield from ((call, name, each) for each in call.args if isinstance(each, ir.Call | ir.Bin))


_LOGS = re.compile(r"^(console|log|logger|logging)\b|^print$")


def _goes_anywhere(node: ir.Node) -> bool:
    """Whether a progress is used for more than a line of the log: a variable that nothing reads is not."""
    name = node.target if isinstance(node, ir.Assign) else None
    if not isinstance(name, ir.Name) or name.within is None:
        return True
    return any(
        each.id == name.id and each is not name and not _is_for_itself(each)
        for each in ir.find(name.within, ir.Name)
    )


def _is_for_itself(name: ir.Name) -> bool:
    """Whether a variable is only set here, to what it was or anew, or written to the log."""
    for each in ir.ancestors(name):
        if isinstance(each, ir.Assign):
            return isinstance(each.target, ir.Name) and each.target.id == name.id
        if isinstance(each, ir.Call) and _LOGS.search(ir.dotted(each.func)):
            return True
    return False


def _is_fixed(node: ir.Node, value: ir.Node) -> bool:
    """`progress: status === "processing" ? 50 : 0`, `if (status === "training") progress = 40`."""
    if isinstance(value, ir.Cond):
        return (_is_partial(value.then) and _asks_running(value.test)) or _is_fixed(node, value.other)
    below = node
    for each in ir.ancestors(node) if _is_partial(value) else ():
        if isinstance(each, ir.Func):
            return False
        if isinstance(each, ir.If):
            return below in each.then and _asks_running(each.test)
        below = each
    return False


def _by_state(ctx: Context, module: Module) -> Iterator[Finding]:
    """`const PROGRESS = { starting: 10, processing: 50, succeeded: 100 }`, read by the state of the work."""
    for made in module.all(ir.Assign):
        listed = made.value
        if not isinstance(listed, ir.Obj) or not _PROGRESS.search(last_name(made.target)):
            continue
        numbers = {each.key: each.value for each in listed.props if _is_partial(each.value)}
        if numbers.keys() & _STATES and ctx.role_at(module, made) in LIVE_ROLES:
            name = last_name(made.target)
            message = f"{name} gives each state a fixed number, however far the work is"
            yield finding("time-progress", module, made, message, key=f"fixed {name}", weight=BARELY)


_STATES = {"processing", "training", "running", "starting", "generating"}


def _is_partial(node: ir.Node) -> bool:
    number = node.value if isinstance(node, ir.Lit) else None
    return isinstance(number, int) and not isinstance(number, bool) and 1 < number < _DONE


_DONE = 100


def _asks_running(test: ir.Node) -> bool:
    """`status === "processing"`: a test for the provider's word for work that runs."""
    equal = (each for each in ir.find(test, ir.Bin) if each.op in {"==", "==="})
    return any(
        (ir.text_of(each.right) or "").lower() in {"processing", "training", "running"} for each in equal
    )


_TELLS = re.compile(r"(set|on|update|report|emit)_?\w*(progress|percent)", re.I)
_COUNTED = re.compile(
    r"^(attempts?|polls?|poll_?(count|attempts?)|tries|retries|checks|(check|retry|poll|attempt)_?count)$",
    re.I,
)


def _by_questions(value: ir.Node) -> str:
    """What moves a progress on when it is asked for again: the number of questions, or a step from where it was."""
    for each in ir.find(value, ir.Bin):
        if each.op not in {"+", "*", "/"} or each.right is None or each.within is not value.within:
            continue
        names = {last_name(one) for one in (each.left, each.right)}
        if each.op != "+" and any(_COUNTED.match(name) for name in names):
            return "the number of times that the state was asked for"
        step = each.right.value if isinstance(each.right, ir.Lit) else None
        known = isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < _WHOLE
        capped = any(last_name(one.func) == "min" for one in ir.ancestors(each) if isinstance(one, ir.Call))
        if (
            each.op == "+"
            and known
            and capped
            and re.search(r"^(current_?|old_?|last_?)?progress$", last_name(each.left), re.I)
        ):
            return "where it was and a fixed step"
    return ""


_WHOLE = 50
"""A step of so many percent is no estimate of how far the work is."""


def _weight(module: Module) -> int:
    """A page's bar is an estimate for the eye; what a server stores or answers is believed."""
    return BARELY if module.path.endswith((".tsx", ".jsx")) or runs_in_browser(module) else 47


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
            adds = bool(call.args) and _goes_on(tick, call.args[0])
            if adds and not asks and re.match(r"set\w*(progress|percent)", last_name(call.func), re.I):
                name = last_name(call.func)
                message = f"{name} is moved on by a timer that asks nobody how far the work is"
                yield finding("time-progress", module, timer, message, key=name, weight=_weight(module),
                              end=timer.end)  # fmt: skip
                break


def _goes_on(tick: ir.Func, given: ir.Node) -> bool:
    """`(p) => p + 1`, or a variable that the timer itself adds to: `p += 5`."""
    if isinstance(given, ir.Func):
        return any(each.op == "+" for each in ir.find(given, ir.Bin))
    if isinstance(given, ir.Call) and last_name(given.func) in {"min", "round", "floor"} and given.args:
        return _goes_on(tick, given.args[0])
    return isinstance(given, ir.Name) and any(
        isinstance(each.target, ir.Name)
        and each.target.id == given.id
        and (each.op == "+=" or (isinstance(each.value, ir.Bin) and each.value.op == "+"))
        for each in ir.find(tick, ir.Assign)
    )


def _by_clock(module: Module, value: ir.Node) -> bool:
    parts = [value]
    for each in ir.find(value, ir.Name):
        parts.extend(one.value for one in bindings_of(module, each) if one.value is not None)
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
