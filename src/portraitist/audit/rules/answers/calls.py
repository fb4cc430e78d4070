"""What calls come to on the way, for one answer of the provider: its own, helpers, and what writes to the database."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.link.calls import argument_for
from portraitist.audit.rules.answers.expressions import BODY, Expressions, Names
from portraitist.audit.rules.answers.values import (
    OUTPUT,
    RESPONSE,
    ROW,
    RUN,
    SOME,
    TAKEN,
    ThrownError,
    Told,
    either,
    member,
    method,
    of_output,
    truth,
)
from portraitist.audit.rules.base import askers
from portraitist.audit.rules.evaluator import UNKNOWN, is_optional
from portraitist.audit.rules.state_words import word_of

_SETTLES = re.compile(
    r"fail|mark|status|state|update|set_|delete|remove|release|complete|finish|refund|notify", re.I
)
_QUIET = re.compile(
    r"^(console|log|logger|logging|sentry|os|fs|res|response|reply|NextResponse|Response)\b|^print$", re.I
)
_CHECKS = re.compile(r"pars|valid|verif|schema|unwrap|loads", re.I)
_THROWING = re.compile(r"^(axios|ky|got|ofetch|\$fetch)\b")
_REQUESTS = re.compile(r"^(fetch|axios|ky|got|requests|httpx|client|session)\b")


class Effect(NamedTuple):
    """What a statement writes on the way, by column, what is set last at the end.

    `hazy` where it hangs on a test of what a run made.
    """

    statement: Statement
    columns: list[tuple[ColumnUse, object]]
    hazy: bool


class Calls(Expressions):
    """Evaluates calls; what is written, and what may write unseen, is kept."""

    def __init__(self, ctx: Context, told: Told, *, hears: bool) -> None:
        super().__init__(ctx, told, hears=hears)
        self.effects: list[Effect] = []
        self.guessed: set[ir.Node] = set()
        self.asks, self.hazy, self.chance = False, False, False

    @abstractmethod
    def follow(self, func: ir.Func, names: Names) -> object:
        """What a function gives back."""

    @abstractmethod
    def inside(self, func: ir.Func, names: Names) -> None:
        """Runs the statements of a function that is written in place."""

    def called(self, node: ir.Call, names: Names) -> object:
        """What a call gives."""
        name = ir.dotted(node.func)
        held = self.of(node.func.obj, names) if isinstance(node.func, ir.Attr) else UNKNOWN
        given = {each: self.of(each, names) for each in node.args if not isinstance(each, ir.Func)}
        if node.kw is not None:
            self.of(node.kw, names)
        asked = self.ctx.call_at.get(node)
        if asked is not None and asked.purpose == "status":
            self.asks = True
            if self.told.refused and (asked.sdk or _THROWING.search(name)):
                raise ThrownError
            return RUN if asked.sdk else RESPONSE
        if asked is not None:
            return SOME
        if self.record(node):
            return ROW
        funcs = [
            each.node for each in self.ctx.program.functions_called(node) if isinstance(each.node, ir.Func)
        ]
        for each in node.args:
            mapped = name.rpartition(".")[2] in {"then", "map", "forEach"}
            if isinstance(each, ir.Func) and not name.endswith((".catch", "setTimeout")):
                self._in_place(each, held if mapped else UNKNOWN, names)
        if funcs:
            return self._helpers(node, funcs, given, names)
        known = self._builtin(name, held, list(given.values()))
        return self._unknown(node, name, held, list(given.values())) if known is _AWAY else known

    def _builtin(self, name: str, held: object, args: list[object]) -> object:
        """What well-known functions give, and requests; `_AWAY` for all else."""
        last = name.rpartition(".")[2]
        first = args[0] if args else UNKNOWN
        if _REQUESTS.search(name):
            if args and first is None:
                raise ThrownError
            return SOME
        if last == "isArray" and args:
            return isinstance(first, list) if first is None or isinstance(first, list | dict | str) else TAKEN
        if name == "isinstance" and args:
            return False if first is None else TAKEN if of_output(first) else UNKNOWN
        if name == "len" and args:
            return member(self.told, first, "length", maybe=True)
        if name in {"bool", "Boolean"} and args and truth(first) is not None:
            return truth(first)
        if name in {"str", "String", "bool", "Boolean"} and args:
            return first
        if self.in_handler() and last in BODY and held is UNKNOWN:
            return RUN
        if RUN in args and _CHECKS.search(last):
            return RUN
        return RUN if self.hears and last in {"parse", "loads"} and args and first is UNKNOWN else _AWAY

    def _unknown(self, node: ir.Call, name: str, held: object, args: list[object]) -> object:
        """What a method of a value gives, or a function that is not of the repository."""
        last = name.rpartition(".")[2]
        if isinstance(node.func, ir.Attr) and held is not UNKNOWN:
            if held is None and (node.func.maybe or is_optional(node.func)):
                return None
            return method(self.told, held, last, args)
        if _SETTLES.search(last) and not _QUIET.search(name):
            self.guessed.add(node)
        return TAKEN if any(map(of_output, args)) else UNKNOWN

    def _in_place(self, func: ir.Func, first: object, names: Names) -> None:
        """A function that is written in place: runs it, as part of what is around."""
        own = dict(names)
        for position, param in enumerate(func.params):
            own[param.name] = first if not position and first in (RUN, TAKEN, OUTPUT, ROW) else UNKNOWN
        if func in self.stack:
            return
        try:
            self.inside(func, own)
        except ThrownError:
            return
        for each in names:
            if each in own and own[each] is not names[each]:
                names[each] = either(names[each], own[each])

    def _helpers(
        self, call: ir.Call, funcs: list[ir.Func], given: dict[ir.Node, object], names: Names
    ) -> object:
        """What functions of the repository give back that have to do with rows or with what the provider said."""
        told = any(
            each is RUN or each is RESPONSE or of_output(each) or each == self.told.status
            for each in given.values()
        )
        found: object = None
        for position, func in enumerate(funcs[:3]):
            if not self.ctx.once(_matters, func, 2):
                if _SETTLES.search(func.name):
                    self.guessed.add(call)
                if not told:
                    return UNKNOWN
            inner: Names = dict(names) if func.within is self.stack[-1] else {}
            for param in func.params:
                inner[param.name] = self._argument(call, func, param, given)
            if func.owner and func.params and func.params[0].name in {"self", "cls"}:
                inner[func.params[0].name] = UNKNOWN
            made = self.follow(func, inner)
            found = made if not position else either(found, made)
        return found

    def _argument(
        self, call: ir.Call, func: ir.Func, param: ir.Param, given: dict[ir.Node, object]
    ) -> object:
        """What a parameter of a helper gets by this call."""
        node = argument_for(call, func, param)
        if node is not None:
            return given.get(node, self.values.get(node, UNKNOWN))
        if param.default is None:
            return None
        return self.of(param.default, {}) if isinstance(param.default, ir.Lit) else UNKNOWN

    def record(self, node: ir.Node) -> bool:
        """Notes what a statement writes here; whether the node is one."""
        statements = self.ctx.statements_at.get(node, ())
        for each in statements:
            if each.kind != "read" and not self.chance:
                columns = [(use, self._column(each, use)) for use in each.columns]
                known = [(use, value) for use, value in columns if value is not _AWAY]
                known.sort(key=lambda pair: self.when.get(_value_of(pair[0]), 0))
                self.effects.append(Effect(each, known, self.hazy))
        return bool(statements)

    def _column(self, statement: Statement, use: ColumnUse) -> object:
        node = _value_of(use)
        if node is None:
            return UNKNOWN
        if node in self.values:
            value = self.values[node]
        elif node.within is not statement.func or statement.node not in set(ir.ancestors(node)):
            return _AWAY
        else:
            value = UNKNOWN
        if value is UNKNOWN:
            return word_of(use.value, use.node) or UNKNOWN
        return value


_AWAY = object()
"""What is none of the things asked for, or not on this way."""


def _value_of(use: ColumnUse) -> ir.Node | None:
    return use.node.value if isinstance(use.node, ir.Prop) else use.node


def _matters(ctx: Context, func: ir.Func, depth: int) -> bool:
    """Whether a function, or one below it, asks the provider how work stands or touches rows."""
    if func in ctx.statements_under or func in ctx.once(askers):
        return True
    below = (each.node for call in ir.find(func, ir.Call) for each in ctx.program.functions_called(call))
    return depth > 0 and any(
        ctx.once(_matters, each, depth - 1) for each in below if isinstance(each, ir.Func)
    )
