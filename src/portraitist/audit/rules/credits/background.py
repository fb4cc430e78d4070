"""Part of the rule on credits: work in the background that is marked as failed and keeps what was taken for it.

The work is tied to the take by its way, or by the table of jobs that the one fills and the other empties.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, last_name
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.unheeded import unheard_before_queue
from portraitist.audit.rules.state_words import FAILED, STATE


def marked_failed(ctx: Context, ledger: Ledger, flow: Flow, taker: ir.Func, taken: Place) -> Finding | None:
    """The first place behind a take, in a function of its own, that calls the work failed and gives nothing back."""
    behind = flow.funcs[flow.funcs.index(taker) + 1 :] if taker in flow.funcs else ()
    return next(
        (
            _found(ctx.program.module_of[func], flow, marks, taken)
            for func in behind
            if not _gives(ledger, func) and (marks := list(_marks(func)))
        ),
        None,
    )


def queued_and_failed(ctx: Context, ledger: Ledger) -> Iterator[Finding]:
    """Jobs that fail for good in a worker, whose rows a handler stores when it has taken the credits for them.

    Also work that is queued whether or not its credits could be taken (`unheeded`).
    """
    yield from unheard_before_queue(ctx)
    stored = dict(_stored_after_a_take(ctx, ledger))
    seen: set[ir.Func] = set()
    for flow in ctx.flows if stored else ():
        worker = flow.route is None or not flow.route.is_http
        tables = {
            each.table for func in flow.funcs for each in ctx.statements_under.get(func, ()) if each.insert
        }
        for func in flow.funcs if worker and not any(_gives(ledger, each) for each in flow.funcs) else ():
            for statement in ctx.statements_under.get(func, ()):
                marks = [each for each in _marks(func) if statement.line <= each.line <= statement.end]
                taken = stored.get(statement.table) if statement.kind == "write" and marks else None
                own = statement.table in tables  # a row that the worker itself stores
                if taken is not None and func not in seen and not own and taken[0] not in flow.funcs:
                    seen.add(func)
                    yield _found(statement.module, flow, [statement.node], taken[1])


def _stored_after_a_take(ctx: Context, ledger: Ledger) -> Iterator[tuple[str, tuple[ir.Func, Place]]]:
    """The tables into which a route's handler inserts a row of work behind a take, and where that take stands."""
    for func in ctx.handled_by:
        takes = [each for each in ledger.events(func) if each.kind == "take"]
        for statement in ctx.statements_under.get(func, ()) if takes else ():
            queued = any(STATE.search(snake(each.column)) for each in statement.columns)
            if statement.insert and queued and statement.line > takes[0].line:
                place = Place(ctx.program.module_of[func].path, takes[0].line)
                yield statement.table, (func, place)


def _gives(ledger: Ledger, func: ir.Func) -> bool:
    return any(each.kind == "give" for each in ledger.events(func))


def _marks(func: ir.Func) -> Iterator[ir.Node]:
    """The places in the handlers and branches of a function that set a state to failed."""
    entries: list[tuple[str, ir.Node, ir.Node | None]] = [
        (each.key or "", each, each.value) for each in ir.find(func, ir.Prop)
    ]
    entries += [(last_name(each.target), each, each.value) for each in ir.find(func, ir.Assign)]
    for name, node, value in sorted(entries, key=lambda each: each[1].line):
        said = ir.text_of(value) or (last_name(value) if isinstance(value, ir.Attr) else "")
        if not said or not STATE.search(snake(name)) or not FAILED.search(said):
            continue
        if any(isinstance(each, (ir.Handler, ir.If)) for each in ir.ancestors(node)):
            yield node


def _found(module: Module, flow: Flow, marks: list[ir.Node], taken: Place) -> Finding:
    message = f"the {flow.call.purpose} is called failed here and the credits taken for it are not given back"
    return finding("credit-before-check", module, marks[0], message, key=f"failed {flow.call.purpose}", weight=49,
                   end=marks[-1].end, evidence=[taken])  # fmt: skip
