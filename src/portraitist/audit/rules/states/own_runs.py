"""Part of the rule on states that stay open: rows that only the run which made them ends, or nothing at all.

A run that is cut off (a restart, a time limit, a function that is frozen) leaves such a row as it is. What a watchdog
outside the repository puts right is not seen, nor what a trigger of the database does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import askers, callers_of, finding, leads_to, live_statements
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.graph import End, ends_of, loose_ends
from portraitist.audit.rules.states.left_open import lifted
from portraitist.audit.rules.states.marks import Mark, marks, states_of, tables_of_work
from portraitist.audit.rules.states.marks import said as said_of
from portraitist.audit.rules.states.open_ends import GIVEN_ID, may_be_told
from portraitist.audit.rules.states.picked import makes_its_own, picks, put_right, word_allowed
from portraitist.audit.rules.states.sql_ends import ended_in_sql
from portraitist.audit.rules.states.ways_in import tops


def ended_by_its_run(ctx: Context) -> Iterator[Finding]:
    """Rows marked as waiting or running on a request's way to paid work, every end of which lies on that way.

    An end counts for the row where it may find it: a webhook where the call names one, a poll where the provider's id
    is kept, a way that makes rows of its own where it asks for others' too. A deletion on demand ends no work.
    """
    seen: set[ir.Node] = set()
    paid = working(ctx).paid
    for mark in lifted(ctx) if paid else ():
        if mark.node in seen or mark.end >= paid.get(mark.func, 0) or _waits_for_money(mark):
            continue
        own = _own_ends(ctx, mark)
        if own and not ended_in_sql(ctx, mark) and not put_right(ctx, mark):
            seen.add(mark.node)
            message = (
                f"{mark.key} is {mark.word!r} from here on, and only this run ends it: cut off, it stays so"
            )
            yield _said(
                mark, message, "own run", [Place(each.module.path, each.node.line) for each in own[:2]]
            )
    yield from _ended_by_nothing(ctx)


def _own_ends(ctx: Context, mark: Mark) -> list[End]:
    """Where the run that marks a row ends it; none where something else may."""
    mine = tops(ctx, mark.func)
    if not mine or _is_begun_again(ctx, mine) or not (mark.statement.insert or _is_last(ctx, mark, mine)):
        return []
    kinds = _kinds(ctx, mark, mine, {OWN})
    return kinds.get(OWN, [])


def _kinds(ctx: Context, mark: Mark, mine: frozenset[ir.Func], allowed: set[str]) -> dict[str, list[End]]:
    """The ends of a row by who comes to them; empty where one is not among these."""
    found: dict[str, list[End]] = {}
    for ends in (ends_of, loose_ends):
        for each in ends(ctx, mark.statement.table, mark.column):
            kind = _kind(ctx, each, mark, mine)
            if kind and kind not in allowed:
                return {}
            if kind:
                found.setdefault(kind, []).append(each)
    return found


def ended_from_outside(ctx: Context) -> Iterator[Finding]:
    """Rows of started work that only the provider's webhook ends, or only a page that asks; its run may lose it."""
    seen: set[ir.Node] = set()
    for mark in _of_started(ctx):
        mine = tops(ctx, mark.func)
        if mark.node in seen or not mine or mine & working(ctx).hooks or _waits_for_money(mark):
            continue
        for kind, who in _WHO.items():
            every = _kinds(ctx, mark, mine, {OWN, kind})
            found = every.get(kind, []) if all(each.is_loss for each in every.get(OWN, ())) else []
            if found and not ended_in_sql(ctx, mark) and not put_right(ctx, mark):
                seen.add(mark.node)
                yield _said(mark, f"{mark.key} is {mark.word!r} from here on, and {who}", kind,
                            [Place(each.module.path, each.node.line) for each in found[:2]])  # fmt: skip


