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
    names_in,
)
from portraitist.audit.rules.state_words import RESTING, RUNNING, STATE, word_of

WAITED_FOR = {"run", "async_run", "stream", "async_stream", "generateImage", "experimental_generateImage"}
"""Calls of the provider that answer when the work is done."""
AGE = re.compile(
    r"created_?at|updated_?at|started_?at|elapsed|stale|timed?_?out|minutes|expire|deadline", re.I
)
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


def marks(ctx: Context) -> list[Mark]:
    """Every place where live code marks a row as being worked on."""
    return ctx.once(_marks)


def _marks(ctx: Context) -> list[Mark]:
    found = []
    for statement in (each for made in ctx.once(_writers).values() for each in made):
        for use in states_of(statement):
            found += [each for each in spelled(ctx, statement, use) if _says_open(each)]
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


def put_right(ctx: Context, mark: Mark) -> bool:
    """Whether something picks rows by this state, or by their age, to change them or go on with them."""
    given = frozenset(each.column for each in mark.statement.columns) if mark.statement.insert else None
    return ctx.once(_put_right, mark.statement.table, mark.word, given)


def _put_right(ctx: Context, table: str, word: str, given: frozenset[str] | None) -> bool:
    changing = writers(ctx, table)
    funcs = {each.func for each in changing}
    asking = {each.func for each in ctx.calls if each.purpose in {"status", "training", "generation"}}
    for each in changing:
        if (picks(ctx, each, word) and not _is_of_one(each)) or _by_age(each):
            return True
    for each in live_statements(ctx, "read"):
        wants = set() if given is None else _demanded(each) - given
        if each.table == table and each.func is not None and not wants and picks(ctx, each, word):
            called = callers_of(ctx, each.func)
            if any(leads_to(ctx, one, funcs | asking) for one in {each.func, *called}):
                return True
    return False


def swept(ctx: Context, funcs: set[ir.Func]) -> bool:
    """Whether something ends the old open rows of a table whose state one of these functions writes."""
    tables = {name for name, made in ctx.once(_writers).items() if any(each.func in funcs for each in made)}
    return any(is_swept(ctx, each) for each in sorted(tables))


def is_swept(ctx: Context, table: str) -> bool:
    """Whether a query asks for an open state of a table and for a time, and its function writes that state."""
    return ctx.once(_is_swept, table)


def _is_swept(ctx: Context, table: str) -> bool:
    changing = {each.func for each in writers(ctx, table)}
    words = {each.word for each in marks(ctx) if each.statement.table == table}
    return any(
        each.table == table
        and not _is_of_one(each)
        and leads_to(ctx, each.func, changing)
        and any(STATE.search(snake(one)) for one in each.where)
        and _asks_age(each)
        and any(picks(ctx, each, word) for word in words)
        for each in live_statements(ctx, "read", "write", "delete")
    )


def _asks_age(statement: Statement) -> bool:
    """Whether rows are asked for that are older than something: by a column's name, or `.lt("created_at", …)`."""
    if any(AGE.search(snake(each)) for each in statement.where):
        return True
    older = (each for each in ir.find(statement.node, ir.Call) if last_name(each.func) in {"lt", "lte"})
    return any(AGE.search(ir.text_of(each.args[0]) or "") for each in older if each.args)


def picks(ctx: Context, statement: Statement, word: str) -> bool:
    """Whether a statement's condition names a state and may ask for this word."""
    texts = [text for each in ir.find(statement.node, ir.Lit) if (text := ir.text_of(each))]
    if not any(STATE.search(snake(each)) for each in statement.where):
        return any(re.search(rf"stat(us|e)\.\w+\..*\b{re.escape(word)}\b", each, re.I) for each in texts)
    spelled = [one for each in texts for one in _COMPARED.findall(each)]
    asked = [node for name, node in statement.where_values if STATE.search(snake(name))]
    asked += _listed(statement)
    words = {each.lower().replace("-", "_") for each in spelled}
    for node in asked:
        known = [str(each) for each in literals(ctx.ev.eval(statement.module, node))]
        if not known and any(isinstance(each, ir.Name) for each in ir.walk(node)):
            return True
        known += [text for each in ir.find(node, ir.Lit) if (text := ir.text_of(each))]
        words |= {each.lower().replace("-", "_") for each in known}
    return not words or word in words


def _listed(statement: Statement) -> list[ir.Node]:
    """The lists in which SQLAlchemy looks for a state: `Job.status.in_([…])`."""
    calls = (each for each in ir.find(statement.node, ir.Call) if last_name(each.func) == "in_" and each.args)
    return [
        each.args[0]
        for each in calls
        if isinstance(each.func, ir.Attr) and STATE.search(snake(last_name(each.func.obj)))
    ]


_COMPARED = re.compile(r"\bstat(?:us|e)\s*(?:=|<>|!=)\s*'([\w-]+)'", re.I)


def _is_of_one(statement: Statement) -> bool:
    """Whether a condition names a row, or what it belongs to, and not just its owner."""
    return any(_ID.search(snake(each)) and not _OWNER.search(snake(each)) for each in statement.where)


_ID = re.compile(r"(^|_)u?u?id$")
_OWNER = re.compile(r"(^|_)(user|owner|member|account|profile|customer)_id$")


def _demanded(statement: Statement) -> set[str]:
    """The columns that a Supabase query wants to be there: `.not("prediction_id", "is", null)`."""
    calls = (each for each in ir.find(statement.node, ir.Call) if last_name(each.func) in {"not", "not_"})
    asked = ((ir.text_of(each.args[0]), each.args[-1]) for each in calls if len(each.args) == 3)
    return {name for name, last in asked if name and isinstance(last, ir.Lit) and last.value is None}


def _by_age(statement: Statement) -> bool:
    """Whether a state is set where a row is too old."""
    tests = (each.test for each in ir.ancestors(statement.node) if isinstance(each, ir.If))
    return any(AGE.search(" ".join(names_in(each))) for each in tests)


def settles(ctx: Context, table: str, nodes: Iterator[ir.Node], *, guessed: bool = True) -> bool:
    """Whether one of these pieces of syntax writes the table's state, or deletes the row.

    Where `guessed`, also whether one calls something outside the repository that by its name may do so unseen.
    """
    changing = writers(ctx, table)
    own = {each.node for each in changing}
    funcs = {each.func for each in changing}
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
