"""Whether a function asks, before something, if that has been done already: by a row, a state, a lock, a unique key.

Errs towards yes: a test of any state of a stored row counts, and so does whatever is named for it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of, reaching
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import helpers_of, last_name, names_in
from portraitist.audit.rules.syntax import JOINS, ORDER, in_other_arm, is_way_out, tests_of

_DONE = re.compile(
    r"already|exist|processed|duplicate|handled|credited|granted|refunded|charged|redeemed|idempot|claimed|dedup"
    r"|(retry|attempt)_count|attempts|(^|_)(seen|once|fulfilled|rewarded|deducted|acquired|lock(ed)?|inserted|is_new|first_time|counted)(_|$)"
)
"""Names of what says that something has been here before, in snake case."""
_STATE = re.compile(
    r"status|state|stage|step|phase|(_at|_on)$|(^|_)is_|done|paid|used|version$|result|output|active"
)
"""Columns by which a row that was dealt with is told from one that was not."""
_PLAIN = {"id", "email", "length", "name", "user", "data", "error", "message", "count", "size"}
_UNIQUE = re.compile(
    r"(event|session|payment|order|transaction|stripe|checkout|charge|purchase|invoice|receipt|reference|external"
    r"|provider|intent|subscription|prediction|job|delivery|request|webhook)\w*_(id|key|ref|number)$"
    r"|^(id|_id|reference|idempotency_key|event|pk)$"
)
MAX_STEPS = 3
"""How many variables back the source of what is tested is looked for."""
_OWES = re.compile(r"credit|balance|coin|token|quota", re.I)
_KEYED = re.compile(
    r"not\s+exists|on\s+conflict|\bis\s+null\b|(status|state|processed)\w*\s*(=|<>|!=|in\b)", re.I
)


def asks_before(ctx: Context, module: Module, func: ir.Func, node: ir.Node) -> bool:
    """Whether something in a function turns away, before `node`, what was done already."""
    tests = tests_of(func)
    above = set(ir.ancestors(node))
    for test in tests:
        around = test in above
        if not around and in_other_arm(test, node):
            continue
        leaves = (
            not around
            and test.end <= node.line
            and isinstance(test, ir.If)
            and any(map(is_way_out, test.then))
        )
        if around or leaves:
            then = test.then if isinstance(test.then, list) else [test.then]
            inside = around and any(each is node or each in above for each in then)
            for atom, yes in _atoms(test.test):
                if _tells(ctx, module, atom, gone=yes is not None and yes is not inside):
                    return True
    calls = (each for each in ir.find(func, ir.Call) if each.line < node.line)
    if any(_DONE.search(snake(last_name(each.func))) and not in_other_arm(each, node) for each in calls):
        return True
    beside = (each for each in ctx.statements_under.get(func, ()) if not in_other_arm(each.node, node))
    return any(_keeps_out(ctx, each, node, above) for each in beside)


def _atoms(test: ir.Node, yes: bool = True) -> Iterator[tuple[ir.Node, bool | None]]:
    """The things asked by a test, and whether the branch is taken where they are there.

    None stands for what is only measured, as in `credits < cost`.
    """
    if isinstance(test, ir.Bin) and test.op == "not":
        yield from _atoms(test.left, not yes)
    elif isinstance(test, ir.Bin) and test.op in JOINS and test.right is not None:
        yield from _atoms(test.left, yes)
        yield from _atoms(test.right, yes)
    elif isinstance(test, ir.Bin) and test.right is not None:
        nothing = isinstance(test.right, ir.Lit) and test.right.value in {None, 0}
        equal = test.op in {"==", "===", "is", "<", "<="}
        measured = test.op in ORDER and not isinstance(test.right, ir.Lit)
        yield test.left, None if measured else yes is not (nothing and equal)
        if not isinstance(test.right, ir.Lit):
            yield test.right, None if measured else yes
    else:
        yield test, yes


def _tells(ctx: Context, module: Module, atom: ir.Node, *, gone: bool) -> bool:
    """Whether an atom says that this was done: `gone` tells that the work goes on only where it is not there."""
    if any(_DONE.search(snake(each)) for each in names_in(atom) if " " not in each):
        return True
    for key, value, stated in _sources(module, atom, None, False):
        for statement in _asked_of(ctx, value):
            if statement.kind == "write":
                kept = statement.insert and gone and may_collide(ctx, statement)
                if kept if key == "error" else _by_state(statement):
                    return True
            elif stated or _by_state(statement) or _moves_on(ctx, statement) or (gone and key != "error"):
                return True
    return _is_handed_state(module, atom)


def _is_handed_state(module: Module, atom: ir.Node) -> bool:
    """Whether a helper asks for the state of what it is handed: `order.status` of a parameter."""
    if not isinstance(atom, ir.Attr) or not isinstance(atom.obj, ir.Name):
        return False
    handed = any(
        each.kind == "param" and len(each.node.within.params if each.node.within is not None else ()) >= 1
        for each in bindings_of(module, atom.obj)
    )
    return handed and bool(re.search(r"(^|_)(status|state|stage|step|phase)$", snake(atom.name)))


def _is_plain(name: str) -> bool:
    plain = snake(name)
    return plain in _PLAIN or bool(_OWES.search(plain)) or plain.endswith(("_id", "_email", "_name"))


def _sources(
    module: Module, node: ir.Node, key: str | int | None, stated: bool, depth: int = 0
) -> Iterator[tuple[str | int | None, ir.Node, bool]]:
    """The expressions that a value is taken from, by which key, and whether it is more than the row being there."""
    yield key, node, stated
    if depth >= MAX_STEPS:
        return
    if isinstance(node, ir.Attr | ir.Index):
        name = last_name(node)
        yield from _sources(module, node.obj, key, stated or not _is_plain(name), depth)
    elif isinstance(node, ir.Name):
        for binding in reaching(module, node):
            if binding.value is not None and binding.kind == "assign":
                first = binding.keys[0] if binding.keys else key
                more = stated or any(
                    isinstance(each, str) and not _is_plain(each) for each in binding.keys[-1:]
                )
                yield from _sources(module, binding.value, first, more, depth + 1)
    elif (
        isinstance(node, ir.Call) and isinstance(node.func, ir.Attr) and node.func.name in {"get", "includes"}
    ):
        yield from _sources(module, node.func.obj, key, True, depth)
    elif isinstance(node, ir.Bin | ir.Cond):
        for child in node.children():
            yield from _sources(module, child, key, stated, depth)


def _asked_of(ctx: Context, value: ir.Node) -> Iterator[Statement]:
    """The statements in an expression, and those of the functions that it calls."""
    for each in ir.walk(value):
        yield from ctx.statements_at.get(each, ())
        for target in ctx.program.functions_called(each) if isinstance(each, ir.Call) else ():
            for func in _below(ctx, target.node) if isinstance(target.node, ir.Func) else ():
                yield from ctx.statements_under.get(func, ())


def _below(ctx: Context, func: ir.Func) -> list[ir.Func]:
    """A function and those that it calls, two calls deep: a service that asks a table's own file."""
    found = dict.fromkeys([func, *helpers_of(ctx, func)])
    found.update(dict.fromkeys(one for each in [*found] for one in helpers_of(ctx, each)))
    return [*found]


