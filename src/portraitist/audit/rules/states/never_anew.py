"""Part of the rule on states that stay open: a start that asks for the state of a row that was never worked on.

`where: { status: "not_created" }`: once the work has failed, nothing sets that again. What somebody sets by hand in the
database is not seen; rows that a start makes itself are made anew, and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import literals
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import askers, finding, last_name, leads_to
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.own_requests import own_requests
from portraitist.audit.rules.state_words import DONE, LOST, STATE
from portraitist.audit.rules.states.marks import spelled, states_of, writers
from portraitist.audit.rules.states.picked import is_of_one


@dataclass(frozen=True, slots=True)
class Gate:
    """What a start asks of a row: its table, the column, the words one of which that must hold."""

    module: Module
    node: ir.Node
    table: str
    column: str
    words: frozenset[str]


def never_anew(ctx: Context) -> Iterator[Finding]:
    """Everything of this file."""
    starts = {
        func: flow.call
        for flow in ctx.flows
        if flow.call.creates and flow.route is not None and flow.route.is_http
        for func in flow.funcs
    }
    seen: set[ir.Node] = set()
    for func, call in starts.items():
        module = ctx.program.module_of[func]
        if func in working(ctx).hooks or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        until = call.call.line if call.func is func else func.end
        for gate in _gates(ctx, module, func, until):
            lost = _stored_failure(ctx, gate) if gate.node not in seen else None
            if lost is None or _is_made_by(ctx, gate, set(starts)) or _is_set_again(ctx, gate):
                continue
            like = {
                each for each, other in starts.items() if other.purpose == call.purpose and each is not func
            }
            if _starts_elsewhere(ctx, gate, like):
                continue
            seen.add(gate.node)
            words = " or ".join(repr(each) for each in sorted(gate.words))
            message = (
                f"a start asks for {gate.table}.{gate.column} {words}, which nothing sets again once a row was made: "
                "after a failure it can't be started anew"
            )
            yield finding("stuck-status", gate.module, gate.node, message, key=f"{gate.table}.{gate.column} anew",
                          weight=BARELY, evidence=[Place(lost.module.path, lost.line)])  # fmt: skip


def _gates(ctx: Context, module: Module, func: ir.Func, until: int) -> Iterator[Gate]:
    """The rows that a start looks for by their state, and the tests that turn every other state away."""
    own = [each for each in ctx.statements_under.get(func, ()) if each.func is func and each.end <= until]
    for each in own:
        for column, node in each.where_values if each.kind == "read" and is_of_one(each) else ():
            words = {str(one).lower() for one in literals(ctx.ev.eval(each.module, node))}
            if STATE.search(snake(column)) and words and _is_all(node):
                yield Gate(module, each.node, each.table, column, frozenset(words))
    read = {each.table for each in own if each.kind == "read"}
    for test in ir.find(func, ir.If):
        if test.within is not func or test.end > until or not exits(test.then):
            continue
        column, words = _demanded(test.test)
        for table in sorted(read) if words else ():
            if any(
                snake(use.column) == snake(column) for one in writers(ctx, table) for use in states_of(one)
            ):
                yield Gate(module, test, table, column, frozenset(words))


def _is_all(node: ir.Node) -> bool:
    """Whether a condition is for these words and not for all others: `{ not: "done" }`."""
    return not any(
        each.key in {"not", "notIn", "$ne", "$nin"} for each in ir.find(node, ir.Prop)
    ) and isinstance(node, ir.Lit | ir.Name | ir.Attr)


def _demanded(test: ir.Node) -> tuple[str, set[str]]:
    """The state's column and the words that alone pass a test which turns away: `row.status !== "draft"`."""
    if isinstance(test, ir.Bin) and test.op in {"or", "||"} and test.right is not None:
        column, words = _demanded(test.left)
        return (column, words) if words else _demanded(test.right)
    if isinstance(test, ir.Bin) and test.op in {"and", "&&"} and test.right is not None:
        one, other = _demanded(test.left), _demanded(test.right)
        both = one[1] and other[1] and one[0] == other[0]
        return (one[0], one[1] | other[1]) if both else ("", set())
    if not isinstance(test, ir.Bin) or test.op not in EQUALITY or test.op not in {"!=", "!=="}:
        return "", set()
    name, word = last_name(test.left), ir.text_of(test.right)
    plain = isinstance(test.left, ir.Attr | ir.Index) and STATE.search(snake(name)) and word
    return (name, {word.lower()}) if plain and word else ("", set())


def _changing(ctx: Context, gate: Gate) -> Iterator[tuple[Statement, str, ir.Func | None]]:
    """The writes of a table's state that make no row, each with a word that it may set; "" for any."""
    for each in writers(ctx, gate.table):
        if each.kind == "write" and not each.insert:
            for use in states_of(each):
                if snake(use.column) == snake(gate.column):
                    for one in spelled(ctx, each, use):
                        yield each, one.word, one.func


def _is_told(ctx: Context, func: ir.Func | None) -> bool:
    """Whether a function stores what the provider says: it hears of it, or asks."""
    return func in working(ctx).hooks or (func is not None and leads_to(ctx, func, askers(ctx)))


def _stored_failure(ctx: Context, gate: Gate) -> Statement | None:
    """Where a failure is stored in the rows that the start asks for; none where the start asks for the end of a run."""
    if gate.words & (DONE | LOST):
        return None
    return next(
        (
            each
            for each, word, func in _changing(ctx, gate)
            if word in LOST or (not word and _is_told(ctx, func))
        ),
        None,
    )


def _is_set_again(ctx: Context, gate: Gate) -> bool:
    """Whether a write sets one of the words, or one that nobody knows and that is not the provider's."""
    return any(
        word in gate.words or (not word and not _is_told(ctx, func)) for _, word, func in _changing(ctx, gate)
    )


def _is_made_by(ctx: Context, gate: Gate, starts: set[ir.Func]) -> bool:
    """Whether the way to the work makes such rows itself, or no row is seen to begin with one of the words.

    What asks the start's own route for its work is such a way, too: the row is a job's, and another is made for it.
    """
    made = [each for each in writers(ctx, gate.table) if each.insert]
    asked = ctx.once(own_requests).items()
    ways: set[ir.Func | None] = {call.within for call, route in asked if starts.intersection(route.funcs)}
    ways |= starts
    own = any(leads_to(ctx, each.func, ways) for each in made)
    begun = any(
        one.word in gate.words for each in made for use in states_of(each) for one in spelled(ctx, each, use)
    )
    return own or not begun


def _starts_elsewhere(ctx: Context, gate: Gate, others: set[ir.Func]) -> bool:
    """Whether another start of such work looks for such rows without asking for their state: a way to try again."""
    for other in others:
        mine = [
            each
            for each in ctx.statements_under.get(other, ())
            if each.kind == "read" and each.table == gate.table and each.func is other
        ]
        if not mine or any(STATE.search(snake(one)) for each in mine for one in each.where):
            continue
        tests = (test.test for test in ir.find(other, ir.If) if test.within is other and exits(test.then))
        if not any(_demanded(each)[1] for each in tests):
            return True
    return False
