"""Part of the rule on webhooks: checks of a sender that let a request pass which they could not check.

A handler is walked as if the secret were not set, and as if no signature had been sent: where its end is reached and
nothing was compared, the check is open. What the environment is sure to have is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.failures.quiet import only_logs
from portraitist.audit.rules.syntax import JOINS, STAND_IN, calls_in

SECRET = re.compile(r"secret|signing|hook_?(key|token)|passphrase", re.I)
SIGNATURE = re.compile(r"signature|hmac|x[-_]?sign|svix|webhook[-_](id|timestamp)|secret|token", re.I)
_NEVER = re.compile(r"(?!)")
NOTHING = "nothing checks"
MAX_DEPTH = 3
"""How many helpers below the handler are walked."""

Counts = Callable[[ir.Node], bool]
"""Whether an expression by itself compares or verifies something."""
_SETTINGS = re.compile(r"(^|\.)(env|environ|settings|config|cfg|process\.env)(\.|$)|getenv", re.I)


_PRODUCTION = re.compile(r"is_?prod(uction)?$", re.I)
_DEVELOPMENT = re.compile(r"(is_?)?(dev(elopment)?|debug|local|test(ing)?)$", re.I)
_SENT = re.compile(r"header|searchParams|query", re.I)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk on which something is missing: what `named` says, and the parameters that were handed it."""

    ctx: Context
    named: re.Pattern[str]
    of_settings: bool
    checks: Counts
    params: frozenset[ir.Param] = frozenset()
    in_helper: bool = False

    def is_missing(self, module: Module, node: ir.Node | None, depth: int = 0) -> bool:
        """Whether an expression is certainly empty where the missing thing is."""
        if node is None or depth > 4:
            return False
        if isinstance(node, ir.Bin) and node.op in STAND_IN and node.right is not None:
            empty = isinstance(node.right, ir.Lit) and not node.right.value
            return self.is_missing(module, node.left, depth + 1) and (
                empty or self.is_missing(module, node.right, depth + 1)
            )
        if isinstance(node, ir.Name):
            return self._name_missing(module, node, depth)
        if self.of_settings:
            return self._is_setting(node)
        return self._is_header(node)

    def _name_missing(self, module: Module, node: ir.Name, depth: int) -> bool:
        for binding in bindings_of(module, node):
            param = binding.value if isinstance(binding.value, ir.Param) else binding.node
            if isinstance(param, ir.Param):
                return param in self.params or (not self.of_settings and self._header_param(param))
            if binding.value is not None and not binding.keys:
                return self.is_missing(module, binding.value, depth + 1)
        return False

    def _is_setting(self, node: ir.Node) -> bool:
        if isinstance(node, ir.Call):
            default = node.args[1] if len(node.args) > 1 else None
            if default is not None and not (isinstance(default, ir.Lit) and not default.value):
                return False
            said = " ".join(filter(None, (ir.text_of(each) for each in node.args[:1])))
            return bool(_SETTINGS.search(ir.dotted(node.func)) and self.named.search(said))
        name = last_name(node)
        return bool(name and self.named.search(name) and _SETTINGS.search(ir.dotted(node)))

    def _is_header(self, node: ir.Node) -> bool:
        names = ir.dotted(node)
        if isinstance(node, ir.Call):
            said = " ".join(filter(None, (ir.text_of(each) for each in node.args)))
            getter = names.rpartition(".")[2] in {"get", "header", "headers", "getHeader"}
            return getter and bool(_SENT.search(names)) and bool(self.named.search(said))
        return "headers" in names and bool(self.named.search(last_name(node)))

    def _header_param(self, param: ir.Param) -> bool:
        made = param.default
        optional = isinstance(made, ir.Call) and ir.dotted(made.func).rpartition(".")[2] == "Header"
        empty = optional and isinstance(made, ir.Call) and made.args and isinstance(made.args[0], ir.Lit)
        return bool(empty and made.args[0].value is None and self.named.search(param.name))  # type: ignore[union-attr]

    def truth(self, module: Module, test: ir.Node) -> bool | None:
        """What a test is on this walk, None where it depends on other things."""
        if isinstance(test, ir.Bin) and test.op in {"not", "!"}:
            inner = self.truth(module, test.left)
            return None if inner is None else not inner
        if isinstance(test, ir.Bin) and test.right is not None:
            return self._truth_of_two(module, test, test.right)
        if isinstance(test, ir.Call) and ir.plain_dotted(test.func) in {"Boolean", "bool"} and test.args:
            return self.truth(module, test.args[0])
        named = last_name(test.func if isinstance(test, ir.Call) else test)
        if _PRODUCTION.match(named) or _DEVELOPMENT.match(named):
            return bool(_PRODUCTION.match(named))
        return False if self.is_missing(module, test) else None

    def _truth_of_two(self, module: Module, test: ir.Bin, right: ir.Node) -> bool | None:
        if test.op in JOINS:
            decisive = test.op in {"or", "||"}
            both = [self.truth(module, test.left), self.truth(module, right)]
            if decisive in both:
                return decisive
            return None if None in both else not decisive
        equal = {"==": True, "===": True, "is": True, "!=": False, "!==": False, "is not": False}.get(test.op)
        if equal is None:
            return None
        if ir.text_of(right) == "production" and "ENV" in last_name(test.left).upper():
            return equal
        nothing = (isinstance(right, ir.Lit) and not right.value) or last_name(right) in {"undefined", "None"}
        return equal if nothing and self.is_missing(module, test.left) else None

    def passes(self, module: Module, func: ir.Func, depth: int = 0) -> bool:
        """Whether a function comes to its end, or says yes, without having compared anything."""
        end = _End()
        checked = any(self._checks(module, each, depth) for each in self._walked(module, func.body, end))
        return not checked and not end.refused

    def _walked(self, module: Module, body: list[ir.Node], end: _End) -> Iterator[ir.Node]:
        """The expressions that are come upon, in order, up to a way out that what is missing decides."""
        for each in body:
            if end.reached:
                return
            if isinstance(each, ir.If):
                yield from self._branches(module, each, end)
            elif isinstance(each, ir.Try):
                yield from self._walked(module, each.body, end)
            elif isinstance(each, ir.Loop):
                yield from (one for one in (each.test, each.source) if one is not None)
                yield from self._walked(module, each.body, _End())
            else:
                yield each
                if isinstance(each, ir.Return) and end.certain:
                    end.reached = True
                    end.refused = each.throws or not self._lets_by(each.value)

    def _lets_by(self, answer: ir.Node | None) -> bool:
        """Whether an answer lets a request pass; a helper's text is its reason not to: `return "no header"`."""
        return says_yes(answer) and not (self.in_helper and ir.text_of(answer) is not None)

    def _branches(self, module: Module, branch: ir.If, end: _End) -> Iterator[ir.Node]:
        known = self.truth(module, branch.test)
        if known is None and exits(branch.then) and self._refuses_where_set(module, branch.test):
            end.reached = end.refused = True
            return
        yield from self._evaluated(module, branch.test)
        if known is None:
            for part in (branch.then, branch.other):
                inner = _End()
                yield from self._walked(module, part, inner)
                end.reached = end.refused = end.refused or inner.refused
            return
        chosen = _End(certain=True)
        yield from self._walked(module, branch.then if known else branch.other, chosen)
        if not chosen.reached and exits(branch.then if known else branch.other):
            chosen.reached = chosen.refused = True
        end.reached, end.refused = chosen.reached, chosen.refused

    def _refuses_where_set(self, module: Module, test: ir.Node) -> bool:
        """`expected && (!sent || sent !== expected)`: what was not sent is refused wherever there is a secret."""
        if (
            self.of_settings
            or not isinstance(test, ir.Bin)
            or test.op not in {"and", "&&"}
            or test.right is None
        ):
            return False
        settings = Walk(self.ctx, SECRET, True, self.checks)
        sides = ((test.left, test.right), (test.right, test.left))
        return any(settings.is_missing(module, one) and self.truth(module, other) for one, other in sides)

    def _evaluated(self, module: Module, node: ir.Node) -> Iterator[ir.Node]:
        """The parts of an expression that are worked out: not behind `missing &&`."""
        if isinstance(node, ir.Bin) and node.op in JOINS and node.right is not None:
            yield from self._evaluated(module, node.left)
            if self.truth(module, node.left) is not (node.op in {"or", "||"}):
                yield from self._evaluated(module, node.right)
        elif isinstance(node, ir.Bin) and node.right is None:
            yield from self._evaluated(module, node.left)
        elif isinstance(node, ir.Cond):
            known = self.truth(module, node.test)
            yield from (
                node.test,
                *(each for each, at in ((node.then, True), (node.other, False)) if known is not (not at)),
            )
        else:
            yield node

    def _checks(self, module: Module, node: ir.Node, depth: int) -> bool:
        """Whether a statement that is come upon compares who sent the request."""
        top = node.value if isinstance(node, ir.Assign | ir.Return) else node
        for part in self._evaluated(module, top) if top is not None else ():
            for each in ir.walk(part):
                if isinstance(each, ir.Call) and (own := self._own(each)):
                    if depth < MAX_DEPTH and not any(
                        self._helper_passes(module, each, *one, depth) for one in own
                    ):
                        return True
                elif self.checks(each):
                    return True
        return False

    def _own(self, call: ir.Call) -> list[tuple[Module, ir.Func]]:
        found = self.ctx.program.functions_called(call)
        return [(each.module, each.node) for each in found if isinstance(each.node, ir.Func) and each.module]

    def _helper_passes(self, module: Module, call: ir.Call, where: Module, func: ir.Func, depth: int) -> bool:
        given = {each: argument_for(call, func, each) for each in func.params}
        missing = frozenset(
            each for each, node in given.items() if node is not None and self.is_missing(module, node)
        )
        inner = Walk(self.ctx, self.named, self.of_settings, self.checks, missing, in_helper=True)
        return inner.passes(where, func, depth + 1)


