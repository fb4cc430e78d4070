"""What expressions come to on the way, for one answer of the provider: names, members, tests, objects.

Calls are in `calls`, statements in `walk`; what a value is, in `values`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.rules.answers.values import (
    OUTPUT,
    ROW,
    RUN,
    SOME,
    TAKEN,
    Told,
    compared,
    contains,
    either,
    kind_of,
    member,
    of_output,
    truth,
)
from portraitist.audit.rules.evaluator import UNKNOWN, is_optional

STEPS = 20_000
"""Expressions and statements looked at; more says nothing."""
BODY = {"json", "get_json", "body", "rawBody"}
Names = dict[str, object]


class GivenUpError(Exception):
    """The source says more than is followed here."""


class Expressions(ABC):
    """Evaluates expressions for one answer; `hears` where the function is the handler of the provider's webhooks."""

    def __init__(self, ctx: Context, told: Told, *, hears: bool) -> None:
        self.ctx, self.told, self.hears = ctx, told, hears
        self.values: dict[ir.Node, object] = {}
        self.when: dict[ir.Node | None, int] = {}
        self.stack: list[ir.Func] = []
        self.steps = 0

    @abstractmethod
    def called(self, node: ir.Call, names: Names) -> object:
        """What a call gives."""

    @abstractmethod
    def record(self, node: ir.Node) -> bool:
        """Notes what a statement of the database writes here; whether the node is one."""

    def step(self) -> None:
        """Counts what is looked at. Raises `GivenUpError`."""
        self.steps += 1
        if self.steps > STEPS:
            raise GivenUpError

    def in_handler(self) -> bool:
        """Whether this is the webhooks' handler itself, or a function written in it."""
        return self.hears and len(self.stack) < _NEAR

    def of(self, node: ir.Node, names: Names) -> object:
        """What an expression comes to."""
        self.step()
        found = self._plain(node, names)
        if found is UNKNOWN and isinstance(node, ir.Name | ir.Attr):
            return self._by_use(node)
        return found

    def _plain(self, node: ir.Node, names: Names) -> object:
        if isinstance(node, ir.Lit):
            return node.value
        if isinstance(node, ir.Name):
            return names[node.id] if node.id in names else self._named(node)
        if isinstance(node, ir.Call):
            return self.called(node, names)
        if isinstance(node, ir.Attr):
            held = self.of(node.obj, names)
            if held is UNKNOWN and self.in_handler() and node.name in BODY:
                return RUN
            return member(self.told, held, node.name, maybe=node.maybe or is_optional(node))
        if isinstance(node, ir.Index):
            held, key = self.of(node.obj, names), self.of(node.key, names)
            if isinstance(key, str | int):
                return member(self.told, held, key, maybe=node.maybe or is_optional(node))
            return held if held is OUTPUT or held is TAKEN or held is ROW else UNKNOWN
        if isinstance(node, ir.Bin):
            return self._operation(node, names)
        if isinstance(node, ir.Cond):
            test = self.of(node.test, names)
            known = truth(test)
            if known is not None:
                return self.of(node.then if known else node.other, names)
            return either(self.of(node.then, names), self.of(node.other, names))
        if isinstance(node, ir.Assign):
            return self._assigned(node, names)
        return self._made(node, names)

    def _made(self, node: ir.Node, names: Names) -> object:
        if isinstance(node, ir.Obj):
            made: dict[str | None, object] = {}
            for prop in node.props:
                value = self.of(prop.value, names)
                self.keep(prop.value, value)
                if prop.key is None or prop.spread:
                    made.update(
                        value if isinstance(value, dict) else {None: value if value is RUN else UNKNOWN}
                    )
                else:
                    made[prop.key] = value
            return made
        if isinstance(node, ir.Arr):
            items = [self.of(each, names) for each in node.items]
            return items if not any(isinstance(each, ir.Other) for each in node.items) else SOME
        if isinstance(node, ir.Tmpl):
            parts = [self.of(each, names) for each in node.parts]
            plain = all(isinstance(each, str) for each in parts)
            return "".join(map(str, parts)) if plain else TAKEN if any(map(of_output, parts)) else SOME
        if isinstance(node, ir.Func):
            return SOME
        found: object = UNKNOWN
        for each in node.children():
            value = self.of(each, names) if not isinstance(each, ir.Loop) else UNKNOWN
            found = TAKEN if of_output(value) else found
        return found

    def _named(self, node: ir.Name) -> object:
        """A name of the file: a constant of it."""
        module = self._module()
        if node.id == "undefined" or module is None:
            return None if node.id == "undefined" else UNKNOWN
        for _ in range(3):
            bound = module.top.names.get(node.id, [])
            if len(bound) != 1:
                return UNKNOWN
            made = bound[0]
            if made.kind == "import" and isinstance(made.node, ir.Import):
                path = self.ctx.program.resolver.resolve(module.path, made.node.module, module.language)
                other = self.ctx.program.modules.get(path) if path else None
                if other is None:
                    return UNKNOWN
                module = other
                continue
            plain = isinstance(made.value, ir.Lit | ir.Obj | ir.Arr)
            return self.of(made.value, {}) if plain and made.value is not None and not made.keys else UNKNOWN
        return UNKNOWN

    def _module(self) -> Module | None:
        return self.ctx.program.module_of.get(self.stack[-1]) if self.stack else None

    def _by_use(self, node: ir.Node) -> object:
        """What is compared with a word of the provider's own is its state; what that is a member of is its answer."""
        name = ir.plain_dotted(node)
        states = self.ctx.once(_compared_in, self.stack[-1]) if name and self.stack else frozenset()
        if name in states:
            return None if self.told.refused else self.told.status
        if isinstance(node, ir.Attr) and f"{ir.plain_dotted(node.obj)}.status" in states:
            return member(self.told, RUN, node.name)
        return RUN if any(each == f"{name}.status" for each in states) else UNKNOWN

    def _operation(self, node: ir.Bin, names: Names) -> object:
        left = self.of(node.left, names)
        known = truth(left)
        if node.op == "not":
            return (TAKEN if of_output(left) else UNKNOWN) if known is None else not known
        if node.op == "typeof":
            return TAKEN if left is TAKEN or left is OUTPUT else kind_of(left)
        if node.right is None:
            return UNKNOWN
        if node.op in {"and", "or"}:
            if known is not None and known is (node.op == "or"):
                return left
            right = self.of(node.right, names)
            if known is not None:
                return right
            if truth(right) is (node.op == "or"):
                return right
            return TAKEN if of_output(left) or of_output(right) else UNKNOWN
        right = self.of(node.right, names)
        if node.op in {"in", "not in"}:
            found = contains(right, left) if not isinstance(right, str) else UNKNOWN
            return found if node.op == "in" or not isinstance(found, bool) else not found
        if node.op == ">" and left == 0 and right == 0:
            return False
        if node.op in {">", ">=", "<", "<="} and isinstance(left, int) and isinstance(right, int):
            return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[node.op]
        if node.op == "instanceof":
            return TAKEN if of_output(left) else UNKNOWN
        return compared(node.op, left, right)

    def _assigned(self, node: ir.Assign, names: Names) -> object:
        value = self.of(node.value, names) if node.value is not None else None
        if node.value is not None:
            self.keep(node.value, value)
        if node.op != "=":
            value = either(UNKNOWN, value)
        target = node.target
        if isinstance(target, ir.Attr | ir.Index):
            held = names.get(target.obj.id) if isinstance(target.obj, ir.Name) else None
            key = target.name if isinstance(target, ir.Attr) else ir.text_of(target.key)
            if isinstance(held, dict) and isinstance(target.obj, ir.Name):
                names[target.obj.id] = {**held, key: value}
            self.record(node)
        elif node.decl != "field":
            self.bind(names, target, value)
        return value

    def bind(self, names: Names, target: ir.Node, value: object) -> None:
        if isinstance(target, ir.Name):
            names[target.id] = value
        elif isinstance(target, ir.Obj):
            for prop in target.props:
                part: object = UNKNOWN
                if prop.key is not None and not prop.spread:
                    part = member(self.told, value, prop.key, maybe=True)
                self.bind(names, prop.value, part)
        elif isinstance(target, ir.Arr):
            for position, each in enumerate(target.items):
                self.bind(names, each, member(self.told, value, position, maybe=True))

    def keep(self, node: ir.Node, value: object) -> None:
        """Keeps what an entry of an object, or an assigned value, comes to on this way, and when."""
        self.values[node] = value
        self.when[node] = self.steps


_NEAR = 3


def _compared_in(_ctx: Context, func: ir.Func) -> frozenset[str]:
    """What a function compares with a word that the provider alone says: `prediction.status === "succeeded"`."""
    found: set[str] = set()
    for lit in ir.find(func, ir.Lit):
        test = lit.parent
        if lit.value not in {"succeeded", "canceled"}:
            continue
        if isinstance(test, ir.Bin) and test.right is lit:
            found.add(ir.plain_dotted(test.left))
        if (
            isinstance(test, ir.Arr)
            and isinstance(test.parent, ir.Bin)
            and test.parent.op in {"in", "not in"}
        ):
            found.add(ir.plain_dotted(test.parent.left))
        around = test.parent.parent if isinstance(test, ir.Arr) and test.parent is not None else None
        if isinstance(around, ir.Call) and len(around.args) == 1:
            found.add(ir.plain_dotted(around.args[0]))
    return frozenset(found - {""})
