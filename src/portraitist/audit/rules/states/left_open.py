"""Part of the rule on states that stay open: the ways out behind a row's mark, followed statement by statement.

The ways are followed in `rules.exits`. What a watchdog outside the repository puts right is not seen; one inside it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import (
    askers,
    finding,
    helpers_behind,
    leads_to,
    live_statements,
    names_in,
)
from portraitist.audit.rules.exits import WayOut, WaysOut
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import LOST, RUNNING, STATE_OR_PHASE
from portraitist.audit.rules.states.early_ways_out import answers
from portraitist.audit.rules.states.marks import (
    Mark,
    is_kept,
    marks,
    may_be_undone,
    said,
    settles,
    states_of,
    tables_of_work,
    writers,
)
from portraitist.audit.rules.states.open_ends import GIVEN_ID
from portraitist.audit.rules.states.picked import makes_its_own, put_right, word_allowed
from portraitist.audit.rules.states.ways_in import tops

MOST = 4
"""So many ways out behind one mark are told, and the one that the paid call itself may take."""
FAR = 60
"""A stretch from a mark to what may fail behind it is told up to so many lines."""
MAX_STEPS = 2
"""How many callers up a row made by a helper is followed, and an end of it looked for."""


def left_open(ctx: Context) -> Iterator[Finding]:
    """Rows marked as waiting or running before a paid call, and the ways out on which nothing changes them.

    A row that keeps the provider's id is left alone: a webhook or a poll may know it. So is a table whose open rows
    something picks, or that a request other than those of the work may end, and whatever a caller may put right.
    """
    ways = working(ctx)
    jobs = {func for flow in ctx.flows if flow.route and flow.route.method == "JOB" for func in flow.funcs}
    seen: set[ir.Node] = set()
    for mark in (*lifted(ctx), *_of_other_work(ctx)) if ways.paid else ():
        until = ways.paid.get(mark.func, mark.func.end)
        if mark.end >= until or put_right(ctx, mark) or _may_be_told(ctx, mark):
            continue
        found = [
            each
            for each in WaysOut(ctx, mark.func, mark.node, _ends(ctx, mark), answers(mark)).run()
            if each.node not in seen and _is_left(ctx, mark, each, jobs)
        ]
        found = [*found[:MOST], *[each for each in found[MOST:] if _is_around(each, until)][:1]]
        seen.update(each.node for each in found)
        if found and not any(each.how == "uncaught" for each in found):
            cause, there = found[0].cause.line, Place(mark.module.path, found[0].node.line)
            message = f"{mark.key} is {mark.word!r} from here on, and is left so by line {cause}"
            yield finding("stuck-status", mark.module, mark.node, message, key=f"{mark.key} opened", weight=BARELY,
                          line=mark.line, end=mark.end, evidence=[there])  # fmt: skip
        for each in found:
            near = each.how == "uncaught" and each.end - mark.line <= FAR
            message = _SAID[each.how].format(line=each.cause.line, key=mark.key, word=mark.word, at=mark.line)
            yield finding("stuck-status", mark.module, each.node, message, key=f"{mark.key} {each.how}", weight=BARELY,
                          line=mark.line if near else each.node.line, end=each.end,
                          evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


_SAID = {
    "answered": "{key}, set to {word!r} at line {at}, stays so on this way out",
    "thrown": "{key}, set to {word!r} at line {at}, stays so when this is thrown",
    "caught": "an error of line {line} comes here, and {key}, set to {word!r} at line {at}, stays so",
    "uncaught": "{key}, set to {word!r} at line {at}, stays so when line {line} throws: nothing around it changes it",
}


def lifted(ctx: Context) -> list[Mark]:
    """The marks of rows that no provider's id makes known, also where a helper that only makes a row is called."""
    return ctx.once(_lifted)


def _lifted(ctx: Context) -> list[Mark]:
    return list(_marks_on_ways(ctx))


def _marks_on_ways(ctx: Context) -> Iterator[Mark]:
    paid = working(ctx).paid
    for mark in marks(ctx):
        if mark.statement.insert and any(_keeps_id(each) for each in _id_columns(mark.statement)):
            continue
        near = [mark]
        for _ in range(MAX_STEPS):
            yield from (each for each in near if each.func in paid)
            bare = [each for each in near if each.func not in paid]
            near = [
                replace(each, module=site.module, node=site.call, func=site.call.within)
                for each in bare
                if not _ends(ctx, each)
                for site in ctx.program.callers.get(each.func, [])
                if site.call.within is not None
            ]
        yield from (each for each in near if each.func in paid)


def _of_other_work(ctx: Context) -> Iterator[Mark]:
    """The marks for work of another provider, or of a queue, in tables that paid work or its webhooks write too.

    Where the function itself ends the row somewhere behind: then it is its own to end on the other ways out.
    """
    ways, asking = working(ctx), askers(ctx)
    tables = tables_of_work(ctx)
    for mark in marks(ctx):
        known = mark.func in ways or leads_to(ctx, mark.func, asking) or mark.statement.table not in tables
        if not known and mark.word in RUNNING and not _id_columns(mark.statement) and _ends(ctx, mark):
            yield mark


def _id_columns(statement: Statement) -> list[ir.Node | None]:
    return [each.node for each in statement.columns if GIVEN_ID.search(snake(each.column))]


def _keeps_id(node: ir.Node | None) -> bool:
    return not (isinstance(node, ir.Lit) and not node.value)


