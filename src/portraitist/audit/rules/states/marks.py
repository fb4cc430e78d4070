"""What the rules on states that stay open share: rows marked as being worked on, and what puts such a mark right.

A mark is where the word is spelled: in the statement, or in the call that hands it to a storage helper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import literals
from portraitist.audit.rules.base import (
    callers_of,
    helpers_behind,
    last_name,
    leads_to,
    live_statements,
    module_of,
)
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import RESTING, RUNNING, STATE, word_of
from portraitist.audit.rules.states.defaults import begins_as

WAITED_FOR = {"run", "async_run", "stream", "async_stream", "generateImage", "experimental_generateImage"}
"""Calls of the provider that answer when the work is done."""
_SETTLES = re.compile(r"fail|mark|status|state|update|set_|rollback|delete|remove|release|cleanup", re.I)
_LOGS = re.compile(r"^(console|log|logger|logging|sentry|os|shutil|fs|res|response|reply)\b|^print$", re.I)
_COMMITS = {"commit", "save", "asave"}


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A row's state set to a word for work under way, by a function of live code."""

    module: Module
    node: ir.Node
    func: ir.Func
    statement: Statement
    column: str
    word: str

    @property
    def line(self) -> int:
        """Its first line."""
        return self.node.line

    @property
    def end(self) -> int:
        """Its last line."""
        return self.node.end

    @property
    def key(self) -> str:
        """`table.column`."""
        return f"{self.statement.table}.{self.column}"


def states_of(statement: Statement) -> list[ColumnUse]:
    """The columns of a statement that hold a state."""
    return [each for each in statement.columns if STATE.search(snake(each.column))]


def said(use: ColumnUse) -> str:
    """The word that a column is set to, in lower case; "" where it is not known."""
    return word_of(use.value, use.node)


def _word(value: object) -> str:
    return value.lower().replace("-", "_") if isinstance(value, str) else ""


def writers(ctx: Context, table: str) -> list[Statement]:
    """The live statements that set a state of a table, or delete rows of it."""
    return ctx.once(_writers).get(table, [])


def _writers(ctx: Context) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = {}
    for each in live_statements(ctx, "write", "delete"):
        if each.kind == "delete" or states_of(each):
            found.setdefault(each.table, []).append(each)
    return found


def _of_writers(ctx: Context, table: str) -> tuple[set[ir.Node], set[ir.Func | None]]:
    """The writers of a table's state, as syntax, and their functions."""
    changing = writers(ctx, table)
    return {each.node for each in changing}, {each.func for each in changing}


def tables_of_work(ctx: Context) -> set[str]:
    """The tables that functions on the way to paid work, or below webhooks, write, themselves or by a helper."""
    return ctx.once(_tables_of_work)


def _tables_of_work(ctx: Context) -> set[str]:
    ways = working(ctx)
    own = ways.paid.keys() | ways.hooks
    return {
        each.table
        for each in live_statements(ctx, "write")
        if each.func in own or not own.isdisjoint(callers_of(ctx, each.func))
    }


def marks(ctx: Context) -> list[Mark]:
    """Every place where live code marks a row as being worked on."""
    return ctx.once(_marks)


def _marks(ctx: Context) -> list[Mark]:
    found = []
    for statement in (each for made in ctx.once(_writers).values() for each in made):
        for use in states_of(statement):
            found += [each for each in spelled(ctx, statement, use) if _says_open(each)]
    work = tables_of_work(ctx)
    for statement in live_statements(ctx, "write"):
        begun = begins_as(ctx, statement) if statement.table in work else None
        if begun is not None and statement.func is not None:
            found.append(Mark(statement.module, statement.node, statement.func, statement, *begun))
    return found


def _says_open(mark: Mark) -> bool:
    return mark.word in RUNNING or (mark.word in RESTING and mark.statement.insert)


