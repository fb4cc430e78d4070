"""Part of the rules on states that stay open: who picks rows by their state or age.

Picked rows are ended, or gone on with. What a job of the platform or another program picks is not seen.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.values import literals
from portraitist.audit.rules.base import callers_of, last_name, leads_to, live_statements, names_in
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.state_words import STATE
from portraitist.audit.rules.states.marks import Mark, marks, writers
from portraitist.audit.rules.states.ways_in import tops
from portraitist.audit.rules.syntax import ORDER, in_handler

AGE = re.compile(
    r"created_?at|updated_?at|attempt(ed)?_?at|started_?at|elapsed|stale|timed?_?out|minutes|expire|deadline",
    re.I,
)


def put_right(ctx: Context, mark: Mark) -> bool:
    """Whether something picks rows by this state, or by their age, to change them or go on with them.

    Neither is a question of the run itself: whether there is such work already, how long it has waited, what it may
    mark in its own handler. A count picks no row, and a webhook only the one that it hears of.
    """
    given = frozenset(each.column for each in mark.statement.columns) if mark.statement.insert else None
    found = ctx.once(_picking, mark.statement.table, mark.word, given)
    return any(not _is_own_question(ctx, mark, each) for each in found)


def _picking(ctx: Context, table: str, word: str, given: frozenset[str] | None) -> list[Statement]:
    """The statements that pick rows of a table by this state, or end one by its age."""
    changing = writers(ctx, table)
    funcs = {each.func for each in changing}
    asking = {each.func for each in ctx.calls if each.purpose in {"status", "training", "generation"}}
    found = [
        each for each in changing if (picks(ctx, each, word) and not is_of_one(each)) or _by_age(each, word)
    ]
    for each in ctx.once(_reads).get(table, ()):
        if (
            each.func is not None
            and picks(ctx, each, word)
            and not (given is not None and _demanded(each) - given)
        ):
            called = callers_of(ctx, each.func)
            if not _counts(each) and any(leads_to(ctx, one, funcs | asking) for one in {each.func, *called}):
                found.append(each)
    return found


def _reads(ctx: Context) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = {}
    for each in live_statements(ctx, "read"):
        found.setdefault(each.table, []).append(each)
    return found


def _is_own_question(ctx: Context, mark: Mark, statement: Statement) -> bool:
    """Whether the request that makes or marks a row asks this on its way, or a webhook about the row it hears of."""
    mine, ways = tops(ctx, mark.func), tops(ctx, statement.func)
    if not mine or not ways:
        return False
    routes = [each for func in ways for each in ctx.handled_by.get(func, ())]
    if statement.kind == "read" and ways <= working(ctx).hooks:
        return True
    asked = len(routes) >= len(ways) and all(each.is_http for each in routes)
    if not ways <= mine or not asked:
        return False
    if statement.kind != "read":
        return is_of_one(statement)  # the run's own patience
    return in_handler(statement.node) or (mark.statement.insert and statement.func is mark.func)


_COUNTS = re.compile(r"\bcount\s*\(\s*(\*|\w*\s*\))|\bgroup\s+by\b", re.I)


def _counts(statement: Statement) -> bool:
    """Whether a query asks how many rows there are, and not which."""
    for each in ir.walk(statement.node):
        if isinstance(each, ir.Call) and last_name(each.func) in {
            "count",
            "aggregate",
            "groupBy",
            "count_documents",
        }:
            return True
        if isinstance(each, ir.Prop) and each.key == "head" and getattr(each.value, "value", None) is True:
            return True
        if (text := ir.text_of(each)) is not None and _COUNTS.search(text):
            return True
    return False


def swept(ctx: Context, funcs: set[ir.Func]) -> bool:
    """Whether something ends the old open rows of a table whose state one of these functions writes."""
    tables = {each.table for each in live_statements(ctx, "write", "delete") if each.func in funcs}
    return any(is_swept(ctx, each) for each in sorted(tables))


def is_swept(ctx: Context, table: str) -> bool:
    """Whether a query asks for an open state of a table and for a time, and its function writes that state."""
    return ctx.once(_is_swept, table)


def _is_swept(ctx: Context, table: str) -> bool:
    changing = {each.func for each in writers(ctx, table)}
    words = {each.word for each in marks(ctx) if each.statement.table == table}
    return any(
        each.table == table
        and not is_of_one(each)
        and leads_to(ctx, each.func, changing)
        and any(STATE.search(snake(one)) for one in each.where)
        and _asks_age(each)
        and any(picks(ctx, each, word) for word in words)
        for each in live_statements(ctx, "read", "write", "delete")
    )


def _asks_age(statement: Statement) -> bool:
    """Whether rows are asked for that are older than something: by a column's name, or `.lt("created_at", …)`.

    Or those that are found are compared: `if (new Date(job.startedAt) < limit)`.
    """
    if any(AGE.search(snake(each)) for each in statement.where):
        return True
    compared = ir.find(statement.func, ir.Bin) if statement.func is not None else ()
    if any(
        AGE.search(snake(attr.name))
        for each in compared
        if each.op in ORDER
        for attr in ir.find(each, ir.Attr)
    ):
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


def is_of_one(statement: Statement) -> bool:
    """Whether a condition names a row, or what it belongs to, and not just its owner."""
    return any(_ID.search(snake(each)) and not _OWNER.search(snake(each)) for each in statement.where)


_ID = re.compile(r"(^|_)u?u?id$")
_OWNER = re.compile(r"(^|_)(user|owner|member|account|profile|customer)_id$")


def _demanded(statement: Statement) -> set[str]:
    """The columns that a Supabase query wants to be there: `.not("prediction_id", "is", null)`."""
    calls = (each for each in ir.find(statement.node, ir.Call) if last_name(each.func) in {"not", "not_"})
    asked = ((ir.text_of(each.args[0]), each.args[-1]) for each in calls if len(each.args) == 3)
    return {name for name, last in asked if name and isinstance(last, ir.Lit) and last.value is None}


def _by_age(statement: Statement, word: str) -> bool:
    """Whether a state is set where a row is too old; not where the row must be in another state for it."""
    tests = [each.test for each in ir.ancestors(statement.node) if isinstance(each, ir.If)]
    return any(AGE.search(" ".join(names_in(each))) for each in tests) and word_allowed(statement.node, word)


def word_allowed(node: ir.Node, word: str) -> bool:
    """Whether a row in this state may come to a statement: no test around or before it asks for other states alone.

    `if (row.status === "queued") { … }` around it, or `if (row.status !== "queued") return` before it.
    """
    below = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If):
            words = _demanded_words(each.test)
            if words and word not in words and below in each.then:
                return False
        if isinstance(each, ir.Func):
            return not any(
                one.within is each and one.end < node.line and exits(one.then) and _refused(one.test, word)
                for one in ir.find(each, ir.If)
            )
        below = each
    return True


def _demanded_words(test: ir.Node) -> set[str]:
    """The words one of which a row's state must be for a test to hold: every part of an `and` may say it."""
    if isinstance(test, ir.Bin) and test.op in {"&&", "and"}:
        return _demanded_words(test.left) or (
            _demanded_words(test.right) if test.right is not None else set()
        )
    if isinstance(test, ir.Bin) and test.op in {"==", "==="} and _is_state(test.left):
        word = ir.text_of(test.right)
        return {_plain(word)} if word else set()
    return set()


