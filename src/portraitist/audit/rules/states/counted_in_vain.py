"""Part of the rule on states that stay open: rounds that are counted, and whose number is asked for after errors only.

Whether the other side ends what it runs at last is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in, runs_in_browser
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import ORDER

_ENDS = {"succeeded", "completed", "success", "done", "finished", "ready", "failed", "error"}


def counted_in_vain(ctx: Context) -> Iterator[Finding]:
    """`attempts++` in each round of a poll, and `if (attempts >= most)` in its `catch` alone: it may ask for ever.

    Only where the count goes on outside the handler: one of errors is asked for where errors are.
    """
    for module in ctx.live:
        if "setInterval" not in module.file.text and "while" not in module.file.text:
            continue
        for rounds in _rounds(module):
            test = _limit_after_errors(rounds) if ctx.role_at(module, rounds) in LIVE_ROLES else None
            if test is None:
                continue
            message = (
                "the rounds are counted, and their number is asked for after an error only: work of which no end is "
                "told is asked about for ever"
            )
            yield finding("stuck-status", module, rounds, message, key="counted in vain",
                          weight=BARELY if runs_in_browser(module) else 48, end=test.end,
                          evidence=[Place(module.path, test.line)])  # fmt: skip


def _rounds(module: Module) -> Iterator[ir.Func | ir.Loop]:
    """What is done again and again: the callback of a `setInterval`, the body of an endless loop."""
    for call in module.calls({"setInterval"}) if module.language == "javascript" else ():
        if call.args and isinstance(call.args[0], ir.Func):
            yield call.args[0]
    for loop in module.all(ir.Loop):
        if loop.target is None and isinstance(loop.test, ir.Lit) and loop.test.value is True:
            yield loop


def _limit_after_errors(rounds: ir.Func | ir.Loop) -> ir.If | None:
    """The test of the count in a handler of the rounds, where no other test of it stands in them."""
    counts = {name for name, node in counted(rounds) if name and not _handler_in(node, rounds)}
    told = names_in(ir.Other(rounds.line, rounds.end, list(rounds.body))) if counts else set()
    if not told & _ENDS:
        return None
    for name in sorted(counts):
        tests = [each for each in ir.find(rounds, ir.Bin) if each.op in ORDER and name in names_in(each)]
        used = [each for each in ir.find(rounds, ir.Call) for arg in each.args if name in names_in(arg)]
        inside = [each for each in tests if _handler_in(each, rounds)]
        branch = next((ir.enclosing(each, ir.If) for each in inside), None)
        handed = any(not _handler_in(each, rounds) and not _logs(each) for each in used)
        if branch is not None and len(inside) == len(tests) and not handed:
            return branch
    return None


def counted(rounds: ir.Func | ir.Loop) -> Iterator[tuple[str, ir.Node]]:
    """What is counted in the rounds, and where: `attempts++`, `attempts += 1`."""
    for assign in ir.find(rounds, ir.Assign):
        if assign.op == "+=" and isinstance(assign.target, ir.Name):
            yield assign.target.id, assign
    for each in ir.find(rounds, ir.Other):
        if each.kind == "update_expression" and each.parts:
            yield last_name(each.parts[0]), each


def _handler_in(node: ir.Node, rounds: ir.Node) -> bool:
    for each in ir.ancestors(node):
        if each is rounds:
            return False
        if isinstance(each, ir.Handler):
            return True
    return False


def _logs(call: ir.Call) -> bool:
    return ir.dotted(call.func).startswith(("console.", "logger.", "log.", "print"))
