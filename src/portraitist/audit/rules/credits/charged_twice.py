"""Part of the rule on credits: a webhook that takes what the start of the same work has taken before.

Only columns that plain statements lower in both places are judged; procedures of the database are not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, trace
from portraitist.audit.rules.credits.changes import CREDIT, sign
from portraitist.audit.rules.credits.ledger import Ledger


def charged_twice(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """A take in the handler of the webhook that a paid call names, of the very column that its own way has lowered."""
    heard = {
        (place.path, place.line): (each.path, each.line)
        for each in ctx.of("webhook")
        for place in each.evidence
    }
    seen: set[ir.Node] = set()
    for flow in flows:
        taken = {key: each for func in flow.funcs for key, each in _takes(ctx, ledger, func)}
        for (path, line), handler in heard.items() if taken else ():
            if path != flow.call.module.path or not flow.call.call.line <= line <= flow.call.call.end:
                continue
            for func in _handlers(ctx, handler):
                for key, again in _takes(ctx, ledger, func):
                    first = taken.get(key)
                    if first is None or again.node in seen or first.node is again.node:
                        continue
                    seen.add(again.node)
                    message = f"{key} is taken here a second time: the start of this {flow.call.purpose} has taken it"
                    yield finding("credit-before-check", again.module, again.node, message, key=f"twice {key}",
                                  weight=53, line=again.line, end=max(again.end, again.node.end),
                                  evidence=[Place(first.module.path, first.line)])  # fmt: skip


def _handlers(ctx: Context, at: tuple[str, int]) -> Iterator[ir.Func]:
    for func, routes in ctx.handled_by.items():
        if any((each.module.path, each.node.line) == at for each in routes):
            yield func


def _takes(ctx: Context, ledger: Ledger, func: ir.Func) -> Iterator[tuple[str, Statement]]:
    """The columns of credits that the statements of a function lower."""
    lowered = {each.node for each in ledger.own.get(func, ()) if each.kind == "take"}
    for statement in ctx.statements_under.get(func, ()):
        for use in statement.columns if statement.node in lowered and statement.kind == "write" else ():
            where = ctx.program.modules[use.path]
            signs = {sign(each) for _, part in trace(ctx, where, use.node) for each in ir.walk(part)}
            if "take" in signs and CREDIT.search(f"{statement.table}.{use.column}".lower()):
                yield f"{statement.table}.{use.column}", statement
