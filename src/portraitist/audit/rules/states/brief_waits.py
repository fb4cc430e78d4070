"""Part of the rule on states that stay open: work whose answer is waited for a minute at most, and never asked again.

`Prefer: wait` holds a request that starts a prediction open for 60 seconds; what is not ready then is answered as it
is, still under way. How long a model takes is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, helpers_of, last_name, names_in
from portraitist.audit.rules.gravity import BARELY

_WAIT = re.compile(r"wait(\s*=\s*(\d+))?$", re.I)
_LONGEST = 60
_UNDER_WAY = {"processing", "starting", "in_progress", "pending", "running", "queued"}
_KEPT = {"id", "urls", "prediction_id", "predictionId"}
_HANDS_ON = {
    "json",
    "loads",
    "parse",
    "get",
    "isArray",
    "isinstance",
    "len",
    "str",
    "String",
    "stringify",
    "dumps",
}
_SPEAKS = re.compile(r"(^|\.)(console|log|logger|logging)\.|^print$|Error$|Exception$|raise_for_status$")


def waited_once(ctx: Context) -> Iterator[Finding]:
    """A start that asks its answer to wait, and of which nothing but the output is looked at.

    Not where its id is taken, where it is handed on or given back whole, where a word for work under way is known, a
    webhook is named, or where the function or a helper of it asks the provider or does anything over and over.
    """
    asking = {each.func for each in ctx.calls if each.purpose == "status"}
    for call in ctx.creates():
        func, module = call.func, call.module
        seconds = 0 if call.sdk or func is None else _seconds(module, call)
        if not seconds or func is None or call.fields("webhook"):
            continue
        below = {func, *helpers_of(ctx, func)}
        if below & asking or any(isinstance(each, ir.Loop) for each in ir.ancestors(call.call)):
            continue
        if names_in(func) & _UNDER_WAY or any(_repeats(each) for each in ir.find(func, ir.Loop)):
            continue
        output = _output_of(func, call.call)
        if output is None:
            continue
        message = (
            f"the answer is waited for {seconds} seconds at most: what is still under way then has no output here, "
            "and nobody asks for it again"
        )
        yield finding("stuck-status", module, call.call, message, key="brief wait", weight=BARELY,
                      end=max(call.call.end, output.end))  # fmt: skip


def _seconds(module: Module, call: ProviderCall) -> int:
    """How long a request's header asks it to be held open, spelled in it or in a variable that it is given; else 0."""
    around: list[ir.Node] = [call.call]
    for name in ir.find(call.call, ir.Name):
        if re.search(r"headers?$|options?$|config$|init$", name.id, re.I):
            around += [each.value for each in bindings_of(module, name) if each.value is not None]
    for each in (prop for one in around for prop in ir.find(one, ir.Prop)):
        said = _WAIT.match(ir.text_of(each.value) or "") if (each.key or "").lower() == "prefer" else None
        if said is not None:
            return int(said.group(2) or _LONGEST)
    return 0


def _repeats(loop: ir.Loop) -> bool:
    """Whether a loop asks or waits for something."""
    return any(
        re.search(r"fetch|request|sleep|get$|poll|wait|setTimeout", last_name(each.func), re.I)
        for each in ir.find(loop, ir.Call)
    )


def _output_of(func: ir.Func, started: ir.Call) -> ir.Node | None:
    """The first place where the output of the answer is taken; None where more of the answer is kept."""
    names = _made_of(func, started)
    found: ir.Node | None = None
    for each in ir.walk(func):
        root = ir.root_of(each) if isinstance(each, ir.Attr | ir.Index | ir.Call) else each
        if not isinstance(root, ir.Name) or root.id not in names:
            continue
        key = _key(each)
        if key in _KEPT:
            return None
        if key == "output" and found is None:
            found = each
        if isinstance(each, ir.Name) and _is_handed_on(each):
            return None
    return found


def _key(node: ir.Node) -> str:
    """`answer.output`, `answer["output"]`, `answer.get("output")`."""
    if isinstance(node, ir.Attr):
        return node.name
    if isinstance(node, ir.Index):
        return ir.text_of(node.key) or ""
    if isinstance(node, ir.Call) and last_name(node.func) == "get" and node.args:
        return ir.text_of(node.args[0]) or ""
    return ""


def _made_of(func: ir.Func, started: ir.Call) -> set[str]:
    """The variables that hold the answer, or what was parsed of it, as a whole."""
    names: set[str] = set()
    for each in ir.find(func, ir.Assign):
        value = each.value
        if value is None or not isinstance(each.target, ir.Name) or each.line < started.line:
            continue
        whole = value is started or (
            isinstance(value, ir.Call) and last_name(value.func) in {"json", "parse", "loads"}
        )
        if whole and (value is started or variables_in(value) & names):
            names.add(each.target.id)
    return names


def _is_handed_on(name: ir.Name) -> bool:
    """Whether a variable as a whole is given back, kept, or handed to something that may look at all of it."""
    up = name.parent
    if isinstance(up, ir.Return | ir.Prop | ir.Arr):
        return True
    if isinstance(up, ir.Assign) and up.value is name:
        return True
    if isinstance(up, ir.Call) and name in up.args:
        return last_name(up.func) not in _HANDS_ON and not _SPEAKS.search(ir.dotted(up.func))
    return False
