"""Statements in SQL text: tagged templates, and strings handed to a driver's methods.

Joins the text of a call with its holes and parameters; the reading of SQL itself is in `sql`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts import sql
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, Unknown, Value

_HOLE = re.compile(r"^\{(\d+)\}(?:::\w+(?:\[\])?)?$")
_ANONYMOUS = ("?", "%s")
_DOLLAR = re.compile(r"^\$(\d+)(?:::\w+(?:\[\])?)?$")
_NAMED = re.compile(r"^(?:%\((\w+)\)s|[:@](\w+))$")
_QUOTED = re.compile(r"^'((?:[^']|'')*)'(?:::\w+)?$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class SqlText:
    """SQL with numbered holes, the nodes in them, and the line on which each character stands."""

    text: str
    holes: tuple[ir.Node, ...]
    starts: tuple[tuple[int, int], ...]
    module: Module
    node: ir.Node

    def line(self, offset: int) -> int:
        """The source line of a character."""
        base, line = next((each for each in reversed(self.starts) if each[0] <= offset), (0, self.node.line))
        return line + self.text.count("\n", base, offset)


def statements(ctx: Context, module: Module) -> Iterator[Statement]:
    """Every statement in the SQL text of one module."""
    seen: set[ir.Node] = set()
    methods = module.calls(ctx.words.sql_methods, lower=True)
    tagged = [each for each in module.all(ir.Call) if each.tagged] if "`" in module.file.text else []
    for call in (
        sorted(dict.fromkeys([*methods, *tagged]), key=lambda each: each.first) if tagged else methods
    ):
        for text in _texts(ctx, module, call):
            if text.node not in seen:
                seen.add(text.node)
                told = list(sql.statements(text.text))
                for each in told:
                    yield _statement(ctx, text, call, each, alone=len(told) == 1)


def _texts(ctx: Context, module: Module, call: ir.Call) -> Iterator[SqlText]:
    if call.tagged:
        made = joined(module, call.args[0])
        if sql.looks_like_sql(made.text):
            yield made
        return
    name = call.func.name if isinstance(call.func, ir.Attr) else ir.plain_dotted(call.func)
    if name.lower() not in ctx.words.sql_methods or not call.args:
        return
    for arg in call.args[:2]:
        node = _source(module, arg)
        if node is not None and not (isinstance(node, ir.Call) and node is not arg):
            made = joined(module, node)
            if sql.looks_like_sql(made.text):
                yield made


def _source(module: Module, arg: ir.Node) -> ir.Node | None:
    """The text node behind an argument: itself, or the one its variable was set to."""
    if isinstance(arg, ir.Lit | ir.Tmpl):
        return arg
    if isinstance(arg, ir.Obj):
        inner = arg.get("text", "sql", "query")
        return _source(module, inner) if inner is not None else None
    if isinstance(arg, ir.Name):
        values = [each.value for each in bindings_of(module, arg) if isinstance(each.value, ir.Lit | ir.Tmpl)]
        return values[0] if values else None
    return None


def joined(module: Module, node: ir.Node) -> SqlText:
    """The text of a literal or template; nested tagged fragments are written out in place."""
    pieces: list[str] = []
    holes: list[ir.Node] = []
    starts: list[tuple[int, int]] = []
    length = 0
    for part in _flatten(node):
        starts.append((length, part.line))
        if isinstance(part, ir.Lit) and isinstance(part.value, str):
            piece = part.value
        else:
            piece = "{" + str(len(holes)) + "}"
            holes.append(part)
        pieces.append(piece)
        length += len(piece)
    return SqlText("".join(pieces), tuple(holes), tuple(starts), module, node)


def _flatten(node: ir.Node) -> Iterator[ir.Node]:
    if isinstance(node, ir.Tmpl):
        for part in node.parts:
            if isinstance(part, ir.Call) and part.tagged:
                yield from _flatten(part.args[0])
            else:
                yield from _flatten(part) if isinstance(part, ir.Tmpl) else iter((part,))
    else:
        yield node


def _statement(
    ctx: Context, text: SqlText, call: ir.Call, found: sql.SqlStatement, *, alone: bool
) -> Statement:
    """One statement of a text; where it is the only one, and stands in its call, it begins with the call."""
    parameters = [each for each in _bound(call).args if each is not text.node]
    numbered = _numbered(text, [each.value for each in found.columns] + [each for _, each in found.where])
    columns = tuple(
        ColumnUse(
            each.name,
            text.module.path,
            text.line(each.offset),
            *_value(ctx, text, call, parameters, written),
        )
        for each, written in zip(found.columns, numbered, strict=False)
    )
    where_values = []
    asked = numbered[len(columns) :]
    for (name, _), placeholder in zip(found.where, asked, strict=True):
        node = _node_of(text, call, parameters, placeholder)
        if node is not None:
            where_values.append((name, node))
    line = text.line(found.offset)
    if alone and call.line <= line <= call.end:
        line = call.line
    where = tuple(name for name, _ in found.where)
    end = max(line, text.node.end)
    return Statement(
        found.kind,
        found.table,
        columns,
        where,
        text.module,
        call,
        line,
        end,
        found.insert,
        tuple(where_values),
    )


def _bound(call: ir.Call) -> ir.Call:
    """The call that is given the parameters: `run` of `db.prepare(text).run(a, b)`, else the statement's own."""
    after = call.parent.parent if isinstance(call.parent, ir.Attr) else None
    prepares = isinstance(call.func, ir.Attr) and call.func.name == "prepare"
    return after if prepares and isinstance(after, ir.Call) and after.func is call.parent else call


def _numbered(text: SqlText, written: list[str]) -> list[str]:
    """`?` and `%s` by their place, `$1` and so on, where each of the text is the plain value of a column."""
    anonymous = [each for each in written if each in _ANONYMOUS]
    if len(anonymous) != sum(text.text.count(each) for each in _ANONYMOUS):
        return written
    count = itertools.count(1)
    return [f"${next(count)}" if each in _ANONYMOUS else each for each in written]


def _value(
    ctx: Context, text: SqlText, call: ir.Call, parameters: list[ir.Node], written: str
) -> tuple[Value | None, ir.Node | None]:
    if not written:
        return None, None
    if written.upper() == "NULL":
        return Known(None), None
    if quoted := _QUOTED.match(written):
        return Known(quoted.group(1).replace("''", "'")), None
    if _NUMBER.match(written):
        return Known(float(written) if "." in written else int(written)), None
    if written.upper() in {"TRUE", "FALSE"}:
        return Known(written.upper() == "TRUE"), None
    node = _node_of(text, call, parameters, written)
    if node is None:
        return Unknown("sql expression"), None
    return ctx.ev.eval(text.module, node), node


def _node_of(text: SqlText, call: ir.Call, parameters: list[ir.Node], placeholder: str) -> ir.Node | None:
    if hole := _HOLE.match(placeholder):
        position = int(hole.group(1))
        return text.holes[position] if position < len(text.holes) else None
    if dollar := _DOLLAR.match(placeholder):
        return _positional(parameters, int(dollar.group(1)) - 1)
    if named := _NAMED.match(placeholder):
        key = named.group(1) or named.group(2)
        for each in parameters:
            if isinstance(each, ir.Obj):
                return each.get(key)
    return None


def _positional(parameters: list[ir.Node], position: int) -> ir.Node | None:
    for each in parameters:
        if isinstance(each, ir.Arr):
            return each.items[position] if position < len(each.items) else None
    return parameters[position] if position < len(parameters) else None
