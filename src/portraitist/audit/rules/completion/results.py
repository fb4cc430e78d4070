"""Part of the rule `no-retry`: work that counts as done although there may be nothing of it, by rows and by answers.

What a row or an answer holds must come of the provider's answer, or of its webhook's body; what may be empty is said in
`emptiness`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import columns_of, snake
from portraitist.audit.link.bindings import block_of, visible
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import (
    askers,
    finding,
    last_name,
    line_of,
    live_statements,
    module_of,
    names_in,
    trace,
)
from portraitist.audit.rules.completion.emptiness import leaves_before, looked_at, may_be_empty, may_lose
from portraitist.audit.rules.completion.words import done_at, holds_model, is_done, is_word, says_done
from portraitist.audit.rules.failures.quiet import working
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.state_words import STATE

MODEL, PICTURE = 62, 42
"""How grave it is that there is no model, or no picture."""
_SUCCESS = {"success", "ok"}
_COPY = re.compile(r"(^|_)(storage|image|file|picture|photo|video)_(path|key)$")
"""Columns for where the copy of a picture lies."""
_BESIDE = 12
"""So many lines apart, a state and a column are shown as one place."""


def done_without_result(ctx: Context) -> Iterator[Finding]:
    """Rows and answers that say done beside a value that may be nothing."""
    yield from _rows(ctx)
    yield from _answers(ctx)


def _rows(ctx: Context) -> Iterator[Finding]:
    """A state that becomes done in one of several cases, or beside a picture, none of which asks for the result."""
    ways = working(ctx)
    asking = askers(ctx)
    writes = list(live_statements(ctx, "write"))
    members = _set_as_members(writes)
    for statement in writes:
        states = [each for each in statement.columns if says_done(each.column) and each.node is not None]
        if not states and isinstance(statement.node, ir.Assign):
            near = members.get((statement.func, statement.table), [])
            states = [each for each in near if each.node and block_of(each.node) is block_of(statement.node)]
        if not states or not (statement.func in ways or statement.func in asking):
            continue
        for use in statement.columns:
            model, column = holds_model(ctx, use), snake(use.column)
            picture = column in ctx.words.picture_columns
            copy = not (model or picture) and _COPY.search(column) is not None
            if not (model or picture or copy) or use.node is None:
                continue
            known = {snake(each) for each in columns_of(ctx, statement.table)}
            if known and column not in known:
                continue  # one of several tables that a call may write
            module = module_of(ctx, use)
            site = _done_beside(ctx, states, use, spelled=not model)
            of_run = copy or _of_run(ctx, module, use.node)
            if site and may_be_empty(ctx, module, use.node) and of_run:
                yield _row(ctx, statement, use, site, BARELY if copy else MODEL if model else PICTURE)
                break


def _set_as_members(writes: list[Statement]) -> dict[tuple[ir.Func | None, str], list[ColumnUse]]:
    """The states that are set as members of rows, `job.status = …`, by function and table."""
    found: dict[tuple[ir.Func | None, str], list[ColumnUse]] = {}
    for each in writes:
        if isinstance(each.node, ir.Assign):
            states = [use for use in each.columns if says_done(use.column) and use.node is not None]
            found.setdefault((each.func, each.table), []).extend(states)
    return found


def _row(
    ctx: Context, statement: Statement, use: ColumnUse, site: tuple[Module, ir.Node], weight: int
) -> Finding:
    where, node = site
    key = f"{statement.table}.{use.column}"
    message = f"status becomes done even when {key} is empty: nothing asks for it"
    first, last = sorted((node.line, use.line))
    column = Place(use.path, use.line)
    if where.path != use.path or node.within is None:
        return finding("no-retry", module_of(ctx, use), line_of(use), message, key=key,
                       weight=weight, evidence=[Place(where.path, node.line)])  # fmt: skip
    if last - first > _BESIDE:
        return finding("no-retry", where, node, message, key=key, weight=weight, evidence=[column])
    return finding(
        "no-retry", where, node, message, key=key, weight=weight, line=first, end=last, evidence=[column]
    )


def of_both(
    ctx: Context, state: ColumnUse, use: ColumnUse, message: str, *, key: str, weight: int
) -> Finding:
    """A finding from a state to the column beside it, where both stand near each other, else at the column."""
    near = state.path == use.path and abs(state.line - use.line) <= _BESIDE
    first, last = sorted((state.line, use.line)) if near else (use.line, use.line)
    return finding("no-retry", module_of(ctx, use), line_of(use), message, key=key, weight=weight,
                   line=first, end=last, evidence=[Place(state.path, state.line)])  # fmt: skip


def _done_beside(
    ctx: Context, states: list[ColumnUse], use: ColumnUse, *, spelled: bool
) -> tuple[Module, ir.Node] | None:
    """Where a state gets its word for done, under no test that names what the column gets.

    Where the word is the only one that the statement gives it counts if `spelled`.
    """
    asked = _names_of(ctx, module_of(ctx, use), use.node)
    for state in states:
        if is_done(state) and not spelled:
            continue
        if (
            spelled
            and state.node is not None
            and _as_told(state.node)
            and may_lose(ctx, module_of(ctx, use), use.node)
        ):
            return module_of(ctx, state), state.node
        for module, node in done_at(ctx, state):
            if not asked & _tested(node):
                return module, node
    return None


def _as_told(node: ir.Node) -> bool:
    """Whether a state is kept as the provider says it, whatever it is: `prediction.status` under no test of it."""
    if not isinstance(node, ir.Attr) or node.name != "status" or "status" in _tested(node):
        return False
    return re.search(r"prediction|training|body|payload|event|result", ir.dotted(node), re.I) is not None


def _names_of(ctx: Context, module: Module, node: ir.Node | None) -> set[str]:
    """The names by which a value may be asked for: its own, and those of what it was set to."""
    if node is None:
        return set()
    names = looked_at(node)
    for each in ir.find(node, ir.Name):
        found = module.lookup(each.id, each) if not isinstance(each.parent, ir.Attr) else None
        for binding in visible(found[1], each) if found else []:
            made = binding.value
            if made is not None and not (isinstance(made, ir.Call) and ctx.program.functions_called(made)):
                names |= looked_at(made)
            names |= {str(key) for key in binding.keys}
    return names - {"error", "data", "id", "json", "body", "status"}


def _tested(node: ir.Node) -> set[str]:
    """The names in the tests around a word, and of those before it in the same branch."""
    found: set[str] = set()
    for each in ir.ancestors(node):
        if isinstance(each, ir.If | ir.Cond):
            found |= names_in(each.test)
        if isinstance(each, ir.Func):
            break
    return found


def _of_run(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a value is taken of a run's output: of the provider's answer, or of something called so."""
    for _, part in trace(ctx, module, node, helpers=True):
        if isinstance(part, ir.Call) and (part in ctx.call_at or any(_is_output(each) for each in part.args)):
            return True
        taken = [part]
        if isinstance(part, ir.Obj) and part is not node:  # what is taken of it, not what lies beside that
            taken = [each.value for each in part.props if each.key is None or each.key in looked_at(node)]
        if any(_is_output(each) for each in taken):
            return True
    return False


