"""Part of the rule on credits: prices that the request names, and more pictures than are paid for.

A number of the request counts as bounded where anything compares it with a number, clamps it, or a schema of the
repository says a least or a greatest for its name; what the database's constraints refuse is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import bindings_of, visible
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in, place
from portraitist.audit.rules.credits.changes import CREDIT
from portraitist.audit.rules.credits.effects import balance_effects, done_in
from portraitist.audit.rules.requests import Given, below, is_given

_OUTPUTS = (
    "num_outputs", "num_images", "number_of_images", "n", "batch_size", "num_images_per_prompt", "image_count",
    "max_images", "numberOfImages", "numOutputs",
)  # fmt: skip
_CLAMPS = re.compile(r"^(min|max|clamp|abs|range|includes|has|isIn|between)$", re.I)
_CONVERTS = re.compile(r"^(Number|parseInt|parseFloat|int|float|round|ceil|floor|trunc|Decimal|json|parse)$")
_COMPARES = {"<", ">", "<=", ">=", "==", "===", "!=", "!==", "in", "not in", "instanceof"}
_STATED = (
    r"\b{}\b\??['\"]?\s*[:=][^;]{{0,200}}?"
    r"(min|max|positive|nonneg|g[et]=|l[et]=|enum|literal|conint|oneOf|isInt|refine|Choice|\|\s*\d)"
)
MAX_STEPS = 3
"""How many variables back the number of the request is looked for."""


def amounts(ctx: Context, flows: list[Flow]) -> Iterator[Finding]:
    """Takes of as many credits as the request says, and numbers of outputs that the price knows nothing of."""
    seen: set[ir.Node] = set()
    for flow in flows:
        if flow.route is None:
            continue
        on_way = [
            each for each in below(ctx, flow.route) if each.func in flow.funcs or each.way[0] in flow.funcs
        ]
        found = _named(ctx, flow, on_way, seen)
        yield from found
        if not found:
            yield from _outputs(ctx, flow, on_way, seen)


def _named(ctx: Context, flow: Flow, on_way: list[Given], seen: set[ir.Node]) -> list[Finding]:
    """A take on the way whose amount the request gives, unbounded."""
    found: list[Finding] = []
    for here in on_way:
        for effect in done_in(ctx, here.func, "take"):
            for amount in effect.amounts if effect.node not in seen else ():
                if is_given(here, amount) and not _is_bounded(ctx, here, amount):
                    seen.add(effect.node)
                    module, node = _in_handler(ctx, here, effect.node)
                    names = ", ".join(_said(here, amount)[:2])
                    message = (
                        f"the request says how many credits are taken ({names}), and nothing keeps that above zero: a"
                        " negative number adds credits"
                    )
                    taken = Place(here.module.path, effect.node.line)
                    key = f"amount {flow.call.api}"
                    found.append(finding("credit-before-check", module, node, message, key=key, weight=63, end=node.end,
                                         evidence=[taken]))  # fmt: skip
                    break
    return found


def _said(here: Given, amount: ir.Node) -> list[str]:
    """The fields of the request in an amount, or the amount's own names."""
    parts = list(_behind(here.module, amount, 0))
    fields = {each.name for each in parts if isinstance(each, ir.Attr) and is_given(here, each)}
    return sorted(fields) or sorted(names_behind(here.module, amount))


def _outputs(ctx: Context, flow: Flow, on_way: list[Given], seen: set[ir.Node]) -> Iterator[Finding]:
    """A number of outputs that the request gives, unbounded, where what is taken does not depend on it."""
    here = next((each for each in on_way if each.func is flow.call.func), None)
    sent = flow.call.fields(*_OUTPUTS) if here is not None else []
    takes = [
        each
        for func in {*flow.funcs, *(one.func for one in on_way)}
        for each in ctx.once(balance_effects).get(func, ())
        if each.kind == "take"
    ]
    for each in sent:
        given = each.node.value if isinstance(each.node, ir.Prop) else each.node
        if here is None or given is None or given in seen or not takes or not is_given(here, given):
            continue
        fixed = all(one.amounts and all(isinstance(part, ir.Lit) for part in one.amounts) for one in takes)
        if fixed and not _is_bounded(ctx, here, given):
            seen.add(given)
            took = (
                Place(ctx.program.module_of[takes[0].node.within].path, takes[0].node.line)
                if takes[0].node.within
                else place(flow.call)
            )
            message = f"the request says how many outputs are made ({each.key}), and the price stays the same"
            yield finding("credit-before-check", here.module, given, message, key=f"outputs {flow.call.api}", weight=50,
                          evidence=[took])  # fmt: skip


