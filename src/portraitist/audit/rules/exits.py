"""The ways out of a function behind one of its statements, followed statement by statement.

What the statement did (credits taken, a row opened) is to be undone on the way; what undoes it, the rules say. What a
wrapper or a framework does about an error is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.rules.base import helpers_behind, last_name, names_in
from portraitist.audit.rules.syntax import in_handler

_FETCHES = {"fetch", "axios", "axios.post", "axios.get", "requests.post", "requests.get", "httpx.post"}
_BROAD = {"Exception", "BaseException", "Throwable"}


@dataclass(frozen=True, slots=True)
class WayOut:
    """A way out on which nothing is undone: answered, thrown, caught or uncaught; the stretch, and what was thrown."""

    how: str
    node: ir.Node
    end: int
    cause: ir.Node


@dataclass(slots=True)
class WaysOut:
    """One function behind one of its statements: what undoes it there, and the ways out that are found."""

    ctx: Context
    func: ir.Func
    take: ir.Node
    gives: set[ir.Node]
    told: set[str]
    found: list[WayOut] = field(default_factory=list)

    def undoes(self, node: ir.Node) -> bool:
        """Whether something below a node undoes the statement, or may."""
        return any(each in self.gives for each in ir.walk(node))

    def asks_for_it(self, names: set[str]) -> bool:
        """Whether a test with these names asks whether the statement did anything: its branches are not followed."""
        return bool(self.told & names)

    def is_excused(self, codes: set[int], said: str) -> bool:
        """Whether an answer with these numbers and words says that the statement did nothing."""
        return False

    def run(self) -> list[WayOut]:
        below: ir.Node = self.take
        for each in ir.ancestors(self.take):
            ended = any(
                below in body and self._ends(body[body.index(below) + 1 :]) for body in ir.bodies_of(each)
            )
            if isinstance(each, ir.Try) and below in each.body:
                self._handlers(each)
            if ended or each is self.func:
                break
            below = each
        return self.found

    def _ends(self, body: list[ir.Node]) -> bool:
        """Follows statements in their order; whether the way ends there, or what was taken is given back."""
        return any(self._statement(each) for each in body)

    def _statement(self, node: ir.Node) -> bool:
        if isinstance(node, ir.Func | ir.Class):
            return False
        if isinstance(node, ir.If):
            return self._branch(node)
        if isinstance(node, ir.Try):
            ended = self._ends(node.body)
            self._handlers(node)
            return ended or self._ends(node.final)
        if isinstance(node, ir.Loop):
            self._ends(node.body)
            return self.undoes(node)
        if self.undoes(node):
            return True
        if isinstance(node, ir.Return):
            self._leaves(node)
            return True
        self._may_throw(node)
        return False

    def _branch(self, node: ir.If) -> bool:
        names = names_in(node.test)
        if self.asks_for_it(names):  # what else the test may ask for is not followed
            return self.undoes(node)
        ends = self._ends(node.then)
        return self._ends(node.other) and ends if node.other else False

    def _handlers(self, attempt: ir.Try) -> None:
        """The handlers of an attempt that something behind the take comes to."""
        if any(self.undoes(each) for each in attempt.final):
            return
        for handler in attempt.handlers:
            caught = " ".join(names_in(handler.catches)) if handler.catches is not None else ""
            if self.undoes(handler) or self.is_excused(set(), caught):
                continue
            causes = (each for part in self._open_parts(attempt) for each in self._failing(part))
            cause = next((each for each in causes if self._comes_to(each, attempt)), None)
            if cause is None or not _is_broad(handler) or self._given_later(handler):
                continue
            if not (self._is_protected(attempt) and any(each.throws for each in ir.find(handler, ir.Return))):
                self.found.append(WayOut("caught", handler, handler.end, cause))

    def _open_parts(self, attempt: ir.Try) -> Iterator[ir.Node]:
        """The statements of an attempt up to the one that plainly undoes."""
        for part in attempt.body:
            plain = not isinstance(part, ir.If | ir.Try | ir.Loop | ir.Func)
            yield part
            if plain and part.line > self.take.end and self.undoes(part):
                return

    def _comes_to(self, cause: ir.Node, attempt: ir.Try) -> bool:
        """Whether what is thrown here reaches the handlers of an attempt, and finds nothing that gives back before."""
        for each in self._attempts(cause):
            if each is attempt:
                return True
            if any(self.undoes(one) for one in (*each.handlers, *each.final)):
                return False
            if each.handlers and not _throws_on(each.handlers[-1]):
                return False
        return False

    def _given_later(self, handler: ir.Handler) -> bool:
        """Whether what follows a handler that does not leave may give back, or tries once more."""
        leaves = (each for part in handler.body for each in ir.find(part, ir.Return))
        if any(each.within is handler.within for each in leaves):
            return False
        around = (each for each in ir.ancestors(handler) if isinstance(each, ir.Loop | ir.Func))
        return isinstance(next(around, None), ir.Loop) or any(each.line > handler.end for each in self.gives)

    def _failing(self, part: ir.Node) -> Iterator[ir.Node]:
        """The calls below a node, behind the take, that plainly may throw."""
        for call in ir.find(part, ir.Call):
            new = call.line > self.take.end and call not in self.gives and not in_handler(call)
            if new and not is_caught_at_once(call) and self._throws(call) and not self._is_empty_handed(call):
                yield call

    def _is_empty_handed(self, node: ir.Node) -> bool:
        """Whether a node stands in a branch for a take that did nothing: `if (!taken) { … }`."""
        below = node
        for each in ir.ancestors(node):
            if each is self.func:
                break
            later = isinstance(each, ir.If) and below in each.then and each.line > self.take.line
            if later and isinstance(each, ir.If) and _denies(each.test, self.told):
                return True
            below = each
        return False

    def _throws(self, call: ir.Call) -> bool:
        if call in self.ctx.call_at or ir.plain_dotted(call.func) in _FETCHES:
            return True
        written = self.ctx.statements_at.get(call, ())
        if any(each.kind == "write" for each in written):
            if isinstance(call.func, ir.Name):
                return False  # an object of a mapper, which nothing stores yet
            return "supabase" not in ir.dotted(call.func).lower() and ".from." not in ir.dotted(call.func)
        return any(
            each.throws and each.within is helper
            for helper in helpers_behind(self.ctx, call)
            if not self.ctx.once(_asks_settings_alone, helper)
            for each in ir.find(helper, ir.Return)
        )

    def _leaves(self, leave: ir.Return) -> None:
        fails = leave.throws or answers_error(leave)
        codes = {each.value for each in ir.find(leave, ir.Lit) if isinstance(each.value, int)}
        said = " ".join(names_in(leave.value)) if leave.value is not None else ""
        if not fails or self.is_excused(codes, said):
            return
        if leave.throws and self._is_protected(leave):
            return
        if self._gives_finally(leave) or (leave.throws and self._is_caught(leave)):
            return
        branch = next(
            (each for each in ir.ancestors(leave) if isinstance(each, ir.If | ir.Handler | ir.Func)), leave
        )
        told = isinstance(branch, ir.If) and branch.line > self.take.end and leave in branch.then
        around = branch if told else leave
        self.found.append(WayOut("thrown" if leave.throws else "answered", around, leave.end, leave))

    def _may_throw(self, node: ir.Node) -> None:
        cause = next(self._failing(node), None)
        if cause is not None and not self._is_protected(cause) and not self._is_caught(cause):
            self.found.append(WayOut("uncaught", node, cause.end, cause))

    def _attempts(self, node: ir.Node) -> Iterator[ir.Try]:
        below = node
        for each in ir.ancestors(node):
            if isinstance(each, ir.Try) and below in each.body:
                yield each
            if each is self.func:
                return
            below = each

    def _is_protected(self, node: ir.Node) -> bool:
        """Whether what is thrown here comes to something that gives back."""
        return any(
            self.undoes(part) for each in self._attempts(node) for part in (*each.handlers, *each.final)
        )

    def _is_caught(self, node: ir.Node) -> bool:
        """Whether a handler of the function takes what is thrown here: it is a way out of its own."""
        return any(each.handlers for each in self._attempts(node))

    def _gives_finally(self, node: ir.Node) -> bool:
        around = (each for each in ir.ancestors(node) if isinstance(each, ir.Try))
        return any(self.undoes(part) for each in around for part in each.final)


_SETTINGS = re.compile(
    r"process\.env|import\.meta\.env|environ|getenv|Deno\.env|\benv\.|settings\."
    r"|\bif\s*\(?\s*(!|not )\s*[A-Z][A-Z0-9_]{5,}\b"
)


def _asks_settings_alone(ctx: Context, func: ir.Func) -> bool:
    """Whether a helper makes something of its settings, a client mostly: it fails at every request or at none."""
    module = ctx.program.module_of[func]
    if func.params or not _SETTINGS.search("\n".join(module.lines[func.line - 1 : func.end])):
        return False
    calls = ir.find(func, ir.Call)
    return not any(
        each in ctx.call_at or each in ctx.statements_at or ir.plain_dotted(each.func) in _FETCHES
        for each in calls
    )


def _denies(test: ir.Node, told: set[str]) -> bool:
    """Whether a test holds only where what a statement answered says that it did nothing."""
    if isinstance(test, ir.Bin):
        if test.op in {"and", "or"} and test.right is not None:
            both = [_denies(test.left, told), _denies(test.right, told)]
            return any(both) if test.op == "and" else all(both)
        nothing = isinstance(test.right, ir.Lit) and test.right.value in {None, False}
        refuted = test.op in {"not", "!"} or (test.op in {"==", "===", "is"} and nothing)
        return refuted and isinstance(test.left, ir.Name | ir.Attr) and bool(told & names_in(test.left))
    asked = isinstance(test, ir.Name | ir.Attr) and bool(told & names_in(test))
    return asked and _ERROR.search(last_name(test)) is not None


_ERROR = re.compile(r"err(or)?$|fail(ed|ure)?$", re.I)


def is_caught_at_once(call: ir.Call) -> bool:
    """`await work().catch(…)`, or work below an `allSettled`: nothing around it hears of the error.

    The promise may be held first: `const done = work(); done.catch(…)`.
    """
    below: ir.Node = call
    for each in ir.ancestors(call):
        if isinstance(each, ir.Call):
            name = last_name(each.func)
            if name == "allSettled" or (name == "catch" and below is each.func):
                return True
        below = each
    return is_caught_by_name(call)


def is_caught_by_name(call: ir.Call) -> bool:
    """Whether a promise goes into a variable as it is, of which a handler for its errors is asked beside it."""
    held, func = call.parent, call.within
    if not isinstance(held, ir.Assign) or not isinstance(held.target, ir.Name) or func is None:
        return False
    name = held.target.id
    catches = (each.func for each in ir.find(func, ir.Call) if each.line >= call.line)
    return any(
        isinstance(each, ir.Attr)
        and each.name == "catch"
        and isinstance(each.obj, ir.Name)
        and each.obj.id == name
        for each in catches
    )


def _throws_on(handler: ir.Handler) -> bool:
    return any(isinstance(each, ir.Return) and each.throws for each in handler.body)


def _is_broad(handler: ir.Handler) -> bool:
    if handler.catches is None:
        return True
    names = {each.id for each in ir.find(handler.catches, ir.Name)}
    return bool(names & _BROAD) or not any(each[:1].isupper() for each in names)


def answers_error(leave: ir.Return) -> bool:
    """Whether an answer says that the work failed: a status of 400 or more, `success: false`, an error alone."""
    value = leave.value
    if value is None:
        return False
    given = [
        each.value for each in ir.find(value, ir.Prop) if each.key in {"status", "status_code", "statusCode"}
    ]
    if isinstance(value, ir.Arr) and len(value.items) > 1:
        given.append(value.items[1])
    for each in ir.find(value, ir.Call):
        if last_name(each.func) == "status" and len(each.args) == 1:
            given.append(each.args[0])
    if any(isinstance(each, ir.Lit) and isinstance(each.value, int) and each.value >= 400 for each in given):
        return True
    said = [each for each in ir.find(value, ir.Prop) if each.key in {"success", "ok"}]
    if any(isinstance(each.value, ir.Lit) and each.value.value is False for each in said):
        return True
    return isinstance(value, ir.Obj) and {each.key for each in value.props} in ({"error"}, {"error", "code"})