def _is_output(node: ir.Node) -> bool:
    return any(_OUTPUT.match(snake(last_name(each))) for each in ir.walk(node))


_OUTPUT = re.compile(r"outputs?(_urls?)?$|(result|picture|image)_urls?$")


def _answers(ctx: Context) -> Iterator[Finding]:
    """`{ status: "completed", url: output?.[0] ?? null }` given back by what runs the work or asks for it."""
    funcs = {each.func: each.module for each in ctx.calls if each.creates or each.purpose == "status"}
    written = {each.node for each in live_statements(ctx, "write")}
    for func, module in funcs.items():
        if func is None or ctx.role_at(module, func) not in LIVE_ROLES:
            continue
        for obj in ir.find(func, ir.Obj):
            told = _tells_done(ctx, module, obj)
            if told is None or not _is_answer(obj) or any(each in written for each in ir.ancestors(obj)):
                continue
            empty = next((each for each in _results(ctx, obj) if may_be_empty(ctx, module, each.value)), None)
            if empty is None or not _of_run(ctx, module, empty.value):
                continue
            if _names_of(ctx, module, empty.value) & _tested(told) or _has_result(ctx, module, obj):
                continue
            first, last = sorted((told.line, empty.line))
            message = f"the answer says {told.key} even when {empty.key} is empty: nothing asks for it"
            yield finding("no-retry", module, told, message, key=f"answer {empty.key}", weight=34,
                          line=first, end=last)  # fmt: skip
            break


def _has_result(ctx: Context, module: Module, obj: ir.Obj) -> bool:
    """Whether an answer says beside what may be empty what came of the run, and was left before if nothing had."""
    told = (each for each in obj.props if each.key is not None and _OUTPUT.match(snake(each.key)))
    return any(
        leaves_before(each.value, looked_at(each.value)) and _of_run(ctx, module, each.value) for each in told
    )


def _is_answer(obj: ir.Obj) -> bool:
    """Whether an object is given back, or handed to what sends it."""
    for each in ir.ancestors(obj):
        if isinstance(each, ir.Return):
            return True
        if isinstance(each, ir.Call):
            return last_name(each.func) in {"json", "send", "jsonify", "JSONResponse", "dumps", "stringify"}
    return False


def _tells_done(ctx: Context, module: Module, obj: ir.Obj) -> ir.Prop | None:
    """The entry of an object that says done; a mere success counts only where a state was tested to be one."""
    for each in obj.props:
        if each.key is None:
            continue
        if STATE.search(snake(each.key)) and is_word(ir.text_of(each.value) or ""):
            return each
        value = ctx.ev.eval(module, each.value) if each.key in _SUCCESS else None
        if isinstance(value, Known) and value.value is True and "succeeded" in _tested(each):
            return each
    return None


def _results(ctx: Context, obj: ir.Obj) -> Iterator[ir.Prop]:
    """The entries of an object for pictures and models, at any depth."""
    for each in ir.find(obj, ir.Prop):
        name = snake(each.key or "")
        if name in ctx.words.picture_columns or name in ctx.words.model_columns or re.search(r"_url$", name):
            yield each
