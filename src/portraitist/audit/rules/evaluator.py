"""What expressions come to on one way through a program, as far as the source says: the part that all such walks share.

What a value of the outside is (a request, a session, a setting), and what calls give, each walk says for itself:
a Next middleware's in `open_ways.middleware_values`, a stranger's in `strangers`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module


class Mark:
    """Something of which only the kind is known."""

    def __init__(self, name: str) -> None:
        self.name = name


UNKNOWN = Mark("unknown")
NOBODY = Mark("nobody")
"""Whoever is signed in, a token or a session: there is none."""


class Value(NamedTuple):
    """What an expression is; `asked` where that depends on who asks."""

    what: object
    asked: bool = False


Names = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Closure:
    """A function and the names around it."""

    func: ir.Func
    module: Module
    names: Names


class GivenUpError(Exception):
    """The source says more than is followed here."""


EXPRESSIONS, LONG = 50_000, 10_000
"""Expressions looked at, and how long a text or a list may become; a source made to grow says nothing."""
SLOW = re.compile(r"\)[*+{]|([*+][^|]*){5}|([*+].*){12}", re.S)
"""Patterns over which a search may take for ever: a group that is repeated, or many repeated parts in a row."""
OPPOSITE = {"!==": "===", "!=": "===", "is not": "==="}
SAME = {"===", "==", "is", *OPPOSITE}


class Evaluator(ABC):
    """Evaluates expressions; members, calls, comparisons and the truth of marks are each walk's own."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.looked_at = 0

    @abstractmethod
    def truth(self, value: Value) -> bool | None:
        """Whether a value is true in a test; None where that is not known."""

    @abstractmethod
    def member(self, held: Value, name: str) -> Value:
        """`held.name`."""

    @abstractmethod
    def called(self, node: ir.Call, module: Module, names: Names) -> Value:
        """What a call gives."""

    @abstractmethod
    def same(self, left: object, right: object) -> bool | None:
        """Whether two things are the same; None where that is not known."""

    @abstractmethod
    def either(self, values: list[Value]) -> Value:
        """One of several values, as one."""

    def of(self, node: ir.Node, module: Module, names: Names) -> Value:
        """The value of an expression in a module, with the local `names`. Raises `GivenUpError`."""
        self.looked_at += 1
        if self.looked_at > EXPRESSIONS:
            raise GivenUpError
        kind = type(node)  # asked so often that `isinstance` would be felt
        if kind is ir.Name:
            return names[node.id] if node.id in names else self.named(node.id, module)  # type: ignore[attr-defined]
        if kind is ir.Attr:
            return self.attribute(node, module, names)  # type: ignore[arg-type]
        if kind is ir.Call:
            return self.called(node, module, names)  # type: ignore[arg-type]
        if kind is ir.Lit:
            return self.literal(node)  # type: ignore[arg-type]
        if kind is ir.Func:
            return Value(Closure(node, module, names))  # type: ignore[arg-type]
        if kind is ir.Bin:
            return self.operation(node, module, names)  # type: ignore[arg-type]
        if isinstance(node, ir.Cond):
            test = self.of(node.test, module, names)
            ways = {True: [node.then], False: [node.other], None: [node.then, node.other]}[self.truth(test)]
            found = [self.of(each, module, names) for each in ways]
            return self.either([Value(each.what, each.asked or test.asked) for each in found])
        return self.made(node, module, names)

    def literal(self, node: ir.Lit) -> Value:
        """What is written."""
        return Value(_pattern(str(node.value)) if node.kind == "regex" else node.value)

    def attribute(self, node: ir.Attr, module: Module, names: Names) -> Value:
        """`a.b`."""
        return self.member(self.of(node.obj, module, names), node.name)

    def made(self, node: ir.Node, module: Module, names: Names) -> Value:
        """A list, an object, a text with holes, a member by its key."""
        if isinstance(node, ir.Arr):
            items: list[Value] = []
            for each in node.items:
                inner = each.parts[0] if isinstance(each, ir.Other) and each.parts else each
                value = self.of(inner, module, names)
                items.extend(value.what if isinstance(value.what, list) and inner is not each else [value])
            return Value(bounded(items))
        if isinstance(node, ir.Obj) and not any(each.spread or each.key is None for each in node.props):
            return Value({each.key: self.of(each.value, module, names) for each in node.props})
        if isinstance(node, ir.Tmpl):
            return self.joined([self.of(each, module, names) for each in node.parts])
        if isinstance(node, ir.Index):
            held, key = self.of(node.obj, module, names), self.of(node.key, module, names)
            if isinstance(held.what, list) and isinstance(key.what, int) and key.what < len(held.what):
                found: Value = held.what[key.what]
                return found
            return Value(held.what if held.what is NOBODY else UNKNOWN, held.asked)
        return Value(UNKNOWN)

    def joined(self, parts: list[Value]) -> Value:
        """A text with holes."""
        known = all(isinstance(each.what, str) for each in parts)
        return Value(bounded("".join(str(each.what) for each in parts)) if known else UNKNOWN)

    def named(self, name: str, module: Module) -> Value:
        """A name of the module: a constant, a function, or one that another module exports."""
        if name == "undefined":
            return Value(None)
        for _ in range(4):
            bound = module.top.names.get(name, [])
            if len(bound) != 1:
                return Value(UNKNOWN)
            made = bound[0]
            if made.kind == "func" and isinstance(made.node, ir.Func):
                return Value(Closure(made.node, module, {}))
            if made.kind == "import" and isinstance(made.node, ir.Import):
                path = self.ctx.program.resolver.resolve(module.path, made.node.module, module.language)
                other = self.ctx.program.modules.get(path) if path else None
                if other is None:
                    return Value(UNKNOWN)
                module, name = other, _local(other, str(made.keys[0]))
                continue
            constant = made.value is not None and (made.decl == "const" or module.language == "python")
            return (
                self.constant(made.value, module) if constant and made.value is not None else Value(UNKNOWN)
            )
        return Value(UNKNOWN)

    def constant(self, node: ir.Node, module: Module) -> Value:
        """What a constant of a module is."""
        return self.of(node, module, {})

    def operation(self, node: ir.Bin, module: Module, names: Names) -> Value:
        """`not a`, `a and b`, `a + b`, `a == b`."""
        left = self.of(node.left, module, names)
        known = self.truth(left) if node.op in {"not", "and", "or"} else None
        if node.op == "not":
            return Value(UNKNOWN if known is None else not known, left.asked)
        if node.right is None:
            return Value(UNKNOWN, left.asked)
        if node.op in {"and", "or"} and known is not None and known is (node.op == "or"):
            return left
        right = self.of(node.right, module, names)
        asked = left.asked or right.asked
        if node.op in {"and", "or"}:
            if known is None and self.truth(right) is (node.op == "or"):
                return Value(node.op == "or", asked)
            return Value(UNKNOWN if known is None else right.what, asked)
        if node.op == "+" and isinstance(left.what, str) and isinstance(right.what, str):
            return Value(bounded(left.what + right.what))
        return self.compared(node.op, left, right)

    def compared(self, op: str, left: Value, right: Value) -> Value:
        """`a == b` and its opposite."""
        same = self.same(left.what, right.what) if op in SAME else None
        return Value(UNKNOWN if same is None else same is not (op in OPPOSITE), left.asked or right.asked)


def _local(module: Module, exported: str) -> str:
    """The name in its own module of what a module exports."""
    held = module.exports.get(exported, exported)
    return held if isinstance(held, str) else exported


def bounded(made: str | list[Value]) -> str | list[Value]:
    """A text or a list as it is. Raises `GivenUpError` where it has grown too long."""
    if len(made) > LONG:
        raise GivenUpError
    return made


def _pattern(text: str) -> object:
    """A regular expression as it stands in the source, or `UNKNOWN` where Python reads it otherwise or too slowly."""
    body, _, flags = text[1:].rpartition("/")
    if SLOW.search(body):
        return UNKNOWN
    try:
        return re.compile(body.replace("\\/", "/"), re.I if "i" in flags else 0)
    except (re.error, OverflowError):
        return UNKNOWN


def is_optional(node: ir.Attr | ir.Index) -> bool:
    """Whether a chain breaks off before this link where something of it is nothing: `a?.b.c`."""
    part: ir.Node = node
    while isinstance(part, ir.Attr | ir.Index | ir.Call):
        if not isinstance(part, ir.Call) and part.maybe:
            return True
        part = part.func if isinstance(part, ir.Call) else part.obj
    return False
