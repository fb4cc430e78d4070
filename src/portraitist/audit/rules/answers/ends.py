"""What becomes of rows for each answer of the provider, as `walk` follows it: which ends a handler or a poll writes.

Part of the rules on states that stay open and on work that counts as done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.rules.answers.calls import Effect
from portraitist.audit.rules.answers.expressions import GivenUpError
from portraitist.audit.rules.answers.values import OUTPUT, Told, of_output
from portraitist.audit.rules.answers.walk import Walk
from portraitist.audit.rules.base import askers, helpers_of
from portraitist.audit.rules.state_words import LOST, RESTING, RUNNING
from portraitist.audit.rules.states.open_ends import hooks_of
from portraitist.audit.rules.states.picked import is_swept

SUCCESS = "succeeded"
ANSWERS = {
    SUCCESS: Told("succeeded", OUTPUT),
    "running": Told("processing"),
    "failed": Told("failed"),
    "canceled": Told("canceled"),
    "empty": Told("succeeded"),
    "other": Told("succeeded", {}),
    "refused": Told("", refused=True),
}
"""What the provider can say, by the name that it has here."""
STATE_COLUMN = re.compile(
    r"(^|_)(status|state)$|(^|_)(in_|is_)?(training|trained|processing|generating|ready|completed?|done|finished)$"
)


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """A function that hears, or asks, how work stands, followed for every answer."""

    func: ir.Func
    hears: bool
    walks: dict[str, Walk]

    def ends(self, answer: str) -> set[str]:
        """The tables whose state is brought to an end by this answer, and not by whatever is told."""
        running, good = ({_key(each) for each in self.walks[name].effects} for name in ("running", SUCCESS))
        own = (
            each for each in self.walks[answer].effects if _is_lost(each) or _key(each) not in running & good
        )
        return {each.statement.table for each in own if is_end(each)}

    def touched(self, answer: str) -> set[str]:
        """The tables of which rows that are there are changed or deleted after this answer."""
        return {each.statement.table for each in self.walks[answer].effects if not each.statement.insert}

    def results(self) -> set[str]:
        """The tables whose rows get what a run made, on success alone, where no state is set."""
        made = {each.statement.table for each in self.walks[SUCCESS].effects if is_result(each)}
        return made - self.done() - self.touched("running")

    def done(self) -> set[str]:
        """The tables whose state success sets, but those whose rows a helper has picked by itself, one by one."""
        sets = {
            each.statement.table
            for each in self.walks[SUCCESS].effects
            if each.statement.kind == "write"
            and is_end(each)
            and not _is_of_others(self.func, each.statement)
        }
        return self.ends(SUCCESS) & sets


def _is_of_others(func: ir.Func, statement: Statement) -> bool:
    """Whether a raw request of a helper sets rows that it has read itself, in a loop.

    A member's tasks, of which a run that succeeded is one step: they are no rows of the run.
    """
    if statement.signed is None or statement.func is None or statement.func is func:
        return False
    loop = ir.enclosing(statement.node, ir.Loop)
    if loop is None or loop.within is not statement.func or loop.source is None:
        return False
    params = {each.name for each in statement.func.params}
    return not params & {each.id for each in ir.find(loop.source, ir.Name)}


def _is_lost(effect: Effect) -> bool:
    return any(isinstance(each, str) and each.lower() in LOST for each in words_of(effect))


def _key(effect: Effect) -> tuple[Statement, str]:
    return effect.statement, repr(words_of(effect))


def is_end(effect: Effect) -> bool:
    """Whether what is written ends a state, as far as is known."""
    if effect.statement.kind == "delete":
        return True
    return not effect.statement.insert and any(
        not (isinstance(each, str) and each.lower() in RUNNING | RESTING) for each in words_of(effect)
    )


def is_result(effect: Effect) -> bool:
    """Whether a row that is there gets what the run made, as far as the columns' names say."""
    return not effect.statement.insert and any(
        value is not None and (of_output(value) or _RESULT.search(snake(use.column)))
        for use, value in effect.columns
    )


_RESULT = re.compile(r"(^|_)(urls?|images?|videos?|output|result|version|weights|lora)(_(url|id|path))?$")


def words_of(effect: Effect) -> list[object]:
    """What a statement may set states to, the last one at the end."""
    return [value for use, value in effect.columns if STATE_COLUMN.search(snake(use.column))]


def roots(ctx: Context) -> list[Root]:
    """The functions that hear or ask how work stands and write a state, none of which another of them calls."""
    return ctx.once(_roots)


def _roots(ctx: Context) -> list[Root]:
    heard = {func for func, _ in hooks_of(ctx)}
    asking = {each for each in askers(ctx) if each is not None}
    near: set[ir.Func] = set(asking)
    for _ in range(2):
        near |= {caller for each in near for caller in _callers(ctx, each)}
    near = {_outer(each) for each in near | heard}
    writes = _writing(ctx)
    chosen = [each for each in near if each in heard or each in writes]
    called = {below for each in chosen for below in _below(ctx, each)}
    found = []
    for func in ctx.in_order(set(chosen) - (called - heard)):
        if ctx.role_at(ctx.program.module_of[func], func) != "src":
            continue
        try:
            walks = {}
            for name, told in ANSWERS.items():
                walks[name] = Walk(ctx, told, func, hears=func in heard)
                if name == SUCCESS and not any(
                    is_end(each) or is_result(each) for each in walks[name].effects
                ):
                    break
            if len(walks) == len(ANSWERS):
                found.append(Root(func, func in heard, walks))
        except (GivenUpError, RecursionError):
            continue
    return found


def swept_tables(ctx: Context) -> set[str]:
    """The tables whose old open rows something ends."""
    return ctx.once(_swept_tables)


def _swept_tables(ctx: Context) -> set[str]:
    tables = {each.statement.table for root in roots(ctx) for each in root.walks[SUCCESS].effects}
    return {each for each in tables if is_swept(ctx, each)}


def _callers(ctx: Context, func: ir.Func) -> Iterator[ir.Func]:
    for each in ctx.program.callers.get(func, ()):
        if each.call.within is not None:
            yield each.call.within


def _outer(func: ir.Func) -> ir.Func:
    while func.within is not None:
        func = func.within
    return func


def _writing(ctx: Context) -> set[ir.Func]:
    """The functions that write a state themselves, or call what does, two steps down."""
    found = {each.func for each in ctx.statements if each.kind == "delete" or _holds_state(each)} - {None}
    made = {_outer(each) for each in found if each is not None}
    for _ in range(2):
        made |= {_outer(caller) for each in made for caller in _callers(ctx, each)}
    return made


def _holds_state(statement: Statement) -> bool:
    return statement.kind == "write" and any(
        STATE_COLUMN.search(snake(each.column)) for each in statement.columns
    )


def _below(ctx: Context, func: ir.Func) -> set[ir.Func]:
    """The functions below one, three steps down."""
    found: set[ir.Func] = set()
    level = {func}
    for _ in range(3):
        level = {each for one in level for each in helpers_of(ctx, one)} - found - {func}
        found |= level
    return found
