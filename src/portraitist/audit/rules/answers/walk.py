"""Follows a function, and the helpers that it calls, for one answer of the provider: what is written, what is tested.

What calls and expressions come to is in `calls` and `expressions`. A test on what is not known is taken both ways, a
loop goes round once.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.answers.calls import Calls
from portraitist.audit.rules.answers.expressions import GivenUpError, Names
from portraitist.audit.rules.answers.values import (
    RESPONSE,
    ROW,
    RUN,
    TAKEN,
    ThrownError,
    Told,
    either,
    of_output,
    truth,
)
from portraitist.audit.rules.evaluator import UNKNOWN

_DEPTH = 5
"""Functions in each other; deeper ones say nothing."""
ON, OUT, BREAK, NEXT, THROWN = "on", "out", "break", "next", "thrown"


class Walk(Calls):
    """Follows one function for one answer."""

    def __init__(self, ctx: Context, told: Told, func: ir.Func, *, hears: bool) -> None:
        super().__init__(ctx, told, hears=hears)
        self.tests: dict[ir.If, bool] = {}
        self.forks: list[ir.If] = []
        self.thrown: list[ir.Node] = []
        self.broke: list[ir.Node] = []
        self.caught: list[ir.Handler] = []
        self._given: list[list[tuple[object, bool]]] = []
        try:
            self.follow(func, {})
        except ThrownError:
            self.thrown.append(func)

    def follow(self, func: ir.Func, names: Names) -> object:
        """What a function gives back."""
        if func in self.stack or len(self.stack) > _DEPTH:
            return UNKNOWN
        hazy = self.hazy
        self.stack.append(func)
        self._given.append([])
        for param in func.params:
            if param.pattern is not None:
                self.bind(names, param.pattern, names.get(param.name, UNKNOWN))
        try:
            ends = self._block(func.body, names)
        finally:
            self.stack.pop()
            given = self._given.pop()
            self.hazy = hazy
        if ON in ends:
            given.append((None, False))
        if not given:
            raise ThrownError
        sure = [value for value, chance in given if chance is self.chance]
        values = sure if any(map(_is_told, sure)) else [value for value, _ in given]
        made = values[0]
        for each in values[1:]:
            made = either(made, each)
        return made

    def _block(self, body: list[ir.Node], names: Names) -> set[str]:
        """Runs statements; how they end."""
        ends: set[str] = set()
        for each in body:
            how = self._statement(each, names)
            ends |= how - {ON}
            if ON not in how:
                return ends
        return ends | {ON}

    def _statement(self, node: ir.Node, names: Names) -> set[str]:
        self.step()
        if isinstance(node, ir.Return):
            value = self.of(node.value, names) if node.value is not None else None
            if node.throws:
                self.thrown.append(node)
                raise ThrownError
            self._given[-1].append((value, self.chance))
            return {OUT}
        if isinstance(node, ir.If):
            return self._branch(node, names)
        if isinstance(node, ir.Loop):
            return self._loop(node, names)
        if isinstance(node, ir.Try):
            return self._attempt(node, names)
        if isinstance(node, ir.Func | ir.Class | ir.Import):
            return {ON}
        if isinstance(node, ir.Other):
            if node.kind == "switch":
                return self._switch(node, names)
            if node.kind == "match_statement":
                raise GivenUpError
            if node.kind in {"break_statement", "continue_statement"}:
                return {BREAK if node.kind[0] == "b" else NEXT}
            return self._block(node.parts, names)
        try:
            self.of(node, names)
        except ThrownError:
            self.broke.append(node)
            raise
        return {ON}

    def _both(self, bodies: list[list[ir.Node]], names: Names, *, hazy: bool) -> set[str]:
        """Runs each of several bodies from here on, one of which it is."""
        ends: set[str] = set()
        left: list[Names] = []
        held, leaves = self.hazy, False
        for body in bodies:
            own = dict(names)
            self.hazy = held or hazy
            try:
                how = self._block(body, own)
            except ThrownError:
                how = {THROWN}
            ends |= how
            if ON in how:
                left.append(own)
            leaves = leaves or ON not in how
        self.hazy = held or (hazy and leaves)
        _join(names, left)
        return ends

    def _branch(self, node: ir.If, names: Names) -> set[str]:
        test = self.of(node.test, names)
        known = truth(test)
        if known is None:
            return self._forked(node, names, hazy=of_output(test))
        self.tests[node] = known
        return self._block(node.then if known else node.other, names)

    def _forked(self, node: ir.If, names: Names, *, hazy: bool) -> set[str]:
        self.forks.append(node)
        return _landed(self._both([node.then, node.other], names, hazy=hazy))

    def _switch(self, node: ir.Other, names: Names) -> set[str]:
        value, *cases = node.parts
        self.of(value, names)
        ends: set[str] = set()
        falls, hazy = False, False
        for case in cases:
            if not isinstance(case, ir.If):
                continue
            known = True if falls else truth(self.of(case.test, names))
            if known is None:
                ends |= _landed(self._both([case.then, []], names, hazy=hazy))
                continue
            if not falls:
                self.tests[case] = known
            if not known:
                continue
            how = self._block(case.then, names)
            ends |= how - {ON}
            if ON not in how:
                break
            falls = True
        else:
            ends.add(ON)
        return {ON if each is BREAK else each for each in ends}

    def _loop(self, node: ir.Loop, names: Names) -> set[str]:
        if node.source is not None:
            items = self.of(node.source, names)
            if node.target is not None:
                self.bind(names, node.target, TAKEN if of_output(items) else ROW if items is ROW else UNKNOWN)
        if node.test is not None:
            test = self.of(node.test, names)
            if truth(test) is False:
                return {ON}
        ends = self._both([node.body], names, hazy=False)
        ends = _landed(ends) if node.source is None else ends - {THROWN} | {ON}
        again = {ON if each in {BREAK, NEXT} else each for each in ends}
        endless = isinstance(node.test, ir.Lit) and bool(node.test.value) and BREAK not in ends
        if endless or (node.source is not None and again == {OUT}):
            return again - {ON} if endless else again | {ON}
        return again | ({ON} if node.source is not None or again != {OUT} else set())

    def _attempt(self, node: ir.Try, names: Names) -> set[str]:
        before, thrown = dict(names), len(self.thrown)
        try:
            ends = self._block(node.body, names)
        except ThrownError:
            ends = set()
        if node.handlers:
            del self.thrown[thrown:]
            ends = ends | self._caught(node, names, before, ends)
        elif not ends:
            self._block(node.final, names)
            raise ThrownError
        last = self._block(node.final, names)
        return ends if ON in last else last

    def _caught(self, node: ir.Try, names: Names, before: Names, ends: set[str]) -> set[str]:
        """Runs the handlers of an attempt: for sure where it failed, else by chance, as anything may fail."""
        tests, thrown, chance = dict(self.tests), len(self.thrown), self.chance
        _join(before, [dict(before), names])  # what was set on the way may be set, or not
        bodies = [each.body for each in node.handlers]
        if not ends:
            self.caught.append(node.handlers[0])
            how = _landed(self._both(bodies, before, hazy=False))
            _join(names, [before] if ON in how else [])
            return how
        self.chance = True
        how = self._both(bodies, before, hazy=False) - {THROWN}
        self.chance = chance
        self.tests = tests
        del self.thrown[thrown:]
        _join(names, [each for each, on in ((dict(names), ON in ends), (before, ON in how)) if on])
        return how

    def inside(self, func: ir.Func, names: Names) -> None:
        """Runs the statements of a function that is written in place."""
        self._given.append([])
        self.stack.append(func)
        for param in func.params:
            if param.pattern is not None:
                self.bind(names, param.pattern, UNKNOWN)
        try:
            self._block(func.body, names)
        finally:
            self._given.pop()
            self.stack.pop()


def _is_told(value: object) -> bool:
    """Whether a value is something of what the provider said."""
    parts = list(value.values()) if isinstance(value, dict) else [value]
    return any(each is RUN or each is RESPONSE or of_output(each) for each in parts)


def _landed(ends: set[str]) -> set[str]:
    """How a piece of the program ends. Raises `ThrownError` where every way through it is an error."""
    if ends == {THROWN}:
        raise ThrownError
    return {OUT if each is THROWN else each for each in ends}


def _join(names: Names, ways: list[Names]) -> None:
    """Puts into `names` what they are after one of several ways."""
    if not ways:
        return
    made = dict(ways[0])
    for way in ways[1:]:
        for name in made | way:
            made[name] = either(made.get(name, UNKNOWN), way.get(name, UNKNOWN))
    names.clear()
    names.update(made)
