"""What becomes of a check's answer: the branch that leaves by it, or that keeps all the work for who passed.

Used by `auth`, and by rules that ask the same of other calls. What denies is in `denial`.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import denial
from portraitist.audit.facts.auth_optional import lets_strangers
from portraitist.audit.facts.base import Context
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module


def answer_tested(ctx: Context, module: Module, func: ir.Func, call: ir.Call) -> bool:
    """Whether the answer of `call` is tested later in the function, with a way out."""
    return test_of(ctx, module, func, call) is not None


_HEADERS = {"authorization", "x-api-key", "api-key"}


def is_of_key(ctx: Context, module: Module, func: ir.Func, call: ir.Call, helper: ir.Func) -> bool:
    """Whether a helper looks for a row by the key in a header, and its caller turns away who has none.

    `const client = await clientOf(request); if (!client) return 401`, whatever the helper is called.
    """
    if not any(each.kind == "read" and each.where for each in ctx.statements_under.get(helper, ())):
        return False
    if not any(str(each.value).lower() in _HEADERS for each in ir.find(helper, ir.Lit)):
        return False
    test = test_of(ctx, module, func, call)
    return test is not None and (denial.turns_away(ctx, test.then) or denial.turns_away(ctx, test.other))


def test_of(ctx: Context, module: Module, func: ir.Func, call: ir.Call) -> ir.If | None:
    """The branch that leaves by what `call` answered, or keeps all that is left to do for who is there."""
    names = _bound_names(call)
    for test in ir.find(func, ir.If):
        if test.line < call.line:
            continue
        used = {each.id for each in ir.find(test.test, ir.Name) if not denial.is_always(module, each)}
        leaves = denial.exits(test.then) and not lets_strangers(test)
        if (leaves or _keeps_the_rest(ctx, func, test)) and (used & names or call in set(ir.walk(test.test))):
            return test
    return _derived_test(func, call, names)


def _derived_test(func: ir.Func, call: ir.Call, names: set[str]) -> ir.If | None:
    """`const userId = session?.user?.id; if (!userId) return …`: the test is on something taken from it."""
    derived = set(names)
    for assign in ir.find(func, ir.Assign):
        if assign.line >= call.line and assign.value is not None:
            used = variables_in(assign.value)
            if used & derived:
                derived |= variables_in(assign.target)
    later = (each for each in ir.find(func, ir.If) if each.line >= call.line and denial.exits(each.then))
    tests = (each for each in later if not lets_strangers(each))
    return next((each for each in tests if variables_in(each.test) & (derived - names)), None)


def _keeps_the_rest(ctx: Context, func: ir.Func, test: ir.If) -> bool:
    """`if (session) { … } else { res.status(401) }`, with nothing behind it that runs for a stranger too."""
    turned = bool(test.other) and denial.turns_away(ctx, test.other)
    parts = [each.op for each in ir.find(test.test, ir.Bin)] if turned else []
    return turned and all(each == "and" for each in parts) and not any(_calls_behind(func, test))


def _calls_behind(func: ir.Func, node: ir.Node) -> Iterator[ir.Call]:
    """The calls of the statements that follow a node, in its own block and those around it."""
    below = node
    for around in ir.ancestors(node):
        for body in ir.bodies_of(around):
            if below in body:
                for each in body[body.index(below) + 1 :]:
                    yield from ir.find(each, ir.Call)
        if around is func:
            return
        below = around


def _bound_names(call: ir.Call) -> set[str]:
    for parent in ir.ancestors(call):
        if isinstance(parent, ir.Assign):
            return variables_in(parent.target)
        if isinstance(parent, ir.Func | ir.If | ir.Loop):
            break
    return set()


def asked_after(func: ir.Func, call: ir.Call) -> bool:
    """Whether something after a check leaves where a thing is not there: `if (!who) return`."""
    later = (each for each in ir.find(func, ir.If) if each.line > call.line and denial.exits(each.then))
    asked = _bound_names(call) | {
        one.id
        for each in ir.find(func, ir.Assign)
        if each.value is not None and variables_in(each.value) & _bound_names(call)
        for one in ir.find(each.target, ir.Name)
    }
    return any(
        part.op in {"not", "==", "===", "is"} and variables_in(part) & asked
        for each in later
        for part in ir.find(each.test, ir.Bin)
    )


def swallowed(call: ir.Call) -> bool:
    """Whether what a call throws is caught in the same function, and the function goes on in every case."""
    inner: ir.Node = call
    for around in ir.ancestors(call):
        if isinstance(around, ir.Func):
            return False
        if isinstance(around, ir.Try) and around.handlers and any(each is inner for each in around.body):
            return not any(denial.exits(each.body) for each in around.handlers)
        inner = around
    return False