def spelled(ctx: Context, statement: Statement, use: ColumnUse) -> Iterator[Mark]:
    """The places at which the word of a column is spelled: its callers', where a helper is handed it."""
    own, node = statement.func, use.node
    func = node.within if node is not None else None
    if own is None:
        return
    param = next((each for each in own.params if isinstance(node, ir.Name) and each.name == node.id), None)
    if param is not None:
        for site in ctx.program.callers.get(own, []):
            given = argument_for(site.call, own, param)
            words = literals(ctx.ev.eval(site.module, given)) if given is not None else []
            word = _word(words[0]) if len(words) == 1 else ""
            if site.call.within is not None:
                yield Mark(site.module, site.call, site.call.within, statement, use.column, word)
    elif func is None or func is own or node is None:
        yield Mark(statement.module, statement.node, own, statement, use.column, said(use))
    else:
        calls = (each for each in ir.ancestors(node) if isinstance(each, ir.Call) and each.within is func)
        call = next((each for each in calls if ctx.program.functions_called(each)), None)
        if call is not None:
            yield Mark(module_of(ctx, use), call, func, statement, use.column, said(use))


def settles(ctx: Context, table: str, nodes: Iterator[ir.Node], *, guessed: bool = True) -> bool:
    """Whether one of these pieces of syntax writes the table's state, or deletes the row.

    Where `guessed`, also whether one calls something outside the repository that by its name may do so unseen.
    """
    own, funcs = ctx.once(_of_writers, table)
    for node in nodes:
        if node in own:
            return True
        if not isinstance(node, ir.Call):
            continue
        targets = helpers_behind(ctx, node)
        if any(leads_to(ctx, each, funcs) for each in targets):
            return True
        name = ir.dotted(node.func)
        inside = ctx.program.module_of.get(node.within) if node.within is not None else None
        if name.endswith("rollback") and inside is not None and inside.language == "python":
            continue  # what is asked about is committed before
        if guessed and not targets and _SETTLES.search(name.rpartition(".")[2]) and not _LOGS.search(name):
            return True
    return False


def is_kept(ctx: Context, mark: Mark, until: int) -> bool:
    """Whether a mark is in the database before the line `until`: committed where that must be said."""
    if any(
        "transaction" in ir.dotted(each.func) for each in ir.ancestors(mark.node) if isinstance(each, ir.Call)
    ):
        return False
    must = isinstance(mark.statement.node, ir.Assign) or "commit(" in mark.statement.module.file.text
    if mark.module.language != "python" or not must:
        return True
    own = (each for each in ir.find(mark.func, ir.Call) if mark.line <= each.line <= until)
    helper = mark.statement.func if mark.statement.func is not mark.func else None
    inside = ir.find(helper, ir.Call) if helper is not None else iter(())
    return any(_commits(ctx, each) for each in own) or any(_commits(ctx, each) for each in inside)


def may_be_undone(mark: Mark, attempt: ir.Try) -> bool:
    """Whether an attempt ends with the commit that stores a row made before it: where that fails, there is no row."""
    if mark.module.language != "python" or "commit(" not in mark.statement.module.file.text:
        return False
    calls = [each for part in attempt.body for each in ir.find(part, ir.Call)]
    commits = [each for each in calls if last_name(each.func) == "commit"]
    if not commits:
        return False
    earlier = (each for each in ir.find(mark.func, ir.Call) if mark.end <= each.line < attempt.line)
    later = (each for each in calls if each.line > commits[0].end and last_name(each.func) != "refresh")
    return not any(last_name(each.func) in _COMMITS for each in earlier) and next(later, None) is None


def _commits(ctx: Context, call: ir.Call) -> bool:
    if isinstance(call.func, ir.Attr) and call.func.name in _COMMITS:
        return True
    called = (each.node for each in ctx.program.functions_called(call))
    return any(
        isinstance(one.func, ir.Attr) and one.func.name in _COMMITS
        for func in called
        if isinstance(func, ir.Func)
        for one in ir.find(func, ir.Call)
    )
