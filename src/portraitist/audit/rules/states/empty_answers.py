"""Part of the rule on states that stay open: work that succeeded and brought nothing, which no branch is for.

Loops that wait have an end of their own and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import AND, joined
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.failures.quiet import only_logs

_OUTPUT = re.compile(r"output|^(results?|(image|video|media|result)_?urls?)$", re.I)
_STATE = re.compile(r"status|state", re.I)
_ENDS = {"failed", "error", "errored", "FAILED", "ERROR", "Failed"}
_ANSWERS = re.compile(r"json|response|send|status|emit|postMessage|^set[A-Z]|log|error$|track|capture", re.I)


def passes_over_empty(module: Module, func: ir.Func) -> Iterator[Finding]:
    """`succeeded` together with an output as the only branch for it, and nothing behind that ends the row's state.

    For functions that are known to watch the provider and to keep a state.
    """
    for test in ir.find(func, ir.If):
        if test.within is not func or any(_around(each, func) for each in ir.ancestors(test)):
            continue
        inner = _inner(test)
        if not _is_for_success(test.test) or inner is None:
            continue
        sets = {one for each in test.then if _only_sets(each) for one in ir.walk(each)}
        other = [
            each
            for each in ir.find(func, ir.If)
            if each not in (test, inner) and each not in sets and _asks_output(each.test)
        ]
        behind = list(_behind(test, inner))
        if _asks_elsewhere(other, inner) or any(_ends_it(each) for each in behind):
            continue
        closing = _closing(test, inner)
        first = closing[0] if closing else test
        last = max(
            [test.test.end, inner.test.end, *(each.line for each in behind if isinstance(each, ir.Return))]
        )
        message = "work that succeeded without an output changes no state here: it stays open"
        yield finding("stuck-status", module, first, message, key="output", weight=30,
                      line=first.line, end=closing[-1].end if closing else last)  # fmt: skip


def hands_over_end(func: ir.Func) -> bool:
    """Whether a function hands `status: "failed"` to something that is no answer: a service that keeps the rows."""
    for prop in ir.find(func, ir.Prop):
        if prop.key in {"status", "state"} and ir.text_of(prop.value) in _ENDS:
            call = ir.enclosing(prop, ir.Call)
            if call is not None and not _ANSWERS.search(ir.dotted(call.func).rpartition(".")[2]):
                return True
    return False


def _around(node: ir.Node, func: ir.Func) -> bool:
    return isinstance(node, ir.Loop) and node.within is func


def _is_for_success(test: ir.Node) -> bool:
    """Whether a test is true for `succeeded` alone, an output apart."""
    for each in joined(test, AND):
        equal = (
            isinstance(each, ir.Bin) and each.op in {"==", "==="} and ir.text_of(each.right) == "succeeded"
        )
        if equal and _STATE.search(" ".join(names_in(each))):
            return True
    return False


def _asks_output(test: ir.Node) -> bool:
    return any(_OUTPUT.search(each) for each in names_in(test))


def _is_there(part: ir.Node) -> bool:
    """`output`, `p.output`, `p.output[0]`, `Array.isArray(p.output)`, `p.output.length > 0`."""
    negated = any(
        isinstance(each, ir.Bin) and each.op in {"not", "!", "==", "===", "or", "||"}
        for each in ir.walk(part)
    )
    return not negated and _asks_output(part)


def _inner(test: ir.If) -> ir.If | None:
    """The branch that is only for an output: the test itself, or all that it leads to."""
    parts = list(joined(test.test, AND))
    if len(parts) > 1:
        states = [each for each in parts if not _STATE.search(" ".join(names_in(each)))]
        return test if states and all(_is_there(each) for each in states) else None
    inner = [each for each in test.then if isinstance(each, ir.If) and not _only_sets(each)]
    rest = [each for each in test.then if each not in inner and not isinstance(each, ir.If)]
    if len(inner) != 1 or not only_logs(inner[0].other):
        return None
    asked = inner[0].test
    if not _is_there(asked) and not (isinstance(asked, ir.Name) and asked.id in _taken(test.then)):
        return None
    return None if any(_ends_it(each) for each in rest) else inner[0]


def _only_sets(node: ir.Node) -> bool:
    """Whether a branch only sets variables, by what form an output has."""
    if isinstance(node, ir.If):
        return all(map(_only_sets, [*node.then, *node.other]))
    return isinstance(node, ir.Assign) and isinstance(node.target, ir.Name) and not _ends_it(node)


def _taken(body: list[ir.Node]) -> set[str]:
    """The variables that statements, or branches that only set, fill with something of an output."""
    sets = (one for each in body if _only_sets(each) for one in ir.find(each, ir.Assign))
    return {last_name(each.target) for each in sets if each.value is not None and _asks_output(each.value)}


def _asks_elsewhere(tests: list[ir.If], inner: ir.If) -> bool:
    """Whether an output is asked for outside the branch: an empty one may have a way of its own."""
    inside = set(ir.walk(inner))
    return any(each not in inside for each in tests)


def _behind(test: ir.If, inner: ir.If) -> Iterator[ir.Node]:
    """What runs where an output is wanting: the last `else` of a test that asks for it, and what follows the branch."""
    chain: ir.Node = test
    yield from _closing(test, inner)
    while chain.parent is not None and not isinstance(chain.parent, ir.Func):
        block = chain.parent
        for each in _later(block, chain):
            yield each
            if isinstance(each, ir.Return):
                return
        chain = block
    if isinstance(chain.parent, ir.Func):
        yield from _later(chain.parent, chain)


def _closing(test: ir.If, inner: ir.If) -> list[ir.Node]:
    """The last `else` behind all branches for states, into which a success without an output falls."""
    last = test.other if inner is test else []
    while len(last) == 1 and isinstance(last[0], ir.If) and _about_states(last[0].test):
        if _is_for_success(last[0].test):
            return last[0].then
        last = last[0].other
    return last


def _later(block: ir.Node, node: ir.Node) -> Iterator[ir.Node]:
    """The statements after one in the same list of a block, without branches for other states."""
    for body in ir.bodies_of(block):
        if node in body:
            for each in body[body.index(node) + 1 :]:
                if not (isinstance(each, ir.If) and _about_states(each.test)):
                    yield each


def _about_states(test: ir.Node) -> bool:
    """Whether a test compares a state with a word."""
    return any(
        isinstance(each, ir.Bin)
        and each.op in {"==", "==="}
        and ir.text_of(each.right)
        and _STATE.search(" ".join(names_in(each.left)))
        for each in ir.walk(test)
    )


def _ends_it(node: ir.Node) -> bool:
    """Whether something below a statement may end a state: an error, a word for an end, a call that may write one."""
    for each in ir.walk(node):
        if isinstance(each, ir.Return) and each.throws:
            return True
        if isinstance(each, ir.Call) and not _ANSWERS.search(ir.dotted(each.func).rpartition(".")[2]):
            return True
    return False