def _refused(test: ir.Node, word: str) -> bool:
    """Whether a test holds for every row whose state is this word: `row.status !== "queued"`, or `=== "running"`."""
    if isinstance(test, ir.Bin) and test.op in {"||", "or"}:
        return _refused(test.left, word) or (test.right is not None and _refused(test.right, word))
    if isinstance(test, ir.Bin) and test.op in {"!=", "!==", "==", "==="} and _is_state(test.left):
        other = _plain(ir.text_of(test.right) or "")
        return bool(other) and (other == word) is (test.op[0] == "=")
    return False


def _is_state(node: ir.Node) -> bool:
    """Whether an expression is a row's state: `row.status`, and not the provider's `prediction.status`."""
    return (
        isinstance(node, ir.Attr | ir.Index)
        and STATE.search(snake(last_name(node))) is not None
        and not _ANSWER.search(ir.plain_dotted(node.obj))
    )


_ANSWER = re.compile(
    r"predict|training$|response|res$|result|body|payload|data$|event|latest|remote|replicate|answer", re.I
)


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def makes_its_own(ctx: Context, table: str, top: ir.Func) -> bool:
    """Whether a way in inserts rows of a table, and asks for none by an id that it is told."""
    made = False
    for each in live_statements(ctx, "write", "read"):
        if each.table != table or not (each.insert or each.kind == "read"):
            continue
        ways = tops(ctx, each.func)
        if ways is None or top in ways:
            if each.kind == "read" and is_of_one(each):
                return False
            made = made or each.insert
    return made
