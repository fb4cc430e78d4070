"""Part of the rule on states that stay open: a loop that asks so many times, gives up, and writes nothing then.

Only where no webhook, job or other question to the provider ends such rows; a watchdog outside the repository, or a
page that tells what it saw, is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import askers, callers_of, finding, leads_to
from portraitist.audit.rules.failures.quiet import live_sites, working
from portraitist.audit.rules.failures.walk import FALLS, GIVES, End, TiredError, ends_behind
from portraitist.audit.rules.given_up import behind_rounds, ended_rounds, giving_up
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import RESTING, RUNNING
from portraitist.audit.rules.states.detached import below_of
from portraitist.audit.rules.states.marks import Mark, marks, said, settles, states_of, writers
from portraitist.audit.rules.states.picked import put_right

Left = tuple[Module, ir.Node, list[End], ir.Loop]
"""Where it is learned that the questions are over: the file, the loop or the call of what gave up, the ways behind."""


def rounds_over(ctx: Context) -> Iterator[Finding]:
    """`if (!result) { console.error(…); return; }` behind the polls, in what else writes how the work ended."""
    seen: set[tuple[ir.Node, str]] = set()
    for module, where, ends, loop in _left(ctx):
        func = where.within
        for mark in marks(ctx) if func is not None else ():
            table = mark.statement.table
            if func is None or (where, table) in seen or not _ends_alone(ctx, mark, func, where):
                continue
            end = next((each for each in ends if _writes_nothing(ctx, table, each, where)), None)
            if end is None:
                continue
            seen.add((where, table))
            node = _shown(end, where)
            message = (
                f"{mark.key} stays {mark.word!r} on this way out, when the questions of line {loop.line} are over "
                "without an end"
            )
            yield finding("stuck-status", module, node, message, key=f"{mark.key} given up", weight=BARELY,
                          evidence=[Place(mark.module.path, mark.line)])  # fmt: skip


def _left(ctx: Context) -> Iterator[Left]:
    for module, loop in ended_rounds(ctx):
        yield module, loop, behind_rounds(module, loop), loop
    for func, (value, loop, _) in ctx.once(giving_up).items():
        for site, _owner in live_sites(ctx, func):
            try:
                yield site.module, site.call, ends_behind(site.module, site.call, value), loop
            except TiredError:
                continue


def _ends_alone(ctx: Context, mark: Mark, func: ir.Func, where: ir.Node) -> bool:
    """Whether a function ends rows behind some line, and no other part that hears of the work does."""
    table = mark.statement.table
    own = ctx.statements_under.get(func, ())
    if not any(each.table == table and not each.insert and each.end >= where.line for each in own):
        return False
    if mark.func is func and mark.line > where.line:
        return False
    return not put_right(ctx, mark) and not _may_be_ended(ctx, table, below_of(ctx, func))


def _may_be_ended(ctx: Context, table: str, below: set[ir.Func]) -> bool:
    """Whether a webhook, a job or another question to the provider writes how such work ended."""
    ways, asking = working(ctx), askers(ctx)
    jobs = {func for flow in ctx.flows if flow.route and flow.route.method == "JOB" for func in flow.funcs}
    for each in writers(ctx, table):
        if each.kind == "delete" or each.insert or each.func is None or each.func in below:
            continue
        if all(said(use) in RUNNING | RESTING for use in states_of(each)):
            continue
        others = {each.func, *callers_of(ctx, each.func)} - below
        if others & (ways.hooks | jobs) or any(leads_to(ctx, one, asking - below) for one in others):
            return True
    return False


def _writes_nothing(ctx: Context, table: str, end: End, where: ir.Node) -> bool:
    """Whether a way comes to its end by what the questions gave alone, and writes no state of a table."""
    if end.kind not in {GIVES, FALLS}:
        return False
    for each in ir.ancestors(end.node) if end.node is not None else ():
        if each.line <= where.line and where.end <= each.end:
            break
        if isinstance(each, ir.Handler) or (isinstance(each, ir.If) and each not in end.way.asked):
            return False
    done = [*end.way.done, *([end.node] if end.node is not None else [])]
    return not settles(ctx, table, (one for each in done for one in ir.walk(each)))


def _shown(end: End, where: ir.Node) -> ir.Node:
    """The branch in which a way ends, if it stands behind the questions, else where they are asked."""
    branch = ir.enclosing(end.node, ir.If) if end.node is not None else None
    return branch if branch is not None and branch.line > where.end else (end.node or where)
