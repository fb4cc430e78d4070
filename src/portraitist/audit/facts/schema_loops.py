"""Columns that a loop adds to a table: `for name, kind in [("size", "TEXT")]: ALTER TABLE … ADD COLUMN {name} {kind}`.

What is spelled out at once is in `schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import TableDef
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.module import Module
from portraitist.audit.model import Place

_ADDS = re.compile(
    r"\balter\s+table\s+(?P<table>[\w\"`]+|\{\d+\})\s+add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?[\"`]?(?P<name>\w+|\{\d+\})",
    re.I,
)
_NAME = re.compile(r"[\"`]?(\w+)")


def added_in_loops(module: Module) -> Iterator[TableDef]:
    """The columns that texts with holes add, where a loop over what is spelled out fills the holes."""
    for text in module.all(ir.Tmpl) if "alter table" in module.lowered else ():
        spelled = "".join(
            str(each.value) if isinstance(each, ir.Lit) else f"{{{at}}}" for at, each in enumerate(text.parts)
        )
        found = _ADDS.search(spelled)
        if found is None or "{" not in found.group():
            continue
        for table, column in _rounds(module, text, found.group("table"), found.group("name")):
            if table and column:
                columns = {column: ("", Place(module.path, text.line))}
                yield TableDef(table, module.path, text.line, columns, "alter table")


def _rounds(module: Module, text: ir.Tmpl, table: str, column: str) -> Iterator[tuple[str, str]]:
    """The table and the column of each round of the loop that fills the holes."""
    holes = {each: text.parts[int(each[1:-1])] for each in (table, column) if each.startswith("{")}
    loops = {each: _loop_of(module, node) for each, node in holes.items()}
    around = next(iter(loops.values()), None)
    if around is None or any(each is None or each[0] is not around[0] for each in loops.values()):
        return
    for item in around[1]:
        filled = {each: _at(item, loop[2]) for each, loop in loops.items() if loop is not None}
        yield filled.get(table, table.strip('"`')), filled.get(column, column)


def _loop_of(module: Module, node: ir.Node) -> tuple[ir.Node, list[ir.Node], int | None] | None:
    """The loop that a name runs in, what it runs over, and the name's place in each item."""
    if not isinstance(node, ir.Name):
        return None
    for binding in bindings_of(module, node):
        loop = binding.node if isinstance(binding.node, ir.Loop) else ir.enclosing(node, ir.Loop)
        if binding.kind != "loop" or loop is None or loop.source is None:
            continue
        targets = loop.target.items if isinstance(loop.target, ir.Arr) else [loop.target]
        own = [at for at, each in enumerate(targets) if isinstance(each, ir.Name) and each.id == node.id]
        if own:
            at = own[0] if isinstance(loop.target, ir.Arr) else None
            return loop, _items(module, loop.source), at
    return None


def _items(module: Module, source: ir.Node) -> list[ir.Node]:
    """What is run over: the items of a list, the pairs of `{…}.items()`, through the name of either."""
    if isinstance(source, ir.Call):
        of = source.func.obj if isinstance(source.func, ir.Attr) else None
        source = (
            of
            if of is not None and ir.dotted(source.func).endswith(".items")
            else (source.args or [source])[0]
        )
    for each in bindings_of(module, source) if isinstance(source, ir.Name) else ():
        source = each.value if isinstance(each.value, ir.Arr | ir.Obj) else source
    if isinstance(source, ir.Obj):
        return [*source.props]
    return source.items if isinstance(source, ir.Arr) else []


def _at(item: ir.Node, place: int | None) -> str:
    """The word at a place of an item: of a pair, of an entry, or the first of a text."""
    if isinstance(item, ir.Prop):
        return item.key or "" if not place else ""
    part = (
        item.items[place]
        if isinstance(item, ir.Arr) and place is not None and place < len(item.items)
        else item
    )
    found = _NAME.match(ir.text_of(part) or "")
    return found.group(1) if found else ""
