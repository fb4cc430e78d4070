"""Tests of a row as it was read, with the later write that would end them and that asks for nothing.

Two requests that both read before either writes both pass. What they then do twice is said by the rules on credits
and on paid calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.frozen import dataclass
from portraitist.audit.link.bindings import reaching
from portraitist.audit.link.values import Known
from portraitist.audit.rules.base import helpers_behind, live_statements, names_in
from portraitist.audit.rules.races.outcomes import asked_columns, atoms, ends, moved, outcome
from portraitist.audit.rules.races.rows import MAX_STEPS, Point, is_same, is_shared, points, row_behind

_WORK = re.compile(r"(prediction|training|replicate|job|task)\w*_id$")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A test of a row (read at `read`) that came out as `held` where the write of the tested column is reached.

    `moves` tells that the write raises ("give") or lowers ("take") a number. `asked` marks tests of what somebody
    said of the work that the column names, whose next try the write puts there.
    """

    point: Point
    test: ir.If
    held: bool
    read: int
    moves: str
    asked: bool = False

    @property
    def name(self) -> str:
        """The tested column."""
        return f"{self.point.write.table}.{self.point.use.column}"

    def guards(self, node: ir.Node) -> bool:
        """Whether a node is reached only where the test came out the same way."""
        return outcome(self.test, node) is self.held


def snapshots(ctx: Context) -> list[Snapshot]:
    """Every such test with its write, in what requests may run; to be asked once."""
    found: list[Snapshot] = []
    for write in live_statements(ctx, "write"):
        if write.insert or any(each.source == "convex" for each in ctx.tables.get(write.table, ())):
            continue
        for point in points(ctx, write):
            found += _decided(ctx, point)
    return [each for each in found if is_shared(ctx, each.point)]


def _decided(ctx: Context, point: Point) -> list[Snapshot]:
    """The first test by which a column of a write was decided."""
    name = snake(point.use.column)
    if _WORK.search(name) and not isinstance(point.use.value, Known):
        for test, _ in ctx.once(_tests, point.func):
            read = _asked_by(ctx, point, test) if outcome(test, point.node) else 0
            if read:
                return [Snapshot(point, test, True, read, "", asked=True)]
    for test, names in ctx.once(_tests, point.func):
        held = outcome(test, point.node) if name in names else None
        if held is None:
            continue
        moves = moved(ctx, ctx.program.modules[point.use.path], point.write, point.use)
        read = _read_for(ctx, point, test, held, moves)
        if read:
            return [Snapshot(point, test, held, read, moves)]
    return []


def _tests(ctx: Context, func: ir.Func) -> list[tuple[ir.If, set[str]]]:
    """The tests of a function itself with the names in them, in what they are made of, and in the helpers they ask."""
    module = ctx.program.module_of[func]
    found: list[tuple[ir.If, set[str]]] = []
    for test in ir.find(func, ir.If):
        if test.within is not func:
            continue
        names = names_in(test.test)
        for each in ir.find(test.test, ir.Name):
            made = (one for one in reaching(module, each) if one.kind == "assign" and one.node.within is func)
            for one in made:
                names |= {*names_in(one.value), *(key for key in one.keys if isinstance(key, str))}
        for call in ir.find(test.test, ir.Call):
            names = names.union(*map(names_in, helpers_behind(ctx, call)[:1]))
        found.append((test, set(map(snake, names))))
    return found


def _read_for(ctx: Context, point: Point, test: ir.If, held: bool, moves: str) -> int:
    """The line where the row was read of which a test asks for a column that the write sets; 0 where it is none."""
    name = snake(point.use.column)
    for atom in atoms(ctx, point.module, test.test, held):
        module, node, _, given = atom
        for part, row, column in asked_columns(module, node):
            source: ir.Node | None = row
            if given:
                source = given.get(row.id) if isinstance(row, ir.Name) else None
            if snake(column) != name or source is None or not ends(ctx, atom, part, point.use, moves):
                continue
            found = row_behind(ctx, point.module, source, point.write.table)
            if found is not None and is_same(point, source, found):
                return found.line
    return 0


def _asked_by(ctx: Context, point: Point, test: ir.If) -> int:
    """The line where the row was read by whose column something was asked for that a test is about."""
    name = snake(point.use.column)
    names, seen = list(ir.find(test.test, ir.Name)), set[str]()
    for _ in range(MAX_STEPS):
        new = [each for each in names if each.id not in seen]
        values = [one.value for each in new for one in reaching(point.module, each) if one.kind == "assign"]
        for part in (one for each in values if each is not None for one in ir.find(each, ir.Attr)):
            row = part.obj if snake(part.name) == name and isinstance(part.obj, ir.Name) else None
            found = row_behind(ctx, point.module, row, point.write.table) if row is not None else None
            if found is not None and row is not None and is_same(point, row, found):
                return found.line
        seen |= {each.id for each in new}
        names = [one for each in values if each is not None for one in ir.find(each, ir.Name)]
    return 0


def firsts(found: list[Snapshot]) -> Iterator[Snapshot]:
    """One snapshot of each write in each function."""
    told: set[tuple[ir.Func, int, int]] = set()
    for each in found:
        place = (each.point.func, each.point.node.line, each.point.write.line)
        if place not in told:
            told.add(place)
            yield each
