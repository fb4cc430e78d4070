"""Part of the rule on states that stay open: the provider's own words, written to a column that does not admit them.

Only columns whose definitions all bind them (`columns.admitted`) are judged. What a trigger of the database makes of a
word, and what was changed there by hand, is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import (
    at_column,
    finding,
    last_name,
    live_statements,
    module_of,
    names_in,
    provider_behind,
    trace,
)
from portraitist.audit.rules.columns.admitted import Admitted, by_column
from portraitist.audit.rules.state_words import DONE, STATE
from portraitist.audit.rules.states.open_ends import hooks_of
from portraitist.audit.rules.syntax import branches_around, is_set, leaves_within

_BODY = {"json", "body", "parse", "loads", "get_json", "payload"}
"""Where a webhook's handler has its body from."""


def refused_words(ctx: Context) -> Iterator[Finding]:
    """`update({ status: prediction.status })` where the column's CHECK or enum lacks the word "succeeded".

    Not where anything on the way asks for success: what is written there may be another word.
    """
    bound = {key: each for key, each in ctx.once(by_column).items() if "succeeded" not in each.words}
    hooks = {func for func, _ in hooks_of(ctx)} if bound else set()
    for statement in live_statements(ctx, "write") if bound else ():
        for use in statement.columns:
            known = _bound(bound, statement, use)
            if known is None or use.node is None or not STATE.search(snake(use.column)):
                continue
            if not _is_told(ctx, statement, use, hooks) or _may_be_another(statement, use):
                continue
            key = f"{statement.table}.{use.column}"
            message = (
                f'{key} takes the provider\'s own word, and {known.by} does not admit "succeeded": '
                "the write of work that is done fails"
            )
            yield finding("stuck-status", *at_column(ctx, statement, use), message, key=f"{key} refused", weight=68,
                          evidence=[known.place] if known.place.path else [])  # fmt: skip
            break


def _bound(bound: dict[tuple[str, str], Admitted], statement: Statement, use: ColumnUse) -> Admitted | None:
    table = statement.table.lower()
    known = bound.get((table, use.column.lower())) or bound.get((table, snake(use.column)))
    return known if known is not None and not {"SUCCEEDED", "Succeeded"} & known.words else None


def _is_told(ctx: Context, statement: Statement, use: ColumnUse, hooks: set[ir.Func]) -> bool:
    """Whether a value is the state as the provider tells it: in the answer to a question, or in its webhook's body."""
    module, node = module_of(ctx, use), use.node
    if node is None or not _is_state(module, node):
        return False
    behind = provider_behind(ctx, module, node, helpers=True)
    if behind is not None:
        return behind.purpose == "status"
    if statement.func not in hooks or use.path != statement.module.path:
        return False
    parts = [part for _, part in trace(ctx, module, node)]
    names = {last_name(each.func if isinstance(each, ir.Call) else each) for each in parts}
    return bool(names & _BODY) and all(_is_plain(each) for each in parts)


def _is_plain(part: ir.Node) -> bool:
    """Whether a step on the way from the body leaves a word as it is."""
    return not isinstance(part, ir.Cond | ir.Bin | ir.Tmpl)


def _is_state(module: Module, node: ir.Node) -> bool:
    """`prediction.status`, or a variable that is just that."""
    if isinstance(node, ir.Attr | ir.Index):
        return last_name(node) == "status"
    made = reaching(module, node) if isinstance(node, ir.Name) else []
    if len(made) != 1 or made[0].kind != "assign":
        return False
    if made[0].keys:
        return made[0].keys == ("status",)
    value = made[0].value
    return isinstance(value, ir.Attr | ir.Index) and last_name(value) == "status"


def _may_be_another(statement: Statement, use: ColumnUse) -> bool:
    """Whether a function asks for success around or before a write, or sets the column anew where it succeeded."""
    func = use.node.within if use.node is not None else None
    if func is None or any(use is not each and each.column == use.column for each in _later(statement, use)):
        return True
    for place in (use.node, statement.node):
        for each in ir.ancestors(place) if place is not None else ():
            if isinstance(each, ir.If | ir.Cond) and any(_STATE.search(one) for one in names_in(each.test)):
                return True
    spelled = ir.dotted(use.node) if use.node is not None else ""
    for each in ir.find(func, ir.If):
        first = each.line < statement.line and _is_about(each.test, spelled)
        if first and (leaves_within(each.then) or leaves_within(each.other)):
            return True
        if first and _asks_done(each.test) and any(_sets(part, use.column) for part in each.then):
            return True
    return False


def _later(statement: Statement, use: ColumnUse) -> Iterator[ColumnUse]:
    """What else the statement gives its columns, but for what stands under a test of another word."""
    for each in statement.columns:
        tests = [one.test for one in branches_around(each.node)] if each.node is not None else []
        if not tests or any(_asks_done(one) for one in tests):
            yield each


_STATE = re.compile(r"status|state|succe|complet|done|finish", re.I)


def _is_about(test: ir.Node, spelled: str) -> bool:
    """Whether a test asks for the very state, or for a variable that may have been made of it."""
    if any(ir.dotted(each) == spelled for each in (*ir.find(test, ir.Attr), *ir.find(test, ir.Name))):
        return True
    members = {each.obj for each in ir.find(test, ir.Attr)}
    return any(each not in members and _STATE.search(each.id) for each in ir.find(test, ir.Name))


def _asks_done(test: ir.Node) -> bool:
    return bool({each.lower() for each in names_in(test)} & DONE)


def _sets(part: ir.Node, column: str) -> bool:
    return any(is_set(each) and snake(each.name) == snake(column) for each in ir.find(part, ir.Attr))
