"""Part of the rule on mock data: timers and fixed answers where work should be done.

Looks at functions of the server that live code can reach. What a setting for tests or demonstrations switches on is
left alone, and so is what nobody calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import DONE, STATE
from portraitist.audit.rules.syntax import claims_success, in_handler

_MAKES = re.compile(
    r"^_*(\w+_)?(generate|create|make|produce|render|synthesi[sz]e|compose|enhance|upscale|transform|animate|swap|process"
    r"|convert|edit|remove|run|train|check|poll|get_\w*(status|result))(_|$)"
)
_MEDIA = re.compile(
    r"^https?://\S+\.(png|jpe?g|webp|gif|mp4|webm|mov|wav|mp3|ogg|safetensors)(\?\S*)?$", re.I
)
_NO_HOST = re.compile(
    r"^https?://([\w-]+\.)*(simulat\w*|mock\w*|fake\w*|dummy\w*|placeholder\w*|your[-_]?\w+|example)([.-][\w.-]*)?(/|$)",
    re.I,
)
_HARMLESS = re.compile(
    r"(^|\.)(console|log|logger|logging|print|uuid\w*|random\w*|secrets|Math|Date|datetime|time|now|utcnow|isoformat|toISOString"
    r"|str|int|float|len|round|min|max|range|String|Number|sleep|delay|wait|setTimeout|Promise|resolve|timedelta|strftime"
    r"|hex|toString|slice|substring|substr|split|join|Error|Exception|info|warning|error|debug|crypto|randomUUID|getTime"
    r"|timezone|format|replace|upper|lower|strip|trim)(\.|$)"
)
_MOCK_WORDS = r"mock|fake|dummy|simulated?|stub"
_PRETENDS = re.compile(
    r"^_*((\w+_)?(mock|fake|dummy)_\w+|\w+_(mock|fake|dummy)"
    r"|simulate_\w*(generat|train|process|pay|complet|upload|remov|enhanc|swap|render|call|result|image|video|audio)\w*)$"
)
_NO_WORK = re.compile(
    r"progress|click|typing|delay|event|scroll|key|latency|stream|cursor|network|loading|hash|password|agent|auth"
)
_SWITCH = re.compile(
    rf"{_MOCK_WORDS}|demo|dev(elopment)?\b|is_?dev|debug|test|sandbox|local|dry_?run|node_env|preview|staging",
    re.I,
)


def pretended(ctx: Context) -> Iterator[Finding]:
    """Timers that set a row to done, answers that nothing was done for, fixed media, and calls of simulations."""
    for module in ctx.live:
        if (
            module.role != "src"
            or module.path in ctx.dead_modules
            or module.path.endswith((".tsx", ".jsx", ".html"))
        ):
            continue
        yield from _timers(ctx, module)
        for func in module.all(ir.Func):
            if _MAKES.search(snake(func.name)) and ctx.role_at(module, func) in LIVE_ROLES:
                yield from _answers(module, func)
        if module in ctx.once(speaking_of_mocks):
            yield from _simulations(ctx, module)


def speaking_of_mocks(ctx: Context) -> set[Module]:
    """The product's files that say mock, fake, dummy or simulate somewhere."""
    words = ("mock", "fake", "dummy", "simulat")
    product = [each for each in ctx.live if each.role == "src"]
    return {each for each in product if any(word in each.file.lowered_words for word in words)}


def _timers(ctx: Context, module: Module) -> Iterator[Finding]:
    """`setTimeout(() => update({ status: "completed" }))` that asks nobody whether anything was done."""
    for call in module.calls({"setTimeout", "setInterval"}):
        func = call.args[0] if call.args else None
        if not isinstance(func, ir.Func) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        writes = ctx.statements_under.get(func, [])
        asks = any(each.kind == "read" for each in writes)
        helpers = any(ctx.program.functions_called(each) for each in ir.find(func, ir.Call))
        fetches = any(
            last_name(each.func) in {"fetch", "get", "post", "request"} for each in ir.find(func, ir.Call)
        )
        for statement in () if asks or helpers or fetches else writes:
            for use in statement.columns:
                value = use.value.value if isinstance(use.value, Known) else None
                if STATE.search(snake(use.column)) and str(value).lower() in DONE:
                    message = f"a timer sets {statement.table}.{use.column} to {value!r}, and nothing is asked before"
                    yield finding(
                        "mock-data", module, call, message, key=f"timer {statement.table}", weight=56
                    )