def _by_state(statement: Statement) -> bool:
    """Whether rows are selected by their state, or by what says that they were dealt with."""
    return any(_STATE.search(snake(each)) or _DONE.search(snake(each)) for each in statement.where)


def _moves_on(ctx: Context, read: Statement) -> bool:
    """Whether the column that found a row is written by the same function: the second time it finds none."""
    if read.func is None:
        return False
    found = {snake(each) for each in read.where} - {"id", "_id", "user_id"}
    return any(
        found & {snake(use.column) for use in each.columns}
        for each in ctx.statements_under.get(read.func, ())
        if each.kind == "write" and not each.insert and each.table == read.table
    )


def _keeps_out(ctx: Context, statement: Statement, node: ir.Node, above: set[ir.Node]) -> bool:
    """Whether a row with the event's own key is inserted before, or in the same transaction, by one that throws."""
    if statement.kind != "write":
        return False
    if statement.line <= node.line <= statement.end and not statement.insert:
        text = "\n".join(statement.module.lines[statement.line - 1 : statement.end])
        return _by_state(statement) or bool(_KEYED.search(text))
    if not statement.insert or not any(_UNIQUE.search(snake(each.column)) for each in statement.columns):
        return False
    if not may_collide(ctx, statement):
        return False
    if statement.module.language == "python":
        return True  # one session, one commit
    shared = above & set(ir.ancestors(statement.node))
    whole = any("transaction" in ir.dotted(each.func).lower() for each in shared if isinstance(each, ir.Call))
    chain = ir.dotted(statement.node.func) if isinstance(statement.node, ir.Call) else ""
    throws = ".from" not in f".{chain}" or "throwOnError" in chain
    return whole or (throws and statement.line < node.line)


def may_collide(ctx: Context, statement: Statement) -> bool:
    """Whether a second row with the same key may be refused: no, where the schema calls the key unique nowhere.

    A table or a key that no schema of the repository defines may be unique.
    """
    keys = {each.column for each in statement.columns if _UNIQUE.search(snake(each.column))}
    made = [
        each
        for each in ctx.tables.get(statement.table, ())
        if each.source in {"create table", "prisma", "drizzle"}
    ]
    if not keys or not made or not all(any(key in each.columns for each in made) for key in keys):
        return True
    return not keys.isdisjoint(ctx.once(_unique_keys, statement.table))


def _unique_keys(ctx: Context, name: str) -> set[str]:
    """The columns of a table that the schema calls unique, alone or with others, there or by an index."""
    found: set[str] = set()
    sql = {each.path: each.text for each in ctx.tree.files if each.language == "sql"}
    for table in ctx.tables.get(name, ()):
        whole = next((each.text for each in ctx.tree.files if each.path == table.path), "")
        own = whole.split("\n")[table.line - 1 : max(table.end, table.line + len(table.columns) + 12)]
        texts = {**sql, table.path: whole}
        if table.source == "prisma":
            own = [
                *itertools.takewhile(lambda line: not line.startswith("}"), own)
            ]  # not the next model's keys
            texts = sql
        told = [line for line in own if _IS_UNIQUE.search(line)]
        told += [part for text in texts.values() if name in text for part in _INDEX.findall(text)]
        found |= {
            each for each in table.columns if any(re.search(rf"\b{re.escape(each)}\b", one) for one in told)
        }
    return found


_IS_UNIQUE = re.compile(r"unique|primary\s*key|@id\b|primaryKey|primary_key", re.I)
_INDEX = re.compile(r"unique[^;]{0,160}", re.I)
