"""Objects of a storage by a key that a row holds just as a request gave it. Part of `idor`.

`delete_object(key=photo.path)` for one's own photo, whose path `POST /photos` stored unread. Where a row is told apart
by its owner only the row is; what a bucket's own rules refuse is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, last_name, names_in
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import open_deeds
from portraitist.audit.rules.open_ways.open_files import DELETES, GIVES, MOVES
from portraitist.audit.rules.others.files import chosen, holds_who
from portraitist.audit.rules.requests import Given, below

_DOES = {GIVES: "gives out", DELETES: "deletes", MOVES: "moves or copies"}
_OF_KEYS = re.compile(r"key|path|url|uri|image|photo|picture|file|video|audio|object|asset|avatar|blob|thumb")
"""Columns that may name an object, in snake case."""
_LOOKS = {
    "startsWith", "startswith", "includes", "match", "matches", "fullmatch", "test", "refine", "regex", "every", "some",
    "search", "removeprefix",
}  # fmt: skip
_CHECKS = re.compile(r"valid|check|assert|ensure|verify|allow|is_own|belongs|sanitize|safe", re.I)
MAX_STEPS = 8
"""How many variables and calls back a key's column is looked for."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A column that a route fills with what the request gave, as it is."""

    route: Route
    module: Module
    line: int


def by_stored_keys(ctx: Context) -> Iterator[Finding]:
    """Deletes, moves and signed downloads of objects by a column that some route fills just as the request says.

    Not where what is stored, or what is deleted by it, is looked at on its way.
    """
    handled = {func for route in ctx.routes if route.is_http for func in route.funcs}
    deeds = {
        deed.call: (func, deed)
        for func, made in ctx.once(open_deeds.deeds).items()
        for deed in made
        if func in handled and deed.does in _DOES and deed.keys
    }
    filled = ctx.once(_filled) if deeds else {}
    told: set[tuple[ir.Func, str, str]] = set()
    for func, deed in deeds.values() if filled else ():
        if ctx.role_at(deed.module, deed.call) not in LIVE_ROLES:
            continue
        for table, column in (each for key in deed.keys for each in _columns(ctx, deed.module, key)):
            source = filled.get((table, snake(column)))
            if source is None or (func, table, column) in told or _is_looked_at(func, deed.keys, column):
                continue
            told.add((func, table, column))
            message = (
                f"{_DOES[deed.does]} files of {deed.what} by {table}.{column}, which {source.route.key} stores just as "
                "the request gives it: whoever names another's file there has it here"
            )
            loop = next(
                (each for each in ir.ancestors(deed.call) if isinstance(each, ir.Loop | ir.Func)), None
            )
            yield finding("idor", deed.module, deed.call, message, key=f"stored {table}.{column} {deed.does}",
                          weight=BARELY, line=loop.line if isinstance(loop, ir.Loop) else deed.call.line,
                          end=deed.call.end, evidence=[Place(source.module.path, source.line)])  # fmt: skip


def _filled(ctx: Context) -> dict[tuple[str, str], _Stored]:
    """The columns that may name objects and that routes fill with what a request gave, unread."""
    found: dict[tuple[str, str], _Stored] = {}
    for route in ctx.routes:
        if not route.is_http or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
            continue
        for here in below(ctx, route):
            for statement in ctx.statements_under.get(here.func, ()):
                for use in statement.columns if statement.kind == "write" else ():
                    column = snake(use.column)
                    if use.node is None or not _OF_KEYS.search(column) or use.path != here.module.path:
                        continue
                    if chosen(here, use.node) and not _is_checked(here, use.node, use.column):
                        found.setdefault((statement.table, column), _Stored(route, here.module, use.line))
    return found


def _is_checked(here: Given, value: ir.Node, column: str) -> bool:
    """Whether what is stored is looked at: its text is compared, a helper or a schema says what it may be."""
    names = {*variables_in(value), last_name(value), column} - {"", "body", "req", "request", "data", "input"}
    for func in here.way:
        for call in ir.find(func, ir.Call):
            touched = any(names & {*variables_in(each), *names_in(each)} for each in (call, *call.args))
            if touched and (last_name(call.func) in _LOOKS or _CHECKS.search(last_name(call.func))):
                return True
    texts = (prop for name in names for prop in here.module.entries.get(name, ()))
    return any(last_name(call.func) in _LOOKS for prop in texts for call in ir.find(prop, ir.Call))


def _is_looked_at(func: ir.Func, keys: tuple[ir.Node, ...], column: str) -> bool:
    """Whether a key is made of who asks, or its text is compared, before the object is touched."""
    if any(holds_who(part) for key in keys for part in ir.walk(key)):
        return True
    names = {column} | {name for key in keys for name in variables_in(key)}
    return any(
        last_name(call.func) in _LOOKS and names & names_in(call)
        for call in ir.find(func, ir.Call)
        if last_name(call.func) not in {"match", "every", "some"}
    )


def _columns(ctx: Context, module: Module, key: ir.Node) -> Iterator[tuple[str, str]]:
    """The columns of rows that a key is taken from, with their tables."""
    pending: list[tuple[ir.Node, str, int]] = [(key, "", 0)]
    seen: set[tuple[ir.Node, str]] = set()
    while pending:
        node, column, depth = pending.pop()
        if depth > MAX_STEPS or (node, column) in seen:
            continue
        seen.add((node, column))
        for each in _read_at(ctx, node) if column else ():
            yield each.table, column
        pending.extend((each, name, depth + 1) for each, name in _behind(module, node, column))


def _read_at(ctx: Context, node: ir.Node) -> list[Statement]:
    inside = ir.walk(node) if isinstance(node, ir.Call | ir.Other) else ()
    return [one for each in inside for one in ctx.statements_at.get(each, ()) if one.kind == "read"]


def _behind(module: Module, node: ir.Node, column: str) -> Iterator[tuple[ir.Node, str]]:
    """What an expression was taken from, and by which column, so far as one is named."""
    if isinstance(node, ir.Name):
        yield from _bound(module, node, column)
    elif isinstance(node, ir.Attr):
        plain = node.name in {"data", "value", "id", "length"}
        yield node.obj, column if plain or column else node.name
    elif isinstance(node, ir.Index):
        yield node.obj, column or (ir.text_of(node.key) or "")
    elif isinstance(node, ir.Call):
        if isinstance(node.func, ir.Attr):
            yield node.func.obj, column
        yield from ((each, column) for each in node.args if not column)
    elif isinstance(node, ir.Obj):
        yield from ((prop.value, column) for prop in node.props)
    elif isinstance(node, ir.Bin | ir.Cond | ir.Tmpl | ir.Arr | ir.Other | ir.Func | ir.Return):
        yield from ((each, column) for each in node.children())


def _bound(module: Module, name: ir.Name, column: str) -> Iterator[tuple[ir.Node, str]]:
    """What a variable was set to, or is one of, and the column that a pattern takes out of that."""
    for each in bindings_of(module, name):
        keys = (
            one for one in each.keys[::-1] if isinstance(one, str) and one.isidentifier() and one != "data"
        )
        named = next(keys, "")
        if each.value is not None:
            yield each.value, column or named
        elif each.kind == "param" and isinstance(around := _caller(each.node), ir.Attr):
            yield around.obj, column


def _caller(param: ir.Node) -> ir.Node | None:
    """What calls the function of a parameter for each of its members: `photos.map` of `photos.map((each) => …)`."""
    func = param.within if param.within is not None else param.parent
    call = func.parent if isinstance(func, ir.Func) else None
    return call.func if isinstance(call, ir.Call) and func in call.args else None