def _answers(module: Module, func: ir.Func) -> Iterator[Finding]:
    """Answers of a function named for work that are the same whatever it is asked, or a made-up address."""
    if says_so(func):
        return
    given = [
        each
        for each in ir.find(func, ir.Return)
        if each.within is func and not each.throws and each.value is not None
    ]
    for leave in given:
        if in_handler(leave) or switched(leave):
            continue
        address = _address(leave.value)
        if address and (_NO_HOST.search(address) or (func.params and _MEDIA.search(address))):
            message = f"{func.name} answers with the fixed or made-up address {address[:60]}"
            yield finding("mock-data", module, leave, message, key=func.name, weight=50)
            return
    if given and _sleeps(func) and not _works(func):
        for leave in given:
            claim = _claim(leave.value)
            if claim:
                message = f"{func.name} waits and answers {claim}; nothing is done in it"
                yield finding("mock-data", module, leave, message, key=func.name, weight=50)
                return


def _address(value: ir.Node | None) -> str:
    """An address that is written where an answer is made: the text, with `x` for what is filled in."""
    given: list[ir.Node] = [value] if value is not None else []
    if isinstance(value, ir.Obj):
        given = [
            each.value
            for each in value.props
            if re.search(r"url|image|video|audio|output|uri|src", each.key or "", re.I)
        ]
    for one in given:
        each = one.items[0] if isinstance(one, ir.Arr) and one.items else one
        text = ir.text_of(each)
        if isinstance(each, ir.Tmpl):
            text = "".join(str(part.value) if isinstance(part, ir.Lit) else "x" for part in each.parts)
        if text and text.startswith("http"):
            return text
    return ""


def _sleeps(func: ir.Func) -> bool:
    """Whether a function waits for a time outside of any loop."""
    for call in ir.find(func, ir.Call):
        if last_name(call.func) in {"sleep", "setTimeout", "delay"} and not any(
            isinstance(each, ir.Loop) for each in ir.ancestors(call)
        ):
            return True
    return False


def _works(func: ir.Func) -> bool:
    """Whether a function calls anything that could do work."""
    return any(not _HARMLESS.search(ir.dotted(each.func) or "?") for each in ir.find(func, ir.Call))


def _claim(value: ir.Node | None) -> str:
    """What an answer claims of an outcome: its status or its success."""
    for each in ir.find(value, ir.Prop) if isinstance(value, ir.Obj) else ():
        text = ir.text_of(each.value)
        if (
            each.key in {"status", "state"}
            and text
            and text.lower() in DONE | {"processing", "started", "queued"}
        ):
            return f"{each.key} {text!r}"
        if claims_success(each):
            return f"{each.key}: true"
    return ""


def _simulations(ctx: Context, module: Module) -> Iterator[Finding]:
    """Calls of functions that are named for what they pretend, by functions that are not."""
    seen: set[tuple[ir.Func | None, str]] = set()
    for call in module.all(ir.Call):
        name = snake(last_name(call.func))
        if not _PRETENDS.match(name) or _NO_WORK.search(name) or ctx.role_at(module, call) not in LIVE_ROLES:
            continue
        owner = call.within
        used = isinstance(call.parent, ir.Return | ir.Assign | ir.Prop) or _only_waits(call)
        if owner is None or (owner, name) in seen or not used or says_so(owner) or switched(call):
            continue
        for there in ctx.program.functions_called(call):
            if there.module is None or not isinstance(there.node, ir.Func) or there.node.name in _MADE:
                continue
            seen.add((owner, name))
            message = f"{last_name(call.func)} stands for the real work here"
            yield finding("mock-data", module, call, message, key=name, weight=BARELY,
                          evidence=[Place(there.module.path, there.node.line)])  # fmt: skip
            break


_MADE = {"__init__", "constructor"}
"""What a class is made with: which class it shall be is mostly a setting."""


def _only_waits(call: ir.Call) -> bool:
    return isinstance(call.parent, ir.Other) and isinstance(call.parent.parent, ir.Return | ir.Assign)


def says_so(func: ir.Func) -> bool:
    """Whether a function or its class is itself named for a mock."""
    held = (last_name(each.target) for each in ir.ancestors(func) if isinstance(each, ir.Assign))
    names = snake("_".join((func.owner, func.name, *held)))
    return re.search(rf"(^|_)({_MOCK_WORDS}|demo|test|in_memory)(_|$)", names) is not None


def switched(node: ir.Node) -> bool:
    """Whether something stands in a branch that a setting for tests or demonstrations decides on."""
    for each in ir.ancestors(node):
        if isinstance(each, ir.If | ir.Cond) and any(_SWITCH.search(name) for name in names_in(each.test)):
            return True
        if isinstance(each, ir.Func):
            break
    return False