def _of_started(ctx: Context) -> Iterator[Mark]:
    """The marks on the way to paid calls; where a helper writes one, the place at which such a way names the helper."""
    paid = working(ctx).paid
    for mark in marks(ctx) if paid else ():
        if mark.func in paid:
            yield mark
            continue
        named = (
            (module, node)
            for module, node in ctx.reached.references.get(mark.func, ())
            if node.within in paid
        )
        called = (
            (one.module, one.call)
            for one in ctx.program.callers.get(mark.func, ())
            if one.call.within in paid
        )
        for module, node in (*called, *named):
            if node.within is not None:
                yield replace(mark, module=module, node=node, func=node.within)


OWN, HOOK, ASKED, OTHERS = "own run", "told", "asked", "others"
_WHO = {
    HOOK: "only a webhook of the provider ends started work: a lost one leaves it so",
    ASKED: "only a request that asks the provider ends started work: where nobody asks, it stays so",
}


_OF_MONEY = re.compile(
    r"commission|payout|referral|transaction|invoice|payment|order|purchase|withdraw|subscri"
)


def _waits_for_money(mark: Mark) -> bool:
    """Whether a row that waits is, by its table's name, one that people or a service of payments end."""
    return mark.word in RESTING and _OF_MONEY.search(snake(mark.statement.table)) is not None


def _ended_by_nothing(ctx: Context) -> Iterator[Finding]:
    """Rows marked as waiting or running, in tables that paid work or webhooks write, which no live code ever ends."""
    tables = tables_of_work(ctx)
    seen: set[ir.Node] = set()
    for mark in marks(ctx):
        table = mark.statement.table
        if (
            table not in tables
            or mark.node in seen
            or _OF_MONEY.search(snake(table))
            or ended_in_sql(ctx, mark)
        ):
            continue
        if all(
            _is_on_demand(ctx, each)
            for ends in (ends_of, loose_ends)
            for each in ends(ctx, table, mark.column)
        ):
            seen.add(mark.node)
            message = f"{mark.key} is {mark.word!r} from here on, and nothing in the repository ever ends it"
            yield _said(mark, message, "unended", [])


def never_done(ctx: Context) -> Iterator[Finding]:
    """Rows marked as running, in tables of paid work, which live code may call failed, or delete, but never done."""
    tables = tables_of_work(ctx)
    seen: set[ir.Node] = set()
    for mark in marks(ctx):
        if mark.statement.table not in tables or mark.node in seen or mark.word not in RUNNING:
            continue
        ends = [
            each
            for known in (ends_of, loose_ends)
            for each in known(ctx, mark.statement.table, mark.column)
            if not _is_on_demand(ctx, each)
        ]
        if not ends or not all(each.is_loss for each in ends) or put_right(ctx, mark):
            continue
        if not ended_in_sql(ctx, mark):
            seen.add(mark.node)
            message = (
                f"{mark.key} is {mark.word!r} from here on, and nothing in the repository ever calls it done"
            )
            yield _said(
                mark, message, "never done", [Place(each.module.path, each.node.line) for each in ends[:2]]
            )


def _said(mark: Mark, message: str, key: str, evidence: list[Place]) -> Finding:
    return finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} {key}", weight=BARELY,
                   line=mark.line, end=mark.end, evidence=evidence)  # fmt: skip


def _is_on_demand(ctx: Context, end: End) -> bool:
    """Whether an end is the deletion of rows by a request."""
    ways = tops(ctx, end.func)
    if end.statement is None or end.statement.kind != "delete" or not ways:
        return False
    return all(any(one.is_http for one in ctx.handled_by.get(each, ())) for each in ways)


def _is_begun_again(ctx: Context, mine: frozenset[ir.Func]) -> bool:
    """Whether anything but a request or a message may start the run: a queue or a timer may take it up again."""
    for func in mine:
        routes = ctx.handled_by.get(func, ())
        bot = func.decorators and _MESSAGES.search(" ".join(ir.dotted(each) for each in func.decorators))
        if not (routes or bot) or not all(each.is_http for each in routes):
            return True
    return False


