"""Part of the rule on conflicting payloads: a trigger word in the row that the training was never sent.

Compares what a training is sent with what the functions on the way to it store; what a page stores is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, ProviderCall
from portraitist.audit.facts.database import snake
from portraitist.audit.link.values import Known, literals, structs
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, module_of

_SENT = ("trigger_word", "token_string")
_COLUMN = re.compile(r"(^|_)trigger(_?(word|token|phrase))?$|^(unique_)?keyword$")
_DEFAULT = "TOK"
"""What the common trainers take where they are sent none."""


def unsent_triggers(ctx: Context) -> Iterator[Finding]:
    """`trigger_word: "TOK"`, or none, for a training whose row keeps another word."""
    told: set[ir.Node] = set()
    for flow in ctx.flows:
        call = flow.call
        if (
            call.purpose != "training"
            or call.call in told
            or ctx.role_at(call.module, call.call) not in LIVE_ROLES
        ):
            continue
        trainings = (each.call for each in ctx.flows if each.call.purpose == "training")
        beside = {_sent(each) for each in trainings if each.func is call.func}
        sent = _sent(call) if len(beside) == 1 else None
        uses = [
            use
            for func in dict.fromkeys([*flow.funcs, *([call.func] if call.func is not None else [])])
            for each in ctx.statements_under.get(func, ())
            if each.kind == "write"
            for use in each.columns
            if _COLUMN.search(snake(use.column))
        ]
        other = next((each for each in uses if sent is not None and _differs(ctx, each, sent)), None)
        if sent is None or other is None:
            continue
        told.add(call.call)
        field = next(iter(call.fields(*_SENT)), None)
        here = ctx.program.modules[field.path] if field is not None else call.module
        node = ir.Other(field.line, field.end, []) if field is not None else call.call
        said = f"the trigger word {sent} is sent" if field is not None else "no trigger word is sent"
        yield finding("payload-conflict", here, node, f"{said}, and {other.column} stores another one", key="trigger",
                      weight=46, evidence=[Place(other.path, other.line)])  # fmt: skip


def _sent(call: ProviderCall) -> str | None:
    """The trigger word that a training is sent, the trainers' own where none is; None where that is not known."""
    fields = call.fields(*_SENT)
    if fields:
        value = fields[-1].value
        return (
            value.value if isinstance(value, Known) and isinstance(value.value, str) and value.value else None
        )
    given = [part for each in call.options for field in each.fields for part in structs(field.value)]
    whole = not any(each.open for each in (*call.options, *given)) and not any(
        field.spread for each in (*call.options, *given) for field in each.fields
    )
    return _DEFAULT if whole and call.fields("input_images") and not call.fields("input") else None


def _differs(ctx: Context, use: ColumnUse, sent: str) -> bool:
    """Whether a column gets a word that cannot be the one that is sent."""
    if use.node is None or (isinstance(use.value, Known) and not use.value.value):
        return False
    if isinstance(use.value, Known):
        return str(use.value.value) != sent
    known = literals(ctx.ev.eval(module_of(ctx, use), use.node))
    return sent not in {str(each) for each in known}
