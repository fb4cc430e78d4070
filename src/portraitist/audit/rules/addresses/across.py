"""Part of the rule on temporary addresses: what comes back from the repository's own routes, and what a page keeps.

A request is followed to what the route answers (`rules.own_requests`), a state of a page to what sets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.rules.addresses.loose import ANSWERS
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.own_requests import own_requests
from portraitist.audit.rules.syntax import in_handler

_ASKS_FOR_COPY = re.compile(r"^(upload|store|save|persist|mirror|copy|cache|bucket|folder)", re.I)
"""Entries of a body by which a request asks for a copy of its own."""
Answer = tuple[Module, ir.Node]


def answered_to(ctx: Context, call: ir.Call) -> tuple[list[Answer], tuple[str, ...]]:
    """What a request of the repository's own gets, as its routes answer it, and the keys under which it gets that.

    Answers to what failed are left out, and those that stand under a test of what the request says otherwise.
    """
    route = ctx.once(own_requests).get(call)
    if route is None:
        return [], ()
    name = last_name(call.func)
    under = ("data",) if name == "invoke" or "axios" in ir.dotted(call.func).lower() else ()
    given = _sent(call)
    if given is not None and any(_ASKS_FOR_COPY.search(each) for each in given):
        return [], ()
    found = [
        (each.module, node)
        for each in route.handlers
        if isinstance(each.node, ir.Func) and each.module is not None
        for node in _answers(each.node)
        if not in_handler(node) and not _stands_otherwise(each.module, node, given)
    ]
    return found, under


def _answers(func: ir.Func) -> Iterator[ir.Node]:
    yield from returns(func)
    for call in ir.find(func, ir.Call):
        if last_name(call.func) in ANSWERS and isinstance(call.func, ir.Attr):
            yield call


def _sent(call: ir.Call) -> set[str] | None:
    """The keys of the body that a request sends; None where they are not all written out."""
    for each in ir.walk(call):
        body = each.get("body") if isinstance(each, ir.Obj) else None
        if isinstance(body, ir.Call) and last_name(body.func) == "stringify" and body.args:
            body = body.args[0]
        if isinstance(body, ir.Obj) and not any(one.spread or one.key is None for one in body.props):
            return {one.key for one in body.props if one.key is not None}
    return None


def _is_sent(module: Module, name: ir.Name) -> bool:
    """Whether a variable is an entry of the request's body: `const { userId } = await req.json()`."""
    made = [each.value for each in bindings_of(module, name) if each.keys and each.value is not None]
    return any(each.name in {"json", "body"} for value in made for each in ir.find(value, ir.Attr))


def _stands_otherwise(module: Module, node: ir.Node, given: set[str] | None) -> bool:
    """Whether an answer is given only to those who send what this request does not, or do not send what it does."""
    inside = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If):
            test, positive = each.test, inside in each.then
            if isinstance(test, ir.Bin) and test.op in {"!", "not"}:
                test, positive = test.left, not positive
            asked = isinstance(test, ir.Name) and _is_sent(module, test)
            if isinstance(test, ir.Name) and asked and (given is None or (test.id in given) is not positive):
                return True
        inside = each
    return False


def kept_in_state(ctx: Context, module: Module, binding: Binding) -> list[Answer]:
    """What a page's state may hold, besides what it began with: `set(value)` for `const [held, set] = useState()`.

    Also where the setter is handed to a component under another name: `<Card onChange={set} />`.
    """
    made = binding.value
    if not isinstance(made, ir.Call) or last_name(made.func) != "useState" or binding.keys != (0,):
        return []
    holder = ir.enclosing(made, ir.Assign)
    target = holder.target if holder is not None else None
    if not isinstance(target, ir.Arr) or len(target.items) != 2:
        return []
    setter = variables_in(target.items[1])
    calls = [(module, each) for each in module.calls(setter)]
    for prop in module.all(ir.Prop):
        card = prop.parent.parent if prop.parent is not None else None
        if (
            isinstance(prop.value, ir.Name)
            and prop.value.id in setter
            and prop.key
            and isinstance(card, ir.Call)
        ):
            homes = [each.module for each in ctx.program.functions_called(card) if each.module is not None]
            calls += [(home, each) for home in dict.fromkeys(homes) for each in home.calls({prop.key})]
    found: list[Answer] = []
    for home, call in calls:
        for arg in call.args[:1]:
            found += [(home, each) for each in (returns(arg) if isinstance(arg, ir.Func) else [arg])]
    return found