def _is_last(ctx: Context, mark: Mark, mine: frozenset[ir.Func]) -> bool:
    """Whether nobody can begin anew with a row that is marked: its run made it, or turns away what is marked so."""
    refused = not word_allowed(mark.node, mark.word)
    return refused or all(makes_its_own(ctx, mark.statement.table, each) for each in mine)


_MESSAGES = re.compile(
    r"(^|[.\s])(message|callback_query|on_message|message_handler|callback_query_handler|command)\b"
)


def _kind(ctx: Context, end: End, mark: Mark, mine: frozenset[ir.Func]) -> str:
    """Who comes to an end: the run itself, a webhook, a request that asks the provider, others; "" where not here."""
    ways = tops(ctx, end.func)
    statement = end.statement
    if ways is not None and ways <= mine:
        return OWN
    if ways is None or statement is None:
        return OTHERS
    others = ways - mine
    if _is_on_demand(ctx, end):
        return ""
    if not word_allowed(end.node, mark.word) or _names_others(ctx, statement, mark.word):
        return ""
    hooks = working(ctx).hooks
    if others <= hooks:
        return HOOK if any(may_be_told(each) for each in _calls_of(ctx, mark)) else ""
    if all(_asks_provider(ctx, end.func, each) for each in others - hooks):
        if not _keeps_id(ctx, mark, mine):
            return ""
        routes = [each for func in others for each in ctx.handled_by.get(func, ())]
        asked = not others & hooks and len(routes) >= len(others) and all(each.is_http for each in routes)
        return ASKED if asked else OTHERS
    apart = all(makes_its_own(ctx, mark.statement.table, each) or _begins(ctx, mark, each) for each in others)
    return "" if apart else OTHERS


def _begins(ctx: Context, mark: Mark, top: ir.Func) -> bool:
    """Whether a request, or an action, marks rows of the table as running itself: what it ends is its own work."""
    routes = ctx.handled_by.get(top, ())
    return (
        bool(routes)
        and all(each.is_http for each in routes)
        and any(
            each.key == mark.key and each.word in RUNNING and not each.statement.insert and top in ways
            for each in marks(ctx)
            if (ways := tops(ctx, each.func))
        )
    )


def _names_others(ctx: Context, statement: Statement, word: str) -> bool:
    """Whether a statement's condition names states, and not this one."""
    return not picks(ctx, statement, word) and any(
        snake(each).endswith(("status", "state")) for each in statement.where
    )


def _calls_of(ctx: Context, mark: Mark) -> list[ProviderCall]:
    return [each.call for each in ctx.flows if mark.func in each.funcs]


def _asks_provider(ctx: Context, func: ir.Func | None, top: ir.Func) -> bool:
    """Whether a way, or the function that writes on it, asks the provider how work stands."""
    asking = askers(ctx)
    return any(leads_to(ctx, each, asking) for each in (func, top, *callers_of(ctx, func)))


def _keeps_id(ctx: Context, mark: Mark, mine: frozenset[ir.Func]) -> bool:
    """Whether the run stores the provider's id in the table, in a column of its own or within one."""
    for each in live_statements(ctx, "write"):
        if each.table != mark.statement.table or not any(
            GIVEN_ID.search(snake(one)) for one in _stored(each)
        ):
            continue
        ways = tops(ctx, each.func)
        said = [word for one in states_of(each) if (word := said_of(one))]
        if (ways is None or ways & mine) and all(one in RUNNING | RESTING for one in said):
            return True
    return False


def _stored(statement: Statement) -> Iterator[str]:
    """The columns that a statement sets, and the keys of objects that it spells."""
    yield from (each.column for each in statement.columns)
    for each in statement.columns:
        for part in ir.find(each.node, ir.Prop) if each.node is not None else ():
            yield part.key or ""
