"""Who ends the states of a table: every live place that may, and the ways in that lead to it.

A way in is the handler of a route, of a timer or a queue, what a library calls back, or what nothing in the repository
calls. Triggers of the database and other programs that share it are not seen. What is written where the table is not
known counts as an end of every table with a state of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import helpers_behind, last_name, leads_to, live_statements, runs_in_browser
from portraitist.audit.rules.state_words import LOST, RESTING, RUNNING
from portraitist.audit.rules.states.marks import spelled, states_of, writers

_TELLS = re.compile(
    r"(^|\.)(json|send|Response|JSONResponse|jsonify|emit|log|info|warn|error|print|set[A-Z]\w*|find\w*|count|where"
    r"|eq|filter|aggregate|groupBy)$"
)


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """A place that may end rows of a table; no statement where a word is spelled outside of every known one."""

    module: Module
    node: ir.Node
    func: ir.Func | None
    statement: Statement | None
    word: str = ""

    @property
    def is_loss(self) -> bool:
        """Whether rows are deleted, or set to a word for work that came to nothing."""
        return self.word in LOST or (self.statement is not None and self.statement.kind == "delete")


def ends_of(ctx: Context, table: str, column: str) -> list[End]:
    """The statements of the product that may give a table's state anything but a word for open work, or delete rows."""
    return ctx.once(_ends_of, table, snake(column))


def loose_ends(ctx: Context, table: str, column: str) -> list[End]:
    """Where a state of that name is given an end outside of every known statement, maybe of this table.

    In a file that names nothing of the table, only where it calls what writes the table.
    """
    return [
        each
        for each in ctx.once(_loose, snake(column))
        if not _is_elsewhere(ctx, each, table) and _is_near(ctx, each, table)
    ]


def _ends_of(ctx: Context, table: str, column: str) -> list[End]:
    found: list[End] = []
    changing = (
        each for name, made in ctx.once(_changing).items() if name == table or "{" in name for each in made
    )
    for each in changing:
        if each.kind == "delete" or not each.columns:
            found.append(End(each.module, each.node, each.func, each))
            continue
        uses = [use for use in states_of(each) if snake(use.column) == column]
        said = [one for use in uses for one in spelled(ctx, each, use)]
        found += [
            End(one.module, one.node, one.func, each, one.word)
            for one in said
            if one.word not in RUNNING | RESTING
        ]
    return found


def _changing(ctx: Context) -> dict[str, list[Statement]]:
    """The product's statements that set a state, whatever, or delete, by their tables."""
    found: dict[str, list[Statement]] = {}
    for each in live_statements(ctx, "write", "delete"):
        known = each.kind == "delete" or states_of(each) or not (each.columns or each.insert)
        if known and ctx.role_at(each.module, each.node) == "src":
            found.setdefault(each.table, []).append(each)
    return found


def _loose(ctx: Context, column: str) -> list[End]:
    """Where a state of that name is given an end outside of every known statement, and of every answer."""
    found = []
    spelled_so = {column, re.sub(r"_(\w)", lambda part: part[1].upper(), column)}
    for module in (each for each in ctx.live if each.role == "src" and not runs_in_browser(each)):
        if not any(each in module.file.text for each in spelled_so):
            continue
        for node, value in _given(module, spelled_so):
            word = (ir.text_of(value) or "").lower().replace("-", "_")
            open_ = not word or word in RUNNING | RESTING or re.search(r"\s", word) is not None
            if not open_ and not _is_told(ctx, node) and _stores(node.within):
                found.append(End(module, node, node.within, None, word))
    return found


_STORES = re.compile(
    r"update|save|set|upsert|patch|insert|put|create|write|store|commit|add|mark|merge", re.I
)


def _stores(func: ir.Func | None) -> bool:
    """Whether a function calls anything that by its name may store what it is given."""
    return func is None or any(_STORES.match(last_name(each.func)) for each in ir.find(func, ir.Call))


def _given(module: Module, names: set[str]) -> Iterator[tuple[ir.Node, ir.Node]]:
    for each in module.all(ir.Prop):
        if each.key in names:
            yield each, each.value
    for one in module.all(ir.Assign):
        named = isinstance(one.target, ir.Attr | ir.Index) and last_name(one.target) in names
        if named and one.value is not None:
            yield one, one.value


def _is_told(ctx: Context, node: ir.Node) -> bool:
    """Whether a word stands in a known statement, in an answer, or in what is sent, shown or asked for."""
    if node in ctx.statements_at:
        return True
    for each in ir.ancestors(node):
        if each in ctx.statements_at or isinstance(each, ir.Return):
            return True
        if isinstance(each, ir.Call) and _TELLS.search(ir.dotted(each.func)):
            return True
        if isinstance(each, ir.Func):
            return False
    return False


def _is_elsewhere(ctx: Context, end: End, table: str) -> bool:
    """Whether a word is handed to functions of the repository that write no state of this table."""
    call = next((each for each in ir.ancestors(end.node) if isinstance(each, ir.Call | ir.Func)), None)
    below = helpers_behind(ctx, call) if isinstance(call, ir.Call) else []
    writing = {each.func for each in writers(ctx, table)}
    return bool(below) and not any(leads_to(ctx, each, writing) for each in below)


def _is_near(ctx: Context, end: End, table: str) -> bool:
    """Whether a file names the table, by a word of its name, or the function of an end calls what writes it."""
    text = end.module.file.text.lower()
    if any(each.removesuffix("s") in text for each in snake(table).split("_") if len(each) > 2):
        return True
    return leads_to(ctx, end.func, {each.func for each in writers(ctx, table)})
