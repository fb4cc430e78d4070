"""Follows the program from a failure on, statement by statement: which way it goes, and how each way ends.

A failure is a value here: what is caught, an answer's error, what a helper gives back instead. Tests that it decides
are taken one way; a test of it that is not decided ends the way, for somebody looked. Findings are made in `fate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from portraitist.audit import ir
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.failures.quiet import LOGS, goes_round, only_logs
from portraitist.audit.rules.failures.values import ERROR, TEXT, Given, Sure, Values, member
from portraitist.audit.rules.syntax import is_way_out

_WAYS, _STEPS = 16, 400
"""Ways open at once, and statements on all of them; more says nothing."""


FALLS, GIVES, THROWS, LOOKED = "falls", "gives", "throws", "looked"
"""How a way ends: behind the last statement, by a return, by a throw, or where the failure is asked about."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way so far: what names surely are, which hold something of what failed, and what was done on it.

    `asked` are the tests that the failure decided; `dealt` where one of them led to more than a log and a way out.
    """

    names: dict[str, Sure]
    touched: frozenset[str]
    done: tuple[ir.Node, ...] = ()
    asked: tuple[ir.If, ...] = ()
    dealt: bool = False

    def also(self, node: ir.Node) -> Way:
        """The way with one statement more; made often, so not by `replace`."""
        return Way(self.names, self.touched, (*self.done, node), self.asked, self.dealt)


@dataclass(frozen=True, slots=True)
class End:
    """Where a way ends, how, and with what."""

    kind: str
    way: Way
    node: ir.Node | None = None
    value: Sure | None = None


class TiredError(Exception):
    """There are more ways than are followed."""


class Walk:
    """Follows one function; `given` says what a call gives where it fails, `python` which language it is.

    With `all_ways` a test that is not decided never ends a way; while `stands_in` holds, what is not known and has
    nothing of the error in it stands for what failed.
    """

    def __init__(self, *, python: bool, given: Given | None = None, all_ways: bool = False) -> None:
        self.values = Values(given or {}, python=python)
        self.all_ways, self.steps, self.stands_in = all_ways, 0, False

    def behind(self, node: ir.Node, ways: list[Way], until: ir.Node | None = None) -> list[End]:
        """How the ways end that go on behind a statement, out to the end of its function, or of a block in `until`."""
        ends: list[End] = []
        while True:
            up = node.parent
            if up is None or isinstance(node, ir.Func):
                return ends + [End(FALLS, each) for each in ways]
            for body in blocks_of(up):
                if node in body:
                    more, ways = self.block(body[body.index(node) + 1 :], ways)
                    ends += more
            if isinstance(up, ir.Try) and node in up.body:
                ends, ways = self._caught(up, ends, ways)
            if up is until:
                return ends + [End(FALLS, each) for each in ways]
            if isinstance(up, ir.Loop):
                if has_turns(up, node):
                    return ends + [End(LOOKED, each) for each in ways]
                ways += [each.way for each in ends if each.kind in _ROUND]
                ends = [each for each in ends if each.kind not in _ROUND]
            node = up

    def _caught(self, attempt: ir.Try, ends: list[End], ways: list[Way]) -> tuple[list[End], list[Way]]:
        """What an attempt's handlers make of what is thrown inside of it."""
        rest, further = [each for each in ends if each.kind != THROWS or not attempt.handlers], [*ways]
        for each in ends:
            if each not in rest:
                more, falls = self.block(attempt.handlers[-1].body, [each.way])
                rest, further = rest + more, further + falls
        more, further = self.block(attempt.final, further)
        return rest + more, further

    def block(self, body: Iterable[ir.Node], ways: list[Way]) -> tuple[list[End], list[Way]]:
        """The ends inside of some statements, and the ways that come out behind them."""
        ends: list[End] = []
        for each in body:
            found: list[Way] = []
            for way in ways:
                self.steps += 1
                more, falls = self.statement(each, way)
                ends += more
                found += falls
            ways = found
            if len(ways) + len(ends) > _WAYS or self.steps > _STEPS:
                raise TiredError
            if not ways:
                break
        return ends, ways

    def statement(self, node: ir.Node, way: Way) -> tuple[list[End], list[Way]]:
        """The same for one statement."""
        if isinstance(node, ir.Return):
            value = self._of(node.value, way)
            done = way.also(node)
            return [End(THROWS if node.throws else GIVES, done, node, value)], []
        if isinstance(node, ir.Other) and is_way_out(node):
            return [End(node.kind, way, node)], []
        if isinstance(node, ir.If):
            return self._branch(node, way)
        if isinstance(node, ir.Loop):
            return self._loop(node, way)
        if isinstance(node, ir.Try):
            ends, ways = self.block(node.body, [way])
            return self._caught(node, ends, ways)
        if isinstance(node, ir.Func | ir.Class):
            return [], [way]
        if isinstance(node, ir.Other) and node.kind == "with":
            return self.block(node.parts, [way])
        if isinstance(node, ir.Other) and node.kind == "switch":
            return self._switch(node, way)
        throws = isinstance(node, ir.Call) and last_name(node.func) == "raise_for_status"
        if throws and self._touches(node, way):
            return [End(THROWS, way, node)], []
        if isinstance(node, ir.Assign):
            way = self._set(node, way)
        return [], [way.also(node)]

    def _of(self, node: ir.Node | None, way: Way) -> Sure | None:
        value = self.values.of(node, way.names)
        if value is not None or not self.stands_in or node is None:
            return value
        errors = {name for name, each in way.names.items() if each == Sure(ERROR)}
        return Sure(TEXT) if errors.isdisjoint(variables_in(node)) else None

    def _branch(self, node: ir.If, way: Way) -> tuple[list[End], list[Way]]:
        known = self.values.truth(self.values.of(node.test, way.names))
        if known is None and not self.all_ways and self._touches(node.test, way):
            return [End(LOOKED, way, node)], []
        if known is not None:
            taken = node.then if known else node.other
            if self._touches(node.test, way):
                dealt = way.dealt or not only_logs(each for each in taken if not is_way_out(each))
                way = replace(way, asked=(*way.asked, node), dealt=dealt)
            return self.block(taken, [way])
        if not _may_leave(node):
            return [], [self._maybe(node, way)]
        found = [self.block(each, [way]) for each in (node.then, node.other)]
        return [one for ends, _ in found for one in ends], [one for _, ways in found for one in ways]

    def _switch(self, node: ir.Other, way: Way) -> tuple[list[End], list[Way]]:
        if node.parts and self._touches(node.parts[0], way):
            return [End(LOOKED, way, node)], []
        ends: list[End] = []
        ways = [way]
        for each in node.parts[1:]:
            more, falls = self.block(each.then if isinstance(each, ir.If) else [each], [way])
            ways += falls + [one.way for one in more if one.kind == "break_statement"]
            ends += [one for one in more if one.kind != "break_statement"]
        return ends, ways

    def _maybe(self, node: ir.Node, way: Way) -> Way:
        """Behind what may be done or not: what is set there is not known."""
        names = dict(way.names)
        touched = way.touched
        for each in ir.find(node, ir.Assign):
            for name in variables_in(each.target):
                names.pop(name, None)
            if self._touches(each, way):
                touched |= variables_in(each.target)
        return replace(way, names=names, touched=touched, done=(*way.done, node))

    def _loop(self, node: ir.Loop, way: Way) -> tuple[list[End], list[Way]]:
        source = self.values.of(node.source, way.names) if node.source is not None else None
        if source is not None and source.value in ((), None):
            return [], [way]
        if not _may_leave(node):
            return [], [self._maybe(node, way)]
        if node.test is not None and self._touches(node.test, way):
            return [End(LOOKED, way, node)], []
        ends, ways = self.block(node.body, [way])
        ways += [each.way for each in ends if each.kind in _ROUND]
        return [each for each in ends if each.kind not in _ROUND], ways

    def _set(self, node: ir.Assign, way: Way) -> Way:
        names = dict(way.names)
        value = self._of(node.value, way)
        if node.op != "=":
            value = None
        self._bind(names, node.target, value)
        touched = way.touched
        if node.value is not None and self._touches(node.value, way):
            touched |= variables_in(node.target)
        elif isinstance(node.target, ir.Name):
            touched -= {node.target.id}
        return replace(way, names=names, touched=touched)

    def _bind(self, names: dict[str, Sure], target: ir.Node, value: Sure | None) -> None:
        if isinstance(target, ir.Name):
            names.pop(target.id, None)
            if value is not None:
                names[target.id] = value
        elif isinstance(target, ir.Obj):
            for prop in target.props:
                part = member(value, prop.key) if prop.key is not None and not prop.spread else None
                held = prop.value.target if isinstance(prop.value, ir.Assign) else prop.value
                self._bind(names, held, part)
        elif isinstance(target, ir.Arr):
            parts = value.value if value is not None and isinstance(value.value, tuple) else ()
            for index, each in enumerate(target.items):
                self._bind(names, each, parts[index] if index < len(parts) else None)

    def _touches(self, node: ir.Node, way: Way) -> bool:
        """Whether an expression names something of what failed."""
        if self.values.given and any(each in self.values.given for each in ir.walk(node)):
            return True
        return not way.touched.isdisjoint(variables_in(node))


