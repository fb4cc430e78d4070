"""Part of the rule on credits: a payment that is looked for, and noted only after, or apart from, its credits.

Two requests that show the same payment both find no row and both give; one that stops in between gives again the next
time. Judged within a function and the helpers that it calls itself. A transaction or a lock counts as enough; so does a
row that goes in first under a key that the schema calls unique, or whose table no schema of the repository defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.again.asked import asks_before, may_collide
from portraitist.audit.rules.base import finding, helpers_behind, last_name, names_in
from portraitist.audit.rules.credits.decided import may_ask
from portraitist.audit.rules.credits.effects import Effect, done_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import in_handler, in_other_arm, is_way_out

_KEY = re.compile(
    r"(session|payment|order|transaction|checkout|charge|purchase|invoice|receipt|intent|stripe|event|reference"
    r"|external|idempotency)\w*_(id|key|ref|number|reference)$|^(reference|idempotency_key|tx_?hash|signature)$"
)
"""Columns that name one payment, in snake case."""
_WHOLE = re.compile(
    r"transaction$|atomic|(^|_)(begin|commit|rollback|savepoint|batch)(_|$)|lock|mutex|semaphore|for_update|serializable"
)


class Step(NamedTuple):
    """Something that a function does, at a line of its own, by itself or by a helper at a line of that."""

    line: int
    below: int
    node: ir.Node
    at: ir.Node


def noted_after(ctx: Context) -> Iterator[Finding]:
    """`findFirst(payment)`, then the credits, then `create(payment)`: each of two requests finds no payment."""
    for func in dict.fromkeys(each.func for each in ctx.statements if each.insert and _keys(each)):
        for handler in _those_who_run(ctx, func) if func is not None else ():
            module = ctx.program.module_of[handler]
            if ctx.role_at(module, handler) in LIVE_ROLES and (found := _judged(ctx, handler)) is not None:
                yield found


def _those_who_run(ctx: Context, func: ir.Func) -> list[ir.Func]:
    """A function, and those that call it."""
    callers = (each.call.within for each in ctx.program.callers.get(func, ()))
    return list(dict.fromkeys([func, *(each for each in callers if each is not None)]))


def _keys(statement: Statement) -> set[str]:
    return {snake(each.column) for each in statement.columns if _KEY.search(snake(each.column))}


def _judged(ctx: Context, func: ir.Func) -> Finding | None:
    """The first note in a function that comes behind its credits, or keeps nobody out."""
    rows = [*_rows(ctx, func)]
    notes = [(row, at) for row, at in rows if row.insert and _keys(row)]
    looks = [(row, at) for row, at in rows if row.kind == "read"]
    for note, noted in notes:
        for look, looked in looks:
            key = next((each for each in sorted(_keys(note)) if each in map(snake, look.where)), None)
            if key is None or look.table != note.table or looked[:2] >= noted[:2]:
                continue
            for give in _gifts(ctx, func):
                if give[:2] > looked[:2] and _decides(func, looked, give) and _apart(ctx, note, noted, give):
                    return _found(ctx, func, note, key=key, steps=(looked, noted, give))
    return None


def _rows(ctx: Context, func: ir.Func) -> Iterator[tuple[Statement, Step]]:
    """The statements of a function and of the helpers that it calls itself."""
    for each in ctx.statements_under.get(func, ()):
        yield each, Step(each.line, 0, each.node, each.node)
    for call in ir.find(func, ir.Call):
        for helper in helpers_behind(ctx, call):
            for each in ctx.statements_under.get(helper, ()) if helper is not func else ():
                yield each, Step(call.line, each.line, each.node, call)


def _gifts(ctx: Context, func: ir.Func) -> Iterator[Step]:
    """What raises a balance in a function, or in a helper that it calls itself."""
    for each in done_in(ctx, func, "give"):
        if not in_handler(each.node) and not _is_asked(ctx, each):
            yield Step(each.node.line, 0, each.node, each.node)
    for call in ir.find(func, ir.Call):
        for helper in helpers_behind(ctx, call):
            module = ctx.program.module_of[helper]
            for each in done_in(ctx, helper, "give") if helper is not func else ():
                stored = not isinstance(each.node, ir.Call) or each.node in ctx.statements_at
                if stored and not asks_before(ctx, module, helper, each.node):
                    yield Step(call.line, each.node.line, each.node, call)


def _is_asked(ctx: Context, effect: Effect) -> bool:
    """Whether what gives may keep itself to once: a function that is told for which payment."""
    plain = ctx.statements_at.get(effect.node)
    return not plain and isinstance(effect.node, ir.Call) and may_ask(ctx, effect.node)


def _decides(func: ir.Func, looked: Step, give: Step) -> bool:
    """Whether what was looked for turns away, or is asked around what gives."""
    made = ir.enclosing(looked.at, ir.Assign)
    names = variables_in(made.target) if made is not None else set()
    above = set(ir.ancestors(give.at))
    for test in ir.find(func, ir.If):
        asks = looked.at in set(ir.walk(test.test)) or (
            names & names_in(test.test) and test.line >= looked.line
        )
        leaves = test.end <= give.line and any(map(is_way_out, test.then))
        if asks and (test in above or leaves) and (test in above or not in_other_arm(test, give.at)):
            return True
    return False


def _apart(ctx: Context, note: Statement, noted: Step, give: Step) -> bool:
    """Whether nothing ties a note to what is given: it comes behind, or first under a key that refuses nothing."""
    if in_other_arm(noted.at, give.at) or in_handler(noted.at):
        return False
    funcs = [each.within for each in (noted.at, noted.node, give.at, give.node)]
    tied = any(_is_whole(each) for each in funcs if each is not None)
    if note.module.language == "python" or noted[:2] < give[:2]:
        return not may_collide(ctx, note) and (not tied or note.module.language == "python")
    return not tied


def _is_whole(func: ir.Func) -> bool:
    """Whether a transaction or a lock is named in a function or around it."""
    around = [func, *(each for each in ir.ancestors(func) if isinstance(each, ir.Call | ir.Func))]
    outer = next((each for each in reversed(around) if isinstance(each, ir.Func)), func)
    return any(_WHOLE.search(snake(last_name(each.func))) for each in ir.find(outer, ir.Call))


def _found(
    ctx: Context, func: ir.Func, note: Statement, *, key: str, steps: tuple[Step, Step, Step]
) -> Finding:
    looked, noted, give = steps
    module = ctx.program.module_of[func]
    where = f"line {note.line}" if note.module is module else f"line {note.line} of {note.module.path}"
    late = noted[:2] > give[:2]
    how = (
        f"put in only behind its credits ({where})"
        if late
        else f"put in under a key of which there may be two ({where})"
    )
    message = (
        f"{note.table} is looked for by this {key} (line {looked.line}) and {how}: of two requests with the same one"
        " both find none and both give credits"
    )
    return finding("credit-before-check", module, give.at, message, key=f"noted {note.table}", weight=BARELY,
                   line=give.line, end=give.at.end, evidence=[Place(module.path, looked.line)])  # fmt: skip
