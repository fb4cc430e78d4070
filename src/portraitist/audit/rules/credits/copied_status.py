"""Part of the rule on credits: work that failed is only noted, by the provider's own word, and its credits are kept.

A poll or a webhook writes `prediction.status` to the row that the start of the work put in; no branch of it asks what
the word is, and nothing in the repository gives credits back for it. What an operator gives back by hand is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, hears_provider, last_name, live_statements, trace
from portraitist.audit.rules.credits.given_back import given_back_later
from portraitist.audit.rules.credits.ledger import NOTHING, Ledger
from portraitist.audit.rules.credits.steps import Step, steps_of
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.syntax import in_handler, outermost

_ENDS = re.compile(r"fail(ed|ure)?|error|cancell?ed|aborted|succeeded", re.I)
_WORK = re.compile(r"(replicate|prediction|training|job|external|request|provider|run)\w*_?id$")
"""Columns, in snake case, by which a row tells which work it stands for."""
_REFUNDS = re.compile(r"refund|restore|give_?back|rollback|revert|return_", re.I)


def copied_status(ctx: Context, ledger: Ledger, flows: list[Flow]) -> Iterator[Finding]:
    """A status that is copied to a row whose credits were taken at the start, where nothing gives any back."""
    copies = [each for each in live_statements(ctx, "write") if not each.insert and _is_copied(ctx, each)]
    if not copies or _may_give_back(ctx, ledger):
        return
    told: set[ir.Node] = set()
    for flow in flows:
        if not flow.call.api.endswith(("create", "/predictions", "/trainings")):
            continue
        takes = [
            each
            for each in steps_of(ctx, ledger, flow)
            if each.event.kind == "take" and not in_handler(each.event.node)
        ]
        if not takes or given_back_later(ctx, ledger, flow) is not None:
            continue
        made = {
            one.table
            for func in flow.funcs
            for one in ctx.statements_under.get(func, ())
            if one.kind == "write" and any(_WORK.search(snake(use.column)) for use in one.columns)
        }
        for each in copies:
            own = each.table in made and each.func not in flow.funcs
            back = own and each.func is not None and "give" in ledger.kinds.get(outermost(each.func), NOTHING)
            if own and not back and each.node not in told and _is_heard(ctx, each, flow):
                told.add(each.node)
                yield _found(flow, each, takes[0])


def _is_copied(ctx: Context, statement: Statement) -> bool:
    """Whether a statement sets a state to the word of the provider, in a function that asks nowhere which it is."""
    func = statement.func
    if func is None:
        return False
    states = [each for each in statement.columns if STATE.search(snake(each.column))]
    copied = any(
        last_name(each.node) == "status" and _answers(ctx, statement, each.node)
        for each in states
        if isinstance(each.node, ir.Attr | ir.Name)
    )
    words = (ir.text_of(each) for each in ir.find(outermost(func), ir.Lit)) if copied else ()
    return copied and not any(each and _ENDS.fullmatch(each) for each in words)


def _answers(ctx: Context, statement: Statement, node: ir.Node) -> list[ir.Call]:
    """The questions to the provider from which a status comes, or what a webhook reads from its request."""
    func = statement.func
    heard = func is not None and any(hears_provider(ctx, each) for each in ctx.handled_by.get(func, ()))
    calls = [part for _, part in trace(ctx, statement.module, node) if isinstance(part, ir.Call)]
    asked = [each for each in calls if each in ctx.call_at and ctx.call_at[each].purpose == "status"]
    return asked or [each for each in calls if heard and last_name(each.func) in _READS]


_READS = {"json", "text", "parse", "loads"}


def _is_heard(ctx: Context, copy: Statement, flow: Flow) -> bool:
    """Whether a status may be that of the work which a way starts: a training's is no picture's."""
    for use in copy.columns:
        for each in _answers(ctx, copy, use.node) if use.node is not None else ():
            if each in ctx.call_at and ("training" in ctx.call_at[each].api) != (
                flow.call.purpose == "training"
            ):
                return False
    return True


def _may_give_back(ctx: Context, ledger: Ledger) -> bool:
    """Whether anything is named for giving credits back, in the code or in a trigger of the database."""
    for func, events in ledger.own.items():
        for each in events if any(one.kind == "give" for one in events) else ():
            named = f"{func.name} {last_name(each.node.func) if isinstance(each.node, ir.Call) else ''}"
            if each.kind == "give" and _REFUNDS.search(f"{ctx.program.module_of[func].path} {named}"):
                return True
    texts = (each.text.lower() for each in ctx.tree.files if each.language == "sql")
    return any("trigger" in each and _REFUNDS.search(each) for each in texts)


def _found(flow: Flow, copy: Statement, take: Step) -> Finding:
    message = (
        f"a {flow.call.purpose} that failed or was canceled is only noted here, as any other {copy.table} is: nothing"
        " gives back the credits taken for it"
    )
    return finding("credit-before-check", copy.module, copy.node, message, key=f"copied {copy.table}", weight=BARELY,
                   line=copy.line, end=copy.end, evidence=[Place(take.module.path, take.event.line)])  # fmt: skip