@dataclass(slots=True)
class _End:
    """How a walk through a body ended: at a way out, by a refusal; `certain` where only what is missing decides."""

    certain: bool = False
    reached: bool = False
    refused: bool = False


def says_yes(value: ir.Node | None) -> bool:
    """`return true`, `return { valid: true }`, `return next()`: what lets a request pass."""
    if isinstance(value, ir.Lit):
        return bool(value.value)
    if isinstance(value, ir.Obj):
        return any(isinstance(each.value, ir.Lit) and each.value.value is True for each in value.props)
    return isinstance(value, ir.Call) and ir.plain_dotted(value.func) == "next"


def open_check(ctx: Context, module: Module, handler: ir.Func, checks: Counts) -> str:
    """Under which condition alone a request is checked: "the secret is set", "a signature was sent"; else "".

    `NOTHING` where nothing on the whole walk checks, whatever was sent.
    """
    if Walk(ctx, SIGNATURE, False, checks).passes(module, handler):
        never = Walk(ctx, _NEVER, False, checks).passes(module, handler)
        return NOTHING if never else "a signature was sent"
    return "the secret is set" if Walk(ctx, SECRET, True, checks).passes(module, handler) else ""


def only_logged(module: Module, handler: ir.Func, checks: Counts) -> ir.Node | None:
    """The branch or `except` for a wrong signature that does nothing but log, so that the request goes on."""
    for branch in ir.find(handler, ir.If):
        negative = isinstance(branch.test, ir.Bin) and branch.test.op in {"not", "!", "!=", "!=="}
        if negative and not branch.other and branch.then and only_logs(branch.then):
            told = [value for each in ir.find(branch.test, ir.Name) for value in _values(module, each)]
            if any(checks(each) for part in (branch.test, *told) for each in ir.walk(part)):
                return branch
    refused: list[ir.Try] = []
    for attempt in ir.find(handler, ir.Try):
        if not attempt.handlers or not any(checks(each) for each in calls_in(attempt.body)):
            continue
        around = {*ir.ancestors(attempt)}
        if not all(only_logs(each.body) for each in attempt.handlers):
            refused.append(attempt)
        elif not any(each not in around for each in refused):
            return attempt.handlers[0]  # and nothing before it has turned away what is not signed
    return None


def _values(module: Module, name: ir.Name) -> Iterator[ir.Node]:
    yield from (each.value for each in bindings_of(module, name) if each.value is not None)
