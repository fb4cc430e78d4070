"""Part of the rule on states that stay open: a state that is handed to a store before all is checked.

Stores that are no tables (a file, a cache, a service) are seen by the functions that are handed a state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name, on_requests
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RUNNING
from portraitist.audit.rules.states.marks import marks
from portraitist.audit.rules.syntax import names_error

_STORES = re.compile(
    r"^(upsert|save|update|create|insert|store|write|put|set|mark|record|add|register)", re.I
)
_KEYS = ("status", "state", "trainingStatus", "training_status")


def handed_too_soon(ctx: Context) -> Iterator[Finding]:
    """`upsertPersona({ status: "training" })`, and refusals between it and the paid call that tell the store nothing.

    A state that a table gets is judged by its statements.
    """
    ways = working(ctx)
    asked = on_requests(ctx)
    known = {each.func for each in marks(ctx)}
    for func, until in ways.paid.items():
        handed = _handed(ctx, func, until) if func in asked and func not in known else None
        if handed is None:
            continue
        call, word = handed
        name = last_name(call.func)
        left = [
            each
            for each in ir.find(func, ir.Return)
            if each.within is func and call.end < each.line < until and not each.throws and names_error(each)
        ]
        again = [
            each.line
            for each in ir.find(func, ir.Call)
            if last_name(each.func) == name and each.line > call.end
        ]
        open_ = [each for each in left if not any(_branch(each).line <= line <= each.line for line in again)]
        if open_:
            module = ctx.program.module_of[func]
            message = f"{name} is handed {word!r} here, and told nothing when line {open_[0].line} leaves with an error"
            yield finding("stuck-status", module, call, message, key=f"{name} handed", weight=BARELY,
                          evidence=[Place(module.path, open_[0].line)])  # fmt: skip


def _branch(leave: ir.Node) -> ir.Node:
    """The branch or handler around a way out."""
    around = (each for each in ir.ancestors(leave) if isinstance(each, ir.If | ir.Handler))
    return next(around, leave)


def _handed(ctx: Context, func: ir.Func, until: int) -> tuple[ir.Call, str] | None:
    """The first call of the repository's own that is handed a word for work under way, in front of the paid call."""
    for call in ir.find(func, ir.Call):
        if call.within is not func or call.line >= until or not _STORES.search(last_name(call.func)):
            continue
        given = ir.keyword(call, *_KEYS)
        word = (ir.text_of(given) or "").lower()
        straight = not any(
            isinstance(each, ir.If | ir.Loop | ir.Handler)
            for each in ir.ancestors(call)
            if each.within is func
        )
        if word in RUNNING and straight and helpers_behind(ctx, call):
            return call, word
    return None