def _in_handler(ctx: Context, here: Given, node: ir.Node) -> tuple[Module, ir.Node]:
    """The call by which the handler comes to a statement, or the statement in the handler itself."""
    if len(here.way) < 2:
        return here.module, node
    for call in ir.find(here.way[0], ir.Call):
        if any(each.node is here.way[1] for each in ctx.program.functions_called(call)):
            return ctx.program.module_of[here.way[0]], call
    return here.module, node


def names_behind(module: Module, node: ir.Node) -> set[str]:
    """The names that an amount is made of, the variables behind them included."""
    found: set[str] = set()
    for each in _behind(module, node, 0):
        if isinstance(each, ir.Attr):
            found.add(each.name)
        elif isinstance(each, ir.Name):
            found.add(each.id)
            known = module.lookup(each.id, each)
            for binding in visible(known[1], each) if known else ():
                found |= {one for one in binding.keys if isinstance(one, str)}
    return found - {"body", "req", "request", "json", "data", "query", "payload"}


def _is_bounded(ctx: Context, here: Given, amount: ir.Node) -> bool:
    names: set[str] = set()
    for func in here.way:
        names |= (
            {each.name for each in func.params if each.name in here.names}
            if func is not here.way[0]
            else set()
        )
    names |= names_behind(here.module, amount)
    parts = list(_behind(here.module, amount, 0))
    if any(_clamped(part) for part in parts):
        return True
    if any(_asks(func, names) for func in here.way):
        return True
    told = [
        one
        for each in parts
        if isinstance(each, ir.Attr)
        if (one := _field_bounded(ctx, here, each)) is not None
    ]
    return any(told) if told else any(ctx.once(_stated, each) for each in names)


def _field_bounded(ctx: Context, here: Given, member: ir.Attr) -> bool | None:
    """Whether the class of a Python parameter bounds this field; None where that is not known."""
    params = [each.node for each in bindings_of(here.module, member.obj) if isinstance(each.node, ir.Param)]
    annotation = params[0].annotation if params else None
    if here.module.language != "python" or annotation is None:
        return None
    for target in ctx.program.resolve(here.module, annotation):
        if isinstance(target.node, ir.Class) and target.module is not None:
            text = "\n".join(target.module.lines[target.node.line - 1 : target.node.end])
            named = re.search(rf"\b{member.name}\b\s*:[^\n]*(\n\s{{8,}}[^\n]*)*", text)
            checked = re.search(rf"validator\([^)]*['\"]{member.name}['\"]", text)
            if named is not None:
                return bool(
                    checked or re.search(r"g[et]=|l[et]=|Literal|conint|Enum|Positive|NonNeg", named.group(0))
                )
    return None


def _behind(module: Module, node: ir.Node, depth: int) -> Iterator[ir.Node]:
    """The parts of an amount, and of the variables in it; what other calls make of a number is not looked into."""
    yield node
    if isinstance(node, ir.Call):
        within = node.args if _CONVERTS.search(last_name(node.func)) else []
    else:
        within = list(node.children())
    for child in within:
        yield from _behind(module, child, depth)
    known = module.lookup(node.id, node) if isinstance(node, ir.Name) and depth < MAX_STEPS else None
    for binding in visible(known[1], node) if known else ():
        if binding.value is not None and binding.kind == "assign":
            yield from _behind(module, binding.value, depth + 1)


def _clamped(node: ir.Node) -> bool:
    """Whether a part is a choice, an entry of a list, or a call that keeps a number within bounds."""
    return isinstance(node, ir.Cond | ir.Index) or (
        isinstance(node, ir.Call) and bool(_CLAMPS.search(last_name(node.func)))
    )


def _asks(func: ir.Func, names: set[str]) -> bool:
    """Whether a function compares one of these with anything but a balance, or looks it up in a list."""
    for each in ir.find(func, ir.Bin):
        if each.op in _COMPARES and each.right is not None:
            left, right = names_in(each.left), names_in(each.right)
            mine = (names & left, names & right)
            others = right if mine[0] else left
            if any(mine) and not any(CREDIT.search(one.lower()) for one in others - names):
                return True
    return any(
        _CLAMPS.search(last_name(each.func)) and names & {one for arg in each.args for one in names_in(arg)}
        for each in ir.find(func, ir.Call)
    )


def _stated(ctx: Context, name: str) -> bool:
    """Whether a schema of the repository says a bound for a field of this name."""
    pattern = re.compile(_STATED.format(re.escape(name)), re.I)
    return any(name in each.file.text and pattern.search(each.file.text) is not None for each in ctx.live)
