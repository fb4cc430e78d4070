"""Part of the rule on work that counts as done without a result: what is taken too early, or for all its failure.

One question right behind the start, and handlers that answer a failure with an error and then go on with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, live_statements, names_in, place
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import leaves_within

_WAITS = re.compile(
    r"wait|sleep|poll|delay|timeout|prefer|block|reload|status|succeeded|retry|interval", re.I
)
_REFUSED = 400


def taken_early(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    for call in ctx.calls:
        started = _started_above(ctx, call) if call.purpose == "status" else None
        if started is not None:
            message = "asked for only once, right behind the start: the output given back is hardly there yet"
            yield finding("no-retry", call.module, call.call, message, key="at once", weight=BARELY,
                          evidence=[place(started)])  # fmt: skip
    yield from _gone_on(ctx)


def _started_above(ctx: Context, asked: ProviderCall) -> ProviderCall | None:
    """The start of the same function whose answer's id is asked for at once, where nothing waits or tests a state."""
    func = asked.func
    if func is None or ctx.role_at(asked.module, asked.call) not in LIVE_ROLES:
        return None
    if any(isinstance(each, ir.Loop) for each in ir.ancestors(asked.call)):
        return None
    if any(_WAITS.search(each) for each in names_in(func)):
        return None
    into, given = asked.call.parent, names_in(asked.call)
    taken = (
        isinstance(into, ir.Assign)
        and isinstance(into.target, ir.Name)
        and _gives_output(func, into.target.id)
    )
    for each in ctx.creates() if taken else ():
        made = each.call.parent
        near = each.func is func and each.call.end < asked.call.line and "prediction" in each.api.lower()
        if (
            near
            and isinstance(made, ir.Assign)
            and isinstance(made.target, ir.Name)
            and made.target.id in given
        ):
            return each
    return None


def _gives_output(func: ir.Func, name: str) -> bool:
    """Whether the output of an answer is what a function gives back."""
    return any(
        last_name(each.value) == "output" and name in names_in(each.value)
        for each in ir.find(func, ir.Return)
        if isinstance(each.value, ir.Attr | ir.Index)
    )


def _gone_on(ctx: Context) -> Iterator[Finding]:
    """`if (req.body.status !== "succeeded") { res.status(400).json({}) }` with no `return`, and a write below it."""
    for statement in live_statements(ctx, "write"):
        func, module = statement.func, statement.module
        if func is None or module.language != "javascript" or func not in ctx.handled_by:
            continue
        for test in ir.find(func, ir.If):
            if test.within is not func or test.end >= statement.line or test.other or not _fails(test.test):
                continue
            if test.parent not in set(ir.ancestors(statement.node)) or leaves_within(test.then):
                continue
            if test.then and _refuses(test.then[-1]):
                message = f"what did not succeed is refused, but not left: {statement.table} is written all the same"
                yield finding("no-retry", module, test, message, key=f"{statement.table} gone on", weight=44,
                              end=max(test.end, statement.end))  # fmt: skip
                break


def _fails(test: ir.Node) -> bool:
    """Whether a test of a run's state holds where it has not succeeded."""
    return any(
        each.op in {"!=", "!=="}
        and ir.text_of(each.right) == "succeeded"
        and last_name(each.left) == "status"
        for each in ir.find(test, ir.Bin)
    )


def _refuses(node: ir.Node) -> bool:
    """`res.status(400).json(…)`: an answer with an error that is no way out."""
    if not isinstance(node, ir.Call) or ir.dotted(node.func).split(".")[0] not in {
        "res",
        "response",
        "reply",
    }:
        return False
    told = (each.args[0] for each in ir.find(node, ir.Call) if last_name(each.func) == "status" and each.args)
    return any(
        isinstance(each, ir.Lit) and isinstance(each.value, int) and each.value >= _REFUSED for each in told
    )
