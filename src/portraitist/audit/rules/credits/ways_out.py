"""Part of the rule on credits: the ways out of a function behind a take, followed statement by statement.

Credits count as kept on a way out by which the work fails and before which nothing on that way gives them back. What
a wrapper or a framework does about an error is not seen; a helper that may give back is believed to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.flows import Flow
from portraitist.audit.link.bindings import variables_in
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding, helpers_behind, last_name, names_in
from portraitist.audit.rules.credits.changes import CREDIT, balance, sign
from portraitist.audit.rules.credits.given_back import given_back_later
from portraitist.audit.rules.credits.ledger import Ledger
from portraitist.audit.rules.credits.steps import Step
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import bodies_of, in_handler

_BACK = re.compile(
    r"refund|rollback|restore|release|give_?back|undo|unreserve|compensat|revert|cancel_\w*(hold|reserv)"
    r"|void_\w*(hold|reserv|charge)|settle|reconcile"
)
"""Names, in snake case, of what may give back."""
_NO_CREDIT = re.compile(r"insufficient|not_?enough|no_?(credit|token)|payment_?required|quota|limit", re.I)
_REFUSES = {402, 429}
_FETCHES = {"fetch", "axios", "axios.post", "axios.get", "requests.post", "requests.get", "httpx.post"}
_BROAD = {"Exception", "BaseException", "Throwable"}


@dataclass(frozen=True, slots=True)
class Kept:
    """Where credits are kept: `how` is answered, thrown, caught or uncaught; the stretch, and what was thrown."""

    how: str
    node: ir.Node
    end: int
    cause: ir.Node


@dataclass(slots=True)
class _Walk:
    """One function behind one take: what gives back there, and the ways out that are found."""

    ctx: Context
    func: ir.Func
    take: ir.Node
    gives: set[ir.Node]
    told: set[str]
    found: list[Kept] = field(default_factory=list)

    def run(self) -> list[Kept]:
        below: ir.Node = self.take
        for each in ir.ancestors(self.take):
            ended = any(
                below in body and self._ends(body[body.index(below) + 1 :]) for body in bodies_of(each)
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
            return self._gives_back(node)
        if self._gives_back(node):
            return True
        if isinstance(node, ir.Return):
            self._leaves(node)
            return True
        self._may_throw(node)
        return False

    def _branch(self, node: ir.If) -> bool:
        names = names_in(node.test)
        asks = bool(self.told & names) or any(CREDIT.search(snake(each)) for each in names if " " not in each)
        if asks:  # who had nothing to take is not robbed; what else the test may ask for is not followed
            return self._gives_back(node)
        ends = self._ends(node.then)
        return self._ends(node.other) and ends if node.other else False

    def _gives_back(self, node: ir.Node) -> bool:
        if any(each in self.gives for each in ir.walk(node)):
            return True
        calls = (snake(ir.dotted(each.func)) for each in ir.find(node, ir.Call))
        if any(_BACK.search(each) for each in calls):
            return True
        return any(
            balance(each.key or "") and sign(each.value) == "give" for each in ir.find(node, ir.Prop)
        ) or any(balance(last_name(each.target)) and each.op == "+=" for each in ir.find(node, ir.Assign))

    def _handlers(self, attempt: ir.Try) -> None:
        """The handlers of an attempt that something behind the take comes to."""
        if any(self._gives_back(each) for each in attempt.final):
            return
        for handler in attempt.handlers:
            caught = " ".join(names_in(handler.catches)) if handler.catches is not None else ""
            if self._gives_back(handler) or _NO_CREDIT.search(caught):
                continue
            causes = (each for part in attempt.body for each in self._failing(part))
            cause = next((each for each in causes if self._comes_to(each, attempt)), None)
            if cause is None or not _is_broad(handler) or self._given_later(handler):
                continue
            if not (self._is_protected(attempt) and _throws_on(handler)):
                self.found.append(Kept("caught", handler, handler.end, cause))

    def _comes_to(self, cause: ir.Node, attempt: ir.Try) -> bool:
        """Whether what is thrown here reaches the handlers of an attempt, and finds nothing that gives back before."""
        for each in self._attempts(cause):
            if each is attempt:
                return True
            if any(self._gives_back(one) for one in (*each.handlers, *each.final)):
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
            if new and self._throws(call):
                yield call

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
            for each in ir.find(helper, ir.Return)
        )

    def _leaves(self, leave: ir.Return) -> None:
        fails = leave.throws or _is_error(leave)
        codes = {each.value for each in ir.find(leave, ir.Lit) if isinstance(each.value, int)}
        said = " ".join(names_in(leave.value)) if leave.value is not None else ""
        if not fails or codes & _REFUSES or _NO_CREDIT.search(said):
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
        self.found.append(Kept("thrown" if leave.throws else "answered", around, leave.end, leave))

    def _may_throw(self, node: ir.Node) -> None:
        cause = next(self._failing(node), None)
        if cause is not None and not self._is_protected(cause) and not self._is_caught(cause):
            self.found.append(Kept("uncaught", node, cause.end, cause))

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
            self._gives_back(part) for each in self._attempts(node) for part in (*each.handlers, *each.final)
        )

    def _is_caught(self, node: ir.Node) -> bool:
        """Whether a handler of the function takes what is thrown here: it is a way out of its own."""
        return any(each.handlers for each in self._attempts(node))

    def _gives_finally(self, node: ir.Node) -> bool:
        around = (each for each in ir.ancestors(node) if isinstance(each, ir.Try))
        return any(self._gives_back(part) for each in around for part in each.final)


def _throws_on(handler: ir.Handler) -> bool:
    return any(isinstance(each, ir.Return) and each.throws for each in handler.body)


def _is_broad(handler: ir.Handler) -> bool:
    if handler.catches is None:
        return True
    names = {each.id for each in ir.find(handler.catches, ir.Name)}
    return bool(names & _BROAD) or not any(each[:1].isupper() for each in names)


def _is_error(leave: ir.Return) -> bool:
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


MOST = 4
"""So many ways out of one function are told."""
FAR = 60
"""A stretch from a take to what may fail behind it is told up to so many lines."""


def kept(ctx: Context, ledger: Ledger, flow: Flow, steps: list[Step], take: Step) -> Iterator[Finding]:
    """The ways out of the function that takes credits before the paid call on which they are kept.

    Nothing is said where a caller on the way may give back. Where the way gives nothing back at all, that is told at
    the take, and its ways out in the JSON.
    """
    callers = flow.funcs[: flow.funcs.index(take.func)] if take.func in flow.funcs else ()
    if any(each.kind == "give" for func in callers for each in ledger.events(func)):
        return
    sure = any(each.event.kind == "give" for each in steps)
    if not sure and given_back_later(ctx, ledger, flow) is not None:
        return
    gives = {
        each.node
        for each in ledger.events(take.func)
        if each.kind == "give" and each.node is not take.event.node
    }
    made = ir.enclosing(take.event.node, ir.Assign)
    told = variables_in(made.target) if made is not None else set()
    weight = 47 if sure else BARELY
    ways = _Walk(ctx, take.func, take.event.node, gives, told).run()
    if not _is_stored(ctx, take):
        ways = [each for each in ways if each.how in {"answered", "caught"}]
    for each in ways[:MOST]:
        line, end = each.node.line, each.end
        if each.how == "uncaught" and each.end - take.event.line <= FAR:
            line = take.event.line
        message = _SAID[each.how].format(line=each.cause.line, purpose=flow.call.purpose)
        taken = (Place(take.module.path, take.event.line), Place(take.module.path, each.cause.line))
        yield finding("credit-before-check", take.module, each.node, message, key=f"{each.how} {flow.call.api}",
                      weight=weight, line=line, end=end, evidence=taken)  # fmt: skip
        weight = BARELY


def _is_stored(ctx: Context, take: Step) -> bool:
    """Whether an error behind a take leaves it: a session of a Python mapper forgets what nothing has committed."""
    if take.module.language != "python":
        return True
    funcs = [take.func]
    if isinstance(take.event.node, ir.Call):
        funcs += helpers_behind(ctx, take.event.node)
    texts = ["\n".join(ctx.program.module_of[each].lines[each.line - 1 : each.end]) for each in funcs]
    return any(_COMMITS.search(each) for each in texts[1:]) or not any(
        _SESSIONS.search(each) for each in texts
    )


_COMMITS = re.compile(r"\bcommit\s*\(|\.execute\(\s*\)")
_SESSIONS = re.compile(r"\b(db|session|s|sess)\.(add|flush|commit|query|execute|get)\b|AsyncSession|get_db")
_SAID = {
    "answered": "the credits taken before the paid {purpose} are kept on this way out",
    "thrown": "the credits taken before the paid {purpose} are kept when this is thrown",
    "caught": "an error of line {line} ends here, and the credits taken before the paid {purpose} are kept",
    "uncaught": "the credits taken before the paid {purpose} are kept when line {line} throws: nothing around it gives"
    " them back",
}