_ROUND = {"break_statement", "continue_statement"}


def _may_leave(node: ir.Node) -> bool:
    """Whether a return, a throw or a way out of a loop stands inside of a block of its function."""
    return any(is_way_out(each) and each.within is node.within for each in ir.walk(node))


def has_turns(loop: ir.Loop, inside: ir.Node) -> bool:
    """Whether what failed in a loop is tried once more by it."""
    if goes_round(loop) or (isinstance(loop.source, ir.Call) and last_name(loop.source.func) == "range"):
        return True
    return any(
        isinstance(each, ir.Return) or (isinstance(each, ir.Other) and each.kind == "break_statement")
        for part in (inside.body if isinstance(inside, ir.Try) else ())
        for each in ir.walk(part)
    )


def blocks_of(node: ir.Node) -> list[list[ir.Node]]:
    """The lists of statements of a block, of `with` as well; the cases of a `switch` follow each other nowhere."""
    if isinstance(node, ir.Other) and node.kind == "with":
        return [node.parts]
    if isinstance(node, ir.Other) and node.kind == "switch":
        return [[each] for each in node.parts[1:]]
    return ir.bodies_of(node)


def is_log(node: ir.Node) -> bool:
    """Whether a call only tells the machine's own log."""
    return isinstance(node, ir.Call) and LOGS.match(ir.dotted(node.func)) is not None


def statement_of(node: ir.Node) -> ir.Node:
    """The statement that an expression stands in: itself a member of a block's body."""
    while node.parent is not None and not any(node in each for each in blocks_of(node.parent)):
        node = node.parent
    return node


def ends_behind(
    module: Module,
    call: ir.Call,
    value: Sure | None,
    *,
    all_ways: bool = False,
    until: ir.Node | None = None,
) -> list[End]:
    """The ends of the ways in a function behind a call that gives a value, or in what is around it up to `until`."""
    walk = Walk(python=module.language == "python", given={call: value}, all_ways=all_ways)
    start = statement_of(call)
    ends, ways = walk.block([start], [Way({}, frozenset())])
    return ends + walk.behind(start, ways, until)
