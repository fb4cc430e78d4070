"""Small questions to the syntax that several rules ask: tests, ways out, what an answer says.

Where values come from is asked in `base`; which branches turn callers away in the facts about routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.denial import exits

ORDER = {"<", "<=", ">", ">="}
JOINS = {"and", "or", "&&", "||"}
STAND_IN = {"or", "||", "??"}
"""The operators whose right side is taken where the left one is nothing."""
NOTHING = {"pass_statement", "empty_statement", "comment"}
"""Kinds of statements that do nothing."""
COMPARISONS = EQUALITY | {"in", "not in"}


def tests_of(func: ir.Func) -> list[ir.If | ir.Cond]:
    """Every branch and every `a ? b : c` of a function."""
    return [*ir.find(func, ir.If), *ir.find(func, ir.Cond)]


def leaves_within(body: Iterable[ir.Node]) -> bool:
    """Whether a return or a throw stands anywhere in a body."""
    return any(isinstance(each, ir.Return) for part in body for each in ir.walk(part))


def is_way_out(node: ir.Node) -> bool:
    """Whether a statement ends the function, or a round of the loop it stands in."""
    return isinstance(node, ir.Return) or (isinstance(node, ir.Other) and node.kind in _OUT_OF_LOOPS)


_OUT_OF_LOOPS = {"break_statement", "continue_statement"}


def is_next_round(node: ir.Node) -> bool:
    """Whether a statement goes on to the next round of the loop it stands in."""
    return isinstance(node, ir.Other) and node.kind == "continue_statement"


def is_tried(node: ir.Node) -> bool:
    """Whether a statement stands in a `try` whose handlers take care of its failure."""
    inside: ir.Node = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Try) and each.handlers and inside in each.body:
            return True
        inside = each
    return False


def way_out(handler: ir.Handler) -> ir.Return | None:
    """The return or throw by which a handler plainly ends."""
    return next((each for each in handler.body if isinstance(each, ir.Return)), None)


def branches_around(node: ir.Node, *ends: type[ir.Node]) -> Iterator[ir.If]:
    """The branches in which a node stands when their tests hold, from within, up to its function or one of `ends`."""
    below = node
    for each in ir.ancestors(node):
        if isinstance(each, (ir.Func, *ends)):
            return
        if isinstance(each, ir.If) and below in each.then:
            yield each
        below = each


def in_other_arm(one: ir.Node, other: ir.Node) -> bool:
    """Whether two nodes stand in two arms of one branch, so that no way from the first comes to the second.

    A case of a `switch` is an arm where it ends by itself.
    """
    arms = dict(_arms_around(other))
    for branch, arm in _arms_around(one) if arms else ():
        if arms.get(branch, arm) is not arm and (not isinstance(arm, ir.If) or _ends(arm.then)):
            return True
    return False


def _ends(body: list[ir.Node]) -> bool:
    return bool(body) and is_way_out(body[-1])


def _arms_around(node: ir.Node) -> Iterator[tuple[ir.Node, ir.Node | bool]]:
    """The branches around a node in its function, and in which arm it stands; a test stands in none."""
    below = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.Func):
            return
        if isinstance(each, ir.If) and (below in each.then or below in each.other):
            yield each, below in each.then
        elif isinstance(each, ir.Other) and each.kind == "switch" and isinstance(below, ir.If):
            yield each, below
        below = each


def is_nothing(value: ir.Node | None) -> bool:
    """Whether a way out gives no value, or `null`."""
    return value is None or (isinstance(value, ir.Lit) and value.value is None)


def taker_of(call: ir.Node) -> ir.Node | None:
    """What stands around a call, `await` and parentheses apart: the assignment, the way out, the body it is in."""
    return next((each for each in ir.ancestors(call) if not isinstance(each, ir.Other)), None)


def calls_in(body: Iterable[ir.Node]) -> list[ir.Call]:
    """The calls anywhere in a body."""
    return [each for part in body for each in ir.find(part, ir.Call)]


def attempt_around(node: ir.Node) -> ir.Try | None:
    """The nearest attempt with a handler that a node stands in, in its handler too."""
    return next((each for each in ir.ancestors(node) if isinstance(each, ir.Try) and each.handlers), None)


def stands_alone(call: ir.Call) -> bool:
    """Whether a call is a statement of its own, so that nothing takes what it gives."""
    up = call.parent
    if isinstance(up, ir.If):
        return up.test is not call
    return isinstance(up, ir.Func | ir.Try | ir.Loop | ir.Handler)


def is_set(node: ir.Node) -> bool:
    """Whether a variable or a member is what an assignment sets."""
    return isinstance(node.parent, ir.Assign) and node.parent.target is node


def outermost(func: ir.Func) -> ir.Func:
    """The function that a function is written in, the last one out; itself where it stands alone."""
    while func.within is not None:
        func = func.within
    return func


def in_handler(node: ir.Node) -> bool:
    """Whether a node is part of what follows a failure."""
    return any(isinstance(each, ir.Handler) for each in ir.ancestors(node))


def names_error(value: ir.Node) -> bool:
    """Whether an answer names a status of 400 to 599."""
    numbers = [each.value for each in ir.find(value, ir.Lit) if isinstance(each.value, int)]
    return any(not isinstance(each, bool) and 400 <= each < 600 for each in numbers)


def is_express(call: ir.Call) -> bool:
    """Whether a call answers a request as Express and Fastify do: `res.status(200).json(…)`, `reply.send(…)`."""
    chain = ir.dotted(call.func).split(".")
    return chain[0] in {"res", "response", "reply"} and chain[-1] in {"json", "send", "end", "sendStatus"}


def fails(leave: ir.Return) -> bool:
    """Whether a way out throws, or answers with a status of 400 to 599."""
    return leave.throws or names_error(leave)


def claims_success(prop: ir.Prop) -> bool:
    """`success: true`, `ok: true`."""
    return prop.key in {"success", "ok"} and isinstance(prop.value, ir.Lit) and prop.value.value is True


_MACHINES = {"development", "dev", "local", "test"}


def leaves_in_production(branch: ir.If) -> bool:
    """`if (process.env.NODE_ENV !== "development") return …`: what follows runs on developers' machines alone."""
    test = branch.test
    if not isinstance(test, ir.Bin) or not re.search(r"env(ironment)?$", ir.dotted(test.left), re.I):
        return False
    text = (ir.text_of(test.right) or "").lower()
    wanted = (
        {"!=", "!=="} if text in _MACHINES else {"==", "==="} if text in {"production", "prod"} else set()
    )
    return test.op in wanted and exits(branch.then)


def is_of_express(call: ir.Call) -> bool:
    """`express.static(…)`, `express.json()`: a call of Express's own helpers."""
    return isinstance(call.func, ir.Attr) and ir.dotted(call.func.obj) == "express"


def spelled(node: ir.Node) -> list[object]:
    """What a piece of syntax is made of, for comparison."""
    return [
        getattr(each, "id", None) or getattr(each, "name", None) or getattr(each, "value", None)
        if isinstance(each, ir.Name | ir.Attr | ir.Lit)
        else each.key
        if isinstance(each, ir.Prop)
        else type(each)
        for each in ir.walk(node)
    ]


_EACH = {"map", "forEach", "flatMap", "filter", "find"}


def runs_over(param: ir.Node, *others: str) -> ir.Node | None:
    """What a callback's first parameter runs over: `urls` of `urls.map((url, index) => …)`.

    `others` are further methods that hand a callback what their object holds: `then`.
    """
    func = param.parent
    call = func.parent if isinstance(func, ir.Func) and param in func.params[:1] else None
    if isinstance(call, ir.Call) and isinstance(call.func, ir.Attr) and func in call.args:
        return call.func.obj if call.func.name in _EACH or call.func.name in others else None
    return None