def _ends(ctx: Context, mark: Mark) -> set[ir.Node]:
    """What behind a mark, in its function, ends it, may by its name, or stores the provider's id."""
    table, behind = mark.statement.table, [each for each in ir.walk(mark.func) if each.line > mark.end]
    own, funcs = ctx.once(_known, table)
    others: set[ir.Node] = set()
    for each in behind:
        if any(one.table != table or _spares_state(one) for one in ctx.statements_at.get(each, ())):
            others.update(ir.walk(each))
            others.update(one for one in ir.ancestors(each) if isinstance(one, ir.Call))
    return {
        each
        for each in behind
        if each in own
        or (isinstance(each, ir.Call) and any(leads_to(ctx, one, funcs) for one in helpers_behind(ctx, each)))
        or settles(ctx, table, iter((each,)), guessed=each not in others)
    }


def _spares_state(statement: Statement) -> bool:
    """Whether a write names its columns, and neither a state nor the provider's id is among them."""
    named = bool(statement.columns) and statement.kind == "write"
    told = any(STATE_OR_PHASE.search(snake(each.column)) for each in statement.columns)
    return named and not told and not _id_columns(statement)


def _known(ctx: Context, table: str) -> tuple[set[ir.Node], set[ir.Func | None]]:
    """The statements that keep the provider's id in a table, and their functions."""
    found = [each for each in live_statements(ctx, "write") if each.table == table and _id_columns(each)]
    return {each.node for each in found}, {each.func for each in found}


def _may_be_told(ctx: Context, mark: Mark) -> bool:
    """Whether a route that asks no provider may end the row: a page that saw the error tells it."""
    ways, asking = working(ctx), askers(ctx)
    for each in writers(ctx, mark.statement.table):
        routes = ctx.handled_by.get(each.func, ()) if each.func is not None else ()
        if each.kind == "delete" or each.insert or each.func in ways or leads_to(ctx, each.func, asking):
            continue
        if not word_allowed(each.node, mark.word) or _ends_its_own(ctx, each):
            continue
        used = any(
            one.method != "ACTION" or ctx.program.callers.get(each.func)
            for one in routes
            if each.func is not None
        )
        if used and any(said(use) in LOST or not said(use) for use in states_of(each)):
            return True
    return False


def _ends_its_own(ctx: Context, statement: Statement) -> bool:
    """Whether every way to a statement makes rows of its own, and asks for none that it is told of."""
    above = tops(ctx, statement.func)
    return bool(above) and all(makes_its_own(ctx, statement.table, each) for each in above or ())


def _is_left(ctx: Context, mark: Mark, way: WayOut, jobs: set[ir.Func]) -> bool:
    """Whether the row is stored on a way out, and no caller changes it; a job that throws may be tried again."""
    if way.how in {"thrown", "uncaught"} and mark.func in jobs:
        return False
    if not is_kept(ctx, mark, way.cause.line) or _is_in_transaction(mark):
        return False
    told = answers(mark)
    branches = (each for each in ir.ancestors(way.cause) if isinstance(each, ir.If))
    if any(each.line > mark.line and told & names_in(each.test) for each in branches):
        return False  # the row was not made
    if isinstance(way.node, ir.Handler) and not _stops(ctx, mark, way.node):
        return False
    undone = (each for each in ir.find(mark.func, ir.Try) if each.line > mark.end)
    if any(way.node in each.handlers and may_be_undone(mark, each) for each in undone):
        return False
    return not _settled_above(ctx, mark, mark.func, MAX_STEPS)


def _is_around(way: WayOut, line: int) -> bool:
    """Whether a way out is the handler of what stands on a line."""
    attempt = way.node.parent if isinstance(way.node, ir.Handler) else None
    return attempt is not None and attempt.line <= line <= way.node.line


def _stops(ctx: Context, mark: Mark, handler: ir.Handler) -> bool:
    """Whether a handler ends the work: it goes round no loop again, and passes by an end that success comes to."""
    around = next((each for each in ir.ancestors(handler) if isinstance(each, ir.Loop | ir.Func)), None)
    if isinstance(around, ir.Loop) and not any(isinstance(each, ir.Return) for each in handler.body):
        return False
    leaves = any(each.within is handler.within for each in ir.find(handler, ir.Return))
    attempt = handler.parent
    return leaves or (attempt is not None and not _ends(ctx, mark).isdisjoint(ir.walk(attempt)))


def _is_in_transaction(mark: Mark) -> bool:
    """Whether an error undoes the row with all the rest: Django's `atomic`, and every mutation of Convex."""
    text = "\n".join(mark.module.lines[mark.func.line - 1 : mark.line])
    return "atomic(" in text or "convex/" in mark.module.path


def _settled_above(ctx: Context, mark: Mark, func: ir.Func, steps: int) -> bool:
    """Whether a caller, or the function around, changes the row behind this function's call or in a handler of it."""
    around: list[tuple[ir.Node, ir.Func]] = [
        (each.call, each.call.within)
        for each in ctx.program.callers.get(func, [])
        if each.call.within is not None
    ]
    if func.within is not None:
        around.append((func, func.within))
    for node, owner in around:
        own = set(ir.walk(node))
        later = (each for each in ir.walk(owner) if each.line >= node.line and each not in own)
        again = (each for each in later if not _calls(ctx, each, func))
        if settles(ctx, mark.statement.table, again, guessed=False):
            return True
        if steps and _settled_above(ctx, mark, owner, steps - 1):
            return True
    return False


def _calls(ctx: Context, node: ir.Node, func: ir.Func) -> bool:
    return isinstance(node, ir.Call) and func in helpers_behind(ctx, node)
