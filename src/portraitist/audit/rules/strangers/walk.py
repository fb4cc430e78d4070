"""Follows one way of a stranger through guards and a handler, statement by statement, until a deed or an end.

A test that neither the caller nor a setting decides is no way of theirs: where it refuses, the way is given up, where
it only leaves for something else that is missing, it is taken as there; what such a test guards is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from portraitist.audit import ir
from portraitist.audit.facts.asking import answers_secret
from portraitist.audit.facts.base import Context, Route, Statement
from portraitist.audit.facts.denial import denies, reads_identity, turns_away
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.rules.evaluator import UNKNOWN, Closure, GivenUpError, Value
from portraitist.audit.rules.strangers.calls import Calls
from portraitist.audit.rules.strangers.values import REQUEST, SOME, Choices, ThrownError

_STEPS = 4_000
"""Statements on one way; more says nothing."""
Counts = Callable[[Statement, list[Value]], bool]


class _ReturnedError(Exception):
    """A function gives something back."""

    def __init__(self, value: Value, *, refused: bool) -> None:
        super().__init__()
        self.value, self.refused = value, refused


class _LeftError(Exception):
    """`break` or `continue`."""


class Walk(Calls):
    """One way; `counts` says which statement is a deed. While it is `guarding`, all tests are about who calls."""

    def __init__(self, ctx: Context, choices: Choices, route: Route, counts: Counts) -> None:
        super().__init__(ctx, choices, route)
        self.counts, self.guarding, self.steps = counts, 0, 0
        self.refused = False
        self.holes: list[tuple[Module, ir.If, bool]] = []
        self.telling: dict[Hashable, None] = {}
        self.origins: dict[tuple[ir.Func | None, str], list[Hashable]] = {}

    def is_deed(self, statement: Statement, where: list[Value]) -> bool:
        """Whether a statement is something that is to be kept from strangers."""
        return self.counts(statement, where)

    def run(self, func: ir.Func, module: Module, names: object) -> Value:
        """What a function gives back for these names."""
        outer, here = self.here, names if isinstance(names, dict) else {}
        self.stack.append(func)
        self.entered.add(func)
        self.here = here
        inner = len(self.stack) > 1 and self.ctx.once(_looks_who, func)
        self.guarding += inner
        try:
            self._block(func.body, module, here)
        except _ReturnedError as returned:
            self.refused = returned.refused
            return returned.value
        finally:
            self.stack.pop()
            self.guarding -= inner
            self.here = outer
        self.refused = False
        return Value(None)

    def _block(self, body: Iterable[ir.Node], module: Module, names: dict[str, Value]) -> None:
        for each in body:
            self.steps += 1
            if self.steps > _STEPS:
                raise GivenUpError
            self._statement(each, module, names)

    def _statement(self, node: ir.Node, module: Module, names: dict[str, Value]) -> None:
        if isinstance(node, ir.Return):
            if node.throws:
                raise ThrownError
            value = self.of(node.value, module, names) if node.value is not None else Value(None)
            raise _ReturnedError(value, refused=_refuses(node))
        if isinstance(node, ir.If):
            self._branch(node, module, names)
        elif isinstance(node, ir.Loop):
            self._loop(node, module, names)
        elif isinstance(node, ir.Try):
            self._attempt(node, module, names)
        elif isinstance(node, ir.Assign):
            self._assign(node, module, names)
        elif isinstance(node, ir.Func):
            names[node.name] = Value(Closure(node, module, names))
        elif isinstance(node, ir.Other):
            self._other(node, module, names)
        elif not isinstance(node, ir.Class | ir.Import | ir.Export):
            self.of(node, module, names)

    def _other(self, node: ir.Other, module: Module, names: dict[str, Value]) -> None:
        if node.kind in {"break_statement", "continue_statement"}:
            raise _LeftError
        if node.kind == "match_statement":
            raise GivenUpError
        if node.kind == "assert_statement":
            if self.truth(self.of(node.parts[0], module, names)) is False:
                raise ThrownError
        elif node.kind == "switch":
            self._switch(node, module, names)
        else:
            self._block(node.parts, module, names)

    def _branch(self, node: ir.If, module: Module, names: dict[str, Value]) -> None:
        before = len(self.choices.asked)
        test = self.of(node.test, module, names)
        known = self.truth(test)
        keys = self._keys(node.test, before)
        if keys and (self.guarding or test.asked or self._refuses(node, module)):
            self.telling.update(dict.fromkeys(keys))
            self.holes.append((module, node, bool(self.guarding)))
        if known is None:
            self._undecided(node, test, module, names)
        else:
            self._block(node.then if known else node.other, module, names)

    def _keys(self, node: ir.Node, before: int) -> list[Hashable]:
        """What was chosen while an expression was looked at, and before for the variables in it."""
        func = self.stack[-1] if self.stack else None
        earlier = (key for each in sorted(variables_in(node)) for key in self.origins.get((func, each), ()))
        return [*self.choices.asked[before:], *earlier]

    def _refuses(self, node: ir.If, module: Module) -> bool:
        """Whether one side of a test turns callers away, itself or by a check that is known to."""
        if any(path == module.path and node.line < line <= node.end for path, line in self.denying):
            return True
        return turns_away(self.ctx, node.then) or turns_away(self.ctx, node.other)

    def _undecided(self, node: ir.If, test: Value, module: Module, names: dict[str, Value]) -> None:
        """A test that is not the caller's to decide."""
        if test.asked or self._refuses(node, module) or _hands_back(node):
            raise GivenUpError
        if _leaves(node.then) and not _leaves(node.other):
            self._block(node.other, module, names)
        elif _leaves(node.other) and not _leaves(node.then):
            self._block(node.then, module, names)
        else:
            for part in (*node.then, *node.other):
                for each in ir.find(part, ir.Assign):
                    names.update({one: Value(UNKNOWN) for one in variables_in(each.target)})

    def _switch(self, node: ir.Other, module: Module, names: dict[str, Value]) -> None:
        falls = False
        for case in node.parts[1:]:
            if not isinstance(case, ir.If):
                continue
            known = True if falls else self.truth(self.of(case.test, module, names))
            if known is None:
                raise GivenUpError
            if known:
                falls = True
                try:
                    self._block(case.then, module, names)
                except _LeftError:
                    return

    def _loop(self, node: ir.Loop, module: Module, names: dict[str, Value]) -> None:
        """A loop goes round once, over a list that is known for each of its items."""
        if node.test is not None and self.truth(self.of(node.test, module, names)) is False:
            return
        source = self.of(node.source, module, names) if node.source is not None else Value(UNKNOWN)
        items = source.what[:8] if isinstance(source.what, list) else [self._nth(source)]
        for item in items:
            if node.target is not None:
                self.bind(names, node.target, item)
            try:
                self._block(node.body, module, names)
            except _LeftError:
                return

    def _attempt(self, node: ir.Try, module: Module, names: dict[str, Value]) -> None:
        try:
            self._block(node.body, module, names)
        except ThrownError:
            if not node.handlers:
                raise
            handler = node.handlers[0]
            for each in variables_in(handler.catches) if handler.catches is not None else ():
                names[each] = Value(SOME)
            self._block(handler.body, module, names)
        self._block(node.final, module, names)

    def _assign(self, node: ir.Assign, module: Module, names: dict[str, Value]) -> None:
        before = len(self.choices.asked)
        value = self.of(node.value, module, names) if node.value is not None else Value(None)
        if keys := self._keys(node.value, before) if node.value is not None else []:
            func = self.stack[-1] if self.stack else None
            self.origins.update({(func, each): keys for each in variables_in(node.target)})
        if node.op != "=":
            value = Value(UNKNOWN, value.asked)
        target = node.target
        if not isinstance(target, ir.Attr | ir.Index):
            self.bind(names, target, value)
            return
        local = isinstance(target.obj, ir.Name) and target.obj.id in names
        held = self.of(target.obj, module, names).what
        key = target.name if isinstance(target, ir.Attr) else ir.text_of(target.key)
        if key is not None and held is REQUEST:
            self.hung[key] = value
        elif key is not None and local and isinstance(held, dict):
            held[key] = value


def _looks_who(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper is about who calls: it reads a session, turns callers away, or compares a secret."""
    return (
        denies(ctx, ctx.program.module_of[func], func)
        or any(reads_identity(ctx, each) for each in ir.find(func, ir.Call))
        or answers_secret(ctx, func)
    )


_BAD, _BEYOND = 400, 600
"""The statuses of answers that refuse."""


def _refuses(node: ir.Return) -> bool:
    """Whether an answer has such a status."""
    codes = (each.value for each in ir.find(node, ir.Lit))
    return any(isinstance(each, int) and _BAD <= each < _BEYOND for each in codes)


def _hands_back(node: ir.If) -> bool:
    """`if (refusal) return refusal`, `return found.error`: whoever made it knows what it says."""
    last = node.then[-1] if node.then else None
    value = last.value if isinstance(last, ir.Return) else None
    plain = isinstance(value, ir.Name | ir.Attr)
    return plain and value is not None and not variables_in(value).isdisjoint(variables_in(node.test))


def _leaves(body: list[ir.Node]) -> bool:
    """Whether a branch ends in a way out."""
    last = body[-1] if body else None
    return isinstance(last, ir.Return) or (isinstance(last, ir.Other) and last.kind == "continue_statement")
