"""Part of the rule on credits: a payment that is called settled before its credits are given.

The mark turns every further try away, so what fails in between is paid for and never given. Only where mark and gift
are steps of their own: no transaction. What puts such rows right outside of the repository is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.credits.effects import done_in
from portraitist.audit.rules.credits.ledger import named_kinds
from portraitist.audit.rules.state_words import STATE, word_of
from portraitist.audit.rules.syntax import in_handler, in_other_arm, is_way_out, outermost

_SETTLED = {"paid", "completed", "complete", "succeeded", "success", "processed", "approved", "captured", "credited",
            "fulfilled", "confirmed", "done", "settled", "finished"}  # fmt: skip
_WHOLE = re.compile(r"transaction|atomic|(^|_)(begin|commit|rollback|savepoint|batch)", re.I)
_PAYMENT = re.compile(
    r"payment|order|purchase|transaction|checkout|invoice|charge|receipt|top_?up|deposit|sale", re.I
)


def marked_first(ctx: Context) -> Iterator[Finding]:
    """`if (order.status !== "paid")`: the order becomes paid, then the credits are given, each by a request of its own.

    Only tables of payments, by their names, whose mark the function tests before and writes nowhere behind, and only
    where no other function gives credits for rows with that mark.
    """
    for statement in ctx.statements:
        func = statement.func
        if (
            statement.kind != "write"
            or statement.insert
            or func is None
            or not _PAYMENT.search(snake(statement.table))
        ):
            continue
        marked = _mark(statement)
        module = statement.module
        if not marked or module.language != "javascript" or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        column, word = marked
        given = _given_behind(ctx, module, func, statement)
        test = _turned_away(ctx, func, statement, column) if given is not None else None
        if given is None or test is None or _is_whole(func) or _is_seen_again(ctx, statement, column, word):
            continue
        message = (
            f"{statement.table}.{column} is {word!r} before line {given.line} gives the credits: when that fails, line"
            f" {test.line} turns every further try away, and they never come"
        )
        key = f"marked {statement.table}"
        yield finding("credit-before-check", module, statement.node, message, key=key, weight=47, line=statement.line,
                      end=given.end, evidence=[Place(module.path, test.line)])  # fmt: skip


def _mark(statement: Statement) -> tuple[str, str] | None:
    """The column and the word by which a statement calls a payment settled, on no condition.

    Whoever writes it only where it is not written yet keeps two at once from being given: that has to come first.
    """
    if any(STATE.search(snake(each)) for each in statement.where):
        return None
    for use in statement.columns:
        word = word_of(use.value, use.node) if STATE.search(snake(use.column)) else ""
        if word in _SETTLED:
            return use.column, word
    return None


def _given_behind(ctx: Context, module: Module, func: ir.Func, mark: Statement) -> ir.Node | None:
    """The first thing behind a mark that gives credits, on a way that comes by it."""
    found = [each.node for each in done_in(ctx, func, "give")]
    found += [each for each in module.calls({"rpc"}) if each.within is func and "give" in named_kinds(each)]
    behind = (
        each
        for each in found
        if each.within is func
        and each.line > mark.end
        and _within_reach(mark.node, each)
        and not in_handler(each)
    )
    return min(behind, key=lambda each: each.line, default=None)


def _within_reach(mark: ir.Node, given: ir.Node) -> bool:
    """Whether what is given stands under every branch that the mark stands under, or behind it."""
    around = {*ir.ancestors(given)}
    branches = (each for each in ir.ancestors(mark) if isinstance(each, ir.If | ir.Handler))
    return not in_other_arm(mark, given) and all(each in around for each in branches)


def _turned_away(ctx: Context, func: ir.Func, mark: Statement, column: str) -> ir.Node | None:
    """The test before a mark that asks the same column of a row of the same table, or the mark's own condition."""
    rows = {
        name
        for each in ctx.statements_under.get(func, ())
        if each.kind == "read" and each.table == mark.table and each.line < mark.line
        for name in _held(each)
    }
    around = {*ir.ancestors(mark.node)}
    for test in ir.find(func, ir.If):
        ahead = test in around or (test.end < mark.line and any(map(is_way_out, test.then)))
        if ahead and any(
            snake(each.name) == snake(column) and getattr(ir.root_of(each), "id", "") in rows
            for each in ir.find(test.test, ir.Attr)
        ):
            return test
    return None


def _held(read: Statement) -> set[str]:
    made = ir.enclosing(read.node, ir.Assign)
    return {each.id for each in ir.find(made.target, ir.Name)} if made is not None else set()


def _is_whole(func: ir.Func) -> bool:
    """Whether a transaction is named around it."""
    outer = outermost(func)
    called = {last_name(each.func) for each in ir.find(outer, ir.Call)}
    return any(_WHOLE.search(snake(each)) for each in called)


def _is_seen_again(ctx: Context, mark: Statement, column: str, word: str) -> bool:
    """Whether the column is set again behind it, or another function gives credits for rows that hold the word."""
    for each in (one for one in ctx.statements if one.table == mark.table and one.func is not None):
        own = each.func is mark.func and each.kind == "write" and each.line > mark.end
        if own and any(snake(use.column) == snake(column) for use in each.columns):
            return True
        asked = (value for name, value in each.where_values if snake(name) == snake(column))
        picked = each.kind == "read" and any(word in names_in(value) for value in asked)
        if picked and each.func is not None and any(True for _ in done_in(ctx, each.func, "give")):
            return True
    return False
