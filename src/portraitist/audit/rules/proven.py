"""What is known to be there at a place: by the tests around it, and by the ways out before it.

Only tests of the thing itself count: `if (!x) { …; return }`, `x && …`. What a name holds is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.rules.syntax import is_way_out

_EQUAL = {"==", "===", "is"}
_UNEQUAL = {"!=", "!==", "is not"}


def proven(node: ir.Node) -> Iterator[ir.Node]:
    """The expressions that are something wherever `node` is reached, as far as its function and callbacks in it say."""
    inner = node
    for each in ir.ancestors(node):
        if isinstance(each, ir.If | ir.Cond):
            then = each.then if isinstance(each.then, list) else [each.then]
            other = each.other if isinstance(each.other, list) else [each.other]
            if inner in then:
                yield from _known(each.test, holds=True)
            elif inner in other:
                yield from _known(each.test, holds=False)
        elif isinstance(each, ir.Bin) and each.op == "and" and inner is each.right:
            yield from _known(each.left, holds=True)
        for before in _before(each, inner):
            if isinstance(before, ir.If) and before.then and not before.other and is_way_out(before.then[-1]):
                yield from _known(before.test, holds=False)
        if isinstance(each, ir.Func) and not isinstance(each.parent, ir.Call):
            return
        inner = each


def is_proven(node: ir.Node | None) -> bool:
    """Whether a variable, or a member of one, is known to be there where it is used."""
    name = ir.plain_dotted(node) if isinstance(node, ir.Name | ir.Attr) else ""
    return node is not None and name != "" and any(ir.plain_dotted(each) == name for each in proven(node))


def _before(block: ir.Node, inner: ir.Node) -> list[ir.Node]:
    """The statements before one in the same list of a block."""
    lists = [block.parts] if isinstance(block, ir.Other) else ir.bodies_of(block)
    return next((body[: body.index(inner)] for body in lists if inner in body), [])


def _known(test: ir.Node, *, holds: bool) -> Iterator[ir.Node]:
    """What is there where a test holds, or where it does not."""
    if isinstance(test, ir.Bin) and test.op == ("and" if holds else "or") and test.right is not None:
        yield from _known(test.left, holds=holds)
        yield from _known(test.right, holds=holds)
    elif isinstance(test, ir.Bin) and test.op == "not":
        yield from _known(test.left, holds=not holds)
    elif isinstance(test, ir.Bin) and test.op in (_UNEQUAL if holds else _EQUAL) and _is_none(test.right):
        yield test.left
    elif holds and isinstance(test, ir.Name | ir.Attr):
        yield test
        if isinstance(test, ir.Attr):
            yield from _known(test.obj, holds=holds)


def _is_none(node: ir.Node | None) -> bool:
    return isinstance(node, ir.Lit) and node.value is None
