"""What an expression surely is where something has failed: the error itself, nothing, a literal, a refusal.

What is not known is None. The ways through statements are followed in `walk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.rules.base import last_name


class Sure(NamedTuple):
    """What an expression surely is: a literal, a mark, the known entries of an object, or a tuple for a list."""

    value: object


class _Mark:
    """Something true of which only the kind is known."""


class Partly(dict[str, Sure]):
    """The known entries of an object that has others."""


ERROR, TEXT, REFUSED = _Mark(), _Mark(), _Mark()
"""What was caught or what an answer tells of its failure, something true, and the status of an answer that refuses."""
NOTHING = Sure(None)
REFUSAL = Sure(
    Partly(ok=Sure(False), status=Sure(REFUSED), status_code=Sure(REFUSED), is_success=Sure(False))
)
UNSTORED = Sure(Partly(data=NOTHING, error=Sure(ERROR), count=NOTHING))
"""An answer over HTTP that refuses, and the answer of Supabase's client where a statement fails."""
Given = Mapping[ir.Node, Sure | None]
"""What calls give where they fail."""
_EQUAL, _UNEQUAL = {"==", "===", "is"}, {"!=", "!==", "is not"}
_REFUSES = 400


class Values:
    """Evaluates expressions with what calls give; `python` says what is empty there and true in JavaScript."""

    def __init__(self, given: Given, *, python: bool) -> None:
        self.given, self.python = given, python

    def truth(self, value: Sure | None) -> bool | None:
        """Whether a value holds in a test; None where that is not known."""
        if value is None:
            return None
        if isinstance(value.value, dict | tuple) and not self.python:
            return True
        return bool(value.value)

    def of(self, node: ir.Node | None, names: Mapping[str, Sure]) -> Sure | None:
        """What an expression surely is with these variables, else None; no expression is nothing."""
        if node is None:
            return NOTHING
        if node in self.given:
            return self.given[node]
        if isinstance(node, ir.Name):
            return names.get(node.id)
        if isinstance(node, ir.Lit | ir.Tmpl | ir.Obj | ir.Arr):
            return self._written(node, names)
        if isinstance(node, ir.Attr | ir.Index):
            return self._member(node, names)
        if isinstance(node, ir.Call):
            return self._called(node, names)
        return self._joined(node, names)

    def _written(self, node: ir.Node, names: Mapping[str, Sure]) -> Sure | None:
        """A literal of any kind."""
        if isinstance(node, ir.Lit):
            return Sure(node.value)
        if isinstance(node, ir.Arr):
            return Sure(tuple(self.of(each, names) for each in node.items))
        if isinstance(node, ir.Obj):
            known = {each.key: self.of(each.value, names) for each in node.props if each.key is not None}
            return None if any(each.spread for each in node.props) else Sure(known)
        says = any(isinstance(each, ir.Lit) and each.value for each in node.children())
        return Sure(TEXT) if says else None

    def _joined(self, node: ir.Node, names: Mapping[str, Sure]) -> Sure | None:
        """`a ? b : c`, `a or b`, and what stands in brackets."""
        if isinstance(node, ir.Cond):
            known = self.truth(self.of(node.test, names))
            if known is None:
                either = {self.truth(self.of(each, names)) for each in (node.then, node.other)}
                return Sure(TEXT) if either == {True} else None
            return self.of(node.then if known else node.other, names)
        if isinstance(node, ir.Bin):
            return self._operation(node, names)
        inside = node.parts if isinstance(node, ir.Other) else []
        return self.of(inside[0], names) if len(inside) == 1 else None

    def _member(self, node: ir.Attr | ir.Index, names: Mapping[str, Sure]) -> Sure | None:
        key = node.name if isinstance(node, ir.Attr) else ir.text_of(node.key)
        value = self.of(node.obj, names)
        if value is None or key is None:
            return None
        if value.value is ERROR:
            return value
        if value.value is None:
            return NOTHING if node.maybe else None
        if key == "length" and isinstance(value.value, tuple):
            return Sure(len(value.value))
        return member(value, key)

    def _called(self, node: ir.Call, names: Mapping[str, Sure]) -> Sure | None:
        """`answer.get("x")`, `len(rows)`, `bool(row)`, `str(error)`."""
        name = last_name(node.func)
        if any(each == Sure(ERROR) for each in (self.of(one, names) for one in node.args)):
            return Sure(ERROR)
        if isinstance(node.func, ir.Attr) and name == "get" and node.args:
            key, value = ir.text_of(node.args[0]), self.of(node.func.obj, names)
            return member(value, key) if key is not None else None
        if not isinstance(node.func, ir.Name) or len(node.args) != 1:
            return None
        value = self.of(node.args[0], names)
        if name == "len" and value is not None:
            return Sure(len(value.value)) if isinstance(value.value, tuple | dict | str) else None
        known = self.truth(value) if name in {"bool", "Boolean"} else None
        return None if known is None else Sure(known)

    def _operation(self, node: ir.Bin, names: Mapping[str, Sure]) -> Sure | None:
        left = self.of(node.left, names)
        if node.right is None or node.op in {"not", "!"}:
            known = self.truth(left) if node.op in {"not", "!"} else None
            return None if known is None else Sure(not known)
        right = self.of(node.right, names)
        if node.op in {"and", "or"}:
            known, stops = self.truth(left), node.op == "or"
            if known is None:
                return right if self.truth(right) is stops else None
            return left if known is stops else right
        if node.op == "??" and left is not None:
            return right if left.value is None else left
        return None if left is None or right is None else _compared(node.op, left.value, right.value)


def _compared(op: str, one: object, two: object) -> Sure | None:
    if one is REFUSED:
        return _refused(op, two)
    if op in _EQUAL | _UNEQUAL:
        things = [each for each in (one, two) if isinstance(each, dict | _Mark | tuple)]
        if things:
            other = two if things[0] is one else one
            return Sure(op in _UNEQUAL) if other is None else None
        return Sure((one == two) is (op in _EQUAL))
    if op in {"<", "<=", ">", ">="} and isinstance(one, int | float) and isinstance(two, int | float):
        return Sure({"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}[op])
    return None


def _refused(op: str, number: object) -> Sure | None:
    """A status of 400 or more, compared with a number."""
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if op in _EQUAL | _UNEQUAL:
        return Sure(op in _UNEQUAL) if number < _REFUSES else None
    return Sure(op in {">", ">="}) if number <= _REFUSES else None


def member(value: Sure | None, key: str) -> Sure | None:
    """An entry of what is known; what an object's literal does not name is nothing."""
    if value is None or not isinstance(value.value, dict):
        return None
    known: dict[str, Sure | None] = value.value
    return known.get(key) if isinstance(known, Partly) else known.get(key, NOTHING)
