"""What a function does with every state but success: the last branch behind a test for `succeeded`, if it has one."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.rules.base import names_in
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.syntax import leaves_within

_OPEN = RUNNING | RESTING


def rest_of(func: ir.Func) -> list[list[ir.Node]]:
    """The branches for whatever is not success: each `else` without a test, the last part of `a ? b : c`, `if (!ok)`.

    A success may have a name: `const ok = body.status === "succeeded"`.
    """
    named = _named(func)
    found: list[list[ir.Node]] = []
    for each in ir.find(func, ir.If):
        asked = names_in(each.test) & named
        if asked and _is_negated(each.test, asked) and not only_logs(_without_ways_out(each.then)):
            found.append(each.then)
        elif asked and _is_negated(each.test, asked) and (caught := _caught(each)):
            found.append(caught)
        elif asked:
            last = _last(each)
            found += [last] if last else []
    for cond in ir.find(func, ir.Cond):
        first = not (isinstance(cond.parent, ir.Cond) and cond.parent.other is cond)
        if first and names_in(cond.test) & named and _says_state(_end(cond)):
            found.append([_end(cond)])
    return found


def _caught(branch: ir.If) -> list[ir.Node]:
    """What the function does with what a branch throws, where that is more than to log it."""
    around = next((each for each in ir.ancestors(branch) if isinstance(each, ir.Try)), None)
    if around is None or around.within is not branch.within or not leaves_within(branch.then):
        return []
    throws = any(isinstance(each, ir.Return) and each.throws for each in branch.then)
    bodies = [each.body for each in around.handlers if throws and each not in set(ir.ancestors(branch))]
    return next((each for each in bodies if not only_logs(_without_ways_out(each))), [])


_STATE = re.compile(r"status|state|fail|error", re.I)
_SAID = {"succeeded", "failed", "canceled", "processing", "starting"}


def _says_state(node: ir.Node) -> bool:
    """A word, or what is called a state: no number, no address of a picture."""
    return ir.text_of(node) is not None or any(_STATE.search(each) for each in names_in(node))


def is_open(rest: list[ir.Node]) -> bool:
    """Whether a branch gives the row a word for work under way, and nothing else."""
    texts = [
        str(text).lower() for part in rest for each in ir.find(part, ir.Lit) if (text := ir.text_of(each))
    ]
    gives = any(isinstance(each, ir.Assign) for part in rest for each in ir.walk(part)) or _is_text(rest)
    leaves = leaves_within(rest)
    return gives and not leaves and bool(texts) and all(each in _OPEN for each in texts)


def _is_text(rest: list[ir.Node]) -> bool:
    return len(rest) == 1 and isinstance(rest[0], ir.Lit)


def _named(func: ir.Func) -> set[str]:
    """`succeeded`, and the variables that say whether it was that."""
    found = {"succeeded"}
    for each in ir.find(func, ir.Assign):
        tests = [one for one in ir.find(each.value, ir.Bin) if one.op in {"==", "==="}] if each.value else []
        plain = isinstance(each.value, ir.Bin) and any("succeeded" in names_in(one.right) for one in tests)
        if plain and isinstance(each.target, ir.Name):
            found.add(each.target.id)
    return found


def _is_negated(test: ir.Node, asked: set[str]) -> bool:
    """Whether a test is true for what is not success."""
    for each in ir.find(test, ir.Bin):
        if each.op in {"!=", "!==", "not", "!", "not in"} and names_in(each) & asked:
            return True
    return False


def _without_ways_out(body: list[ir.Node]) -> list[ir.Node]:
    return [each for each in body if not isinstance(each, ir.Return)]


def _last(branch: ir.If) -> list[ir.Node]:
    last = branch
    while len(last.other) == 1 and isinstance(last.other[0], ir.If):
        if not any(_STATE.search(each) or each in _SAID for each in names_in(last.other[0].test)):
            break  # `else { if (…) … }`
        last = last.other[0]
    return last.other


def _end(cond: ir.Cond) -> ir.Node:
    last: ir.Node = cond
    while isinstance(last, ir.Cond):
        last = last.other
    return last
