"""What calls give a stranger: what was sent, settings, sessions that are not there, helpers of the repository.

Paid calls and changes of members' rows are deeds: where one is come upon, the way is through; a read is one where
the handler then answers. Statements are in
`walk`. What cannot be followed and is handed a token or the whole request finds nobody; a check by name throws.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, ProviderCall, Route, Statement
from portraitist.audit.facts.denial import reads_identity
from portraitist.audit.link.calls import argument_for
from portraitist.audit.link.module import Module
from portraitist.audit.rules.evaluator import NOBODY, UNKNOWN, Closure, GivenUpError, Names, Value
from portraitist.audit.rules.strangers.texts import HOLDS, SAME, Texts, of_literal
from portraitist.audit.rules.strangers.values import (
    ANSWER,
    HANDLER,
    NEXT,
    REQUEST,
    ROW,
    SOME,
    Choices,
    Kept,
    PassedError,
    Sent,
    Setting,
    ThrownError,
)

_ENDS = {
    "redirect", "permanentRedirect", "notFound", "unauthorized", "forbidden", "abort", "exit", "throw_error", "deny",
}  # fmt: skip
"""Calls that end the request."""
_THROWS = re.compile(
    r"^(verify|require|ensure|assert|protect|construct_?event|unwrap|authenticate)|^jwt_?verify$|verify_?id_?token",
    re.I,
)
_EQUAL = re.compile(r"equal|compare|verif|valid|check|match", re.I)
_ASKS = re.compile(
    r"auth|user|session|token|verif|signature|jwt|login|identity|permission|api_?key|secret|valid|equal|compare",
    re.I,
)
_ENVIRONMENT = re.compile(
    r"^(os\.(getenv|environ\.get)|Deno\.env\.get|env\.get|config\.get|configService\.get|getenv|config)$"
)
_IN_PLACE = re.compile(
    r"^(transaction|run|retry|with\w*|map|forEach|then|all|step|execute|wrap|call|\$transaction|trace|start\w*Span)$"
)
_MAKES = re.compile(r"create|client|fetch|request|^(get|post|put|patch|delete)$", re.I)
_MAX_DEPTH = 7


@dataclass(frozen=True, slots=True)
class Deed:
    """What a way comes through to."""

    module: Module
    node: ir.Node
    call: ProviderCall | None = None
    statement: Statement | None = None


class DoneError(Exception):
    """The way is through: a deed is come upon."""

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self.deed = deed


class Calls(Texts):
    """Evaluates calls; `denying` are the lines on which something outside of the repository is said to refuse."""

    def __init__(self, ctx: Context, choices: Choices, route: Route) -> None:
        super().__init__(ctx, choices, route)
        self.denying = {(where.path, where.line) for _, where in route.guarded_by}
        self.stack: list[ir.Func] = []
        self.entered: set[ir.Func] = set()
        self.read: Deed | None = None
        self.here: Names = {}

    @abstractmethod
    def run(self, func: ir.Func, module: Module, names: Names) -> Value:
        """What a function gives back for these names."""

    @abstractmethod
    def is_deed(self, statement: Statement, where: list[Value]) -> bool:
        """Whether a statement is something that is to be kept from strangers."""

    def called(self, node: ir.Call, module: Module, names: Names) -> Value:
        """What a call gives. Raises what ends the way."""
        name = ir.dotted(node.func)
        last = name.rpartition(".")[2]
        if last in _ENDS and not node.is_new:
            raise ThrownError
        held = self.of(node.func.obj, module, names) if isinstance(node.func, ir.Attr) else Value(UNKNOWN)
        given = {each: self.of(each, module, names) for each in node.args}
        if node.kw is not None:
            given.update({each.value: self.of(each.value, module, names) for each in node.kw.props})
        self._deeds(node, module, given)
        if node in self.ctx.statements_at:
            token = any(_is_by_token(each) for each in given.values())
            return Value(NOBODY, True) if token else Value(ROW)
        args = [given[each] for each in node.args]
        known = self._known(node, name, held, args)
        if known is not None:
            return known
        made = self._own(node, module, names, given)
        return made if made is not None else self._foreign(node, module, name, held, args)

    def _deeds(self, node: ir.Call, module: Module, given: dict[ir.Node, Value]) -> None:
        """Ends the way where the call is paid, or does something to rows."""
        call = self.ctx.call_at.get(node)
        if call is not None and call.creates:
            raise DoneError(Deed(module, node, call=call))
        for statement in self.ctx.statements_at.get(node, ()):
            where = [self._quietly(each, module, given) for _, each in statement.where_values]
            if any(map(self._is_nobodys, (*given.values(), *where))):
                raise GivenUpError  # nobody's rows, if the database takes that at all
            if self.is_deed(statement, where):
                deed = Deed(module, node, statement=statement)
                if statement.kind != "read":
                    raise DoneError(deed)
                self.read = self.read or deed

    def _is_nobodys(self, value: Value) -> bool:
        what = value.what
        if isinstance(what, dict):
            return any(isinstance(each, Value) and self._is_nobodys(each) for each in what.values())
        absent = isinstance(what, Sent) and self.choices.is_absent(what)
        return what is NOBODY or (what is None and value.asked) or absent

    def _quietly(self, node: ir.Node, module: Module, given: dict[ir.Node, Value]) -> Value:
        return given.get(node) or (
            self.of(node, module, self.here) if node.within in self.stack[-1:] else Value(UNKNOWN)
        )

    def _known(self, node: ir.Call, name: str, held: Value, args: list[Value]) -> Value | None:
        """What the request, what was sent, a setting, or the framework's own calls give; None for others."""
        last, first = name.rpartition(".")[2], args[0].what if args else None
        if isinstance(first, str) and first.isupper() and _ENVIRONMENT.match(name):
            default = args[1].what if len(args) > 1 else None
            return Value(Setting(first, default if isinstance(default, str | int | bool) else None))
        made = self.of_func(node)
        if made is NEXT:
            if isinstance(node.func, ir.Name) and first is not None and first is not REQUEST:
                raise ThrownError
            raise PassedError
        if made is HANDLER:
            raise PassedError
        if held.what is REQUEST:
            return self.of_carrier(last, first)
        if (
            isinstance(held.what, Sent)
            and isinstance(first, Closure)
            and last in {"some", "every", "find", "filter"}
        ):
            known = self.truth(self.follow(first, [Value(Sent(held.what.key))]))
            return Value(UNKNOWN if known is None else known, held.what.is_token)
        if isinstance(held.what, Sent):
            return self.of_text(held.what, last, first)
        if isinstance(held.what, Setting) and last in SAME | HOLDS:
            held = Value(self.worth(held.what))
            if held.what is None:
                raise ThrownError
        if isinstance(held.what, str) and isinstance(first, str | None):
            return of_literal(held.what, last, first)
        if isinstance(held.what, list) and last in {"includes", "has", "indexOf", "some", "find"}:
            holds = self.contains(held, args[0]) if args and last in {"includes", "has"} else None
            return Value(UNKNOWN if holds is None else holds)
        if held.what is ANSWER:
            return held
        return self.converted(last, args)

    def of_func(self, node: ir.Call) -> object:
        """What is called, where a name holds it."""
        return (
            self.here[node.func.id].what
            if isinstance(node.func, ir.Name) and node.func.id in self.here
            else None
        )

    def _own(self, node: ir.Call, module: Module, names: Names, given: dict[ir.Node, Value]) -> Value | None:
        """What a function of the repository gives; None where it is none, or one of several."""
        made = self.of_func(node)
        if isinstance(made, Closure):
            return self.follow(made, [given[each] for each in node.args])
        found = [each for each in self.ctx.program.functions_called(node) if isinstance(each.node, ir.Func)]
        if not found:
            return None
        target = found[0]
        if len(found) > 1 or target.module is None or not isinstance(target.node, ir.Func):
            raise GivenUpError
        func = target.node
        if func in self.stack or len(self.stack) > _MAX_DEPTH:
            return Value(UNKNOWN, True)
        inner: dict[str, Value] = dict(names) if func.within in self.stack[-1:] else {}
        for param in func.params:
            argument = argument_for(node, func, param)
            value = given.get(argument) if argument is not None else None
            if value is None:
                value = (
                    self.of(param.default, target.module, {}) if param.default is not None else Value(None)
                )
            self.bind(inner, param.pattern or ir.Name(0, 0, param.name), value)
        if func.owner and func.params and func.params[0].name in {"self", "cls"}:
            inner[func.params[0].name] = Value(UNKNOWN)
        return self.run(func, target.module, inner)

    def follow(self, closure: Closure, args: list[Value]) -> Value:
        """What a function gives for these arguments by position."""
        if closure.func in self.stack or len(self.stack) > _MAX_DEPTH:
            return Value(UNKNOWN, True)
        names = dict(closure.names)
        for position, param in enumerate(closure.func.params):
            given = args[position] if position < len(args) else Value(UNKNOWN if param.rest else None)
            self.bind(names, param.pattern or ir.Name(0, 0, param.name), given)
        return self.run(closure.func, closure.module, names)

    def _foreign(self, node: ir.Call, module: Module, name: str, held: Value, args: list[Value]) -> Value:
        """What is not of the repository: sessions that are not there, checks that throw, functions run in place."""
        last = name.rpartition(".")[2]
        if ".auth.get" in name and re.search(
            r"\.auth\.get_?(Session|User|Claims|session|user|claims)$", name
        ):
            error = Value(None if "ession" in last else SOME)
            return Value({"data": Value(NOBODY, True), "error": error, "user": Value(NOBODY, True)}, True)
        token = [each for each in (held, *args) if _proves(each)]
        if reads_identity(self.ctx, node):
            if _THROWS.search(last) or last in {"decode", "verify"}:
                raise ThrownError
            return Value(NOBODY, True)
        if (module.path, node.line) in self.denying:
            raise ThrownError
        kept = [each for each in (held, *args) if isinstance(each.what, Kept | Setting)]
        if token and (_ASKS.search(last) or (kept and not _MAKES.search(last))):
            if _EQUAL.search(last) and not _THROWS.search(last):
                return Value(False, True)
            if _THROWS.search(last):
                raise ThrownError
            return Value(NOBODY, True)
        for each, value in zip(node.args, args, strict=True):
            if isinstance(each, ir.Func) and isinstance(value.what, Closure) and _IN_PLACE.match(last):
                self.follow(value.what, [Value(UNKNOWN)] * len(each.params))
        if any(each.asked or each.what is REQUEST for each in (held, *args)) or token:
            return Value(UNKNOWN, True)
        if node.is_new or last[:1].isupper() or name.startswith(("NextResponse.", "Response.")):
            return Value(SOME)
        made = next((each for each in kept if isinstance(each.what, Kept)), None)
        if made is not None or held.what is ROW:
            return made or held
        return Value(UNKNOWN)

    def bind(self, names: dict[str, Value], target: ir.Node, value: Value) -> None:
        """Gives every name of a target its part of the value."""
        if isinstance(target, ir.Name):
            names[target.id] = value
        elif isinstance(target, ir.Obj):
            for prop in target.props:
                part = self.member(value, prop.key) if prop.key is not None else Value(UNKNOWN, value.asked)
                self.bind(names, prop.value, part)
        elif isinstance(target, ir.Arr):
            items = value.what if isinstance(value.what, list) else []
            for position, each in enumerate(target.items):
                part = items[position] if position < len(items) else self._nth(value)
                self.bind(names, each, part)

    def _nth(self, value: Value) -> Value:
        what = value.what
        return Value(
            what if what is NOBODY or what is ROW or isinstance(what, Sent) else UNKNOWN, value.asked
        )


def _is_by_token(value: Value) -> bool:
    """Whether a row is asked for by what is meant to prove something: `findUnique({ where: { key } })`."""
    what = value.what
    if isinstance(what, dict):
        return any(isinstance(each, Value) and _is_by_token(each) for each in what.values())
    return isinstance(what, Sent) and what.is_token


def _proves(value: Value) -> bool:
    """Whether a value is a token of the caller's, or something made of who asks."""
    what = value.what
    if isinstance(what, dict):
        return any(isinstance(each, Value) and _proves(each) for each in what.values())
    return what is NOBODY or value.asked or (isinstance(what, Sent) and what.is_token)
