"""What the converters share: the byte source, line numbers, depth limits and error spans.

Knows tree-sitter nodes; knows no language.
"""

from __future__ import annotations

from collections.abc import Callable

from tree_sitter import Node as Syntax

from portraitist.audit import ir

MAX_DEPTH = 220
"""Nesting beyond this is hostile or generated; it becomes an empty `Other` and is counted."""


class Converter:
    """Turns syntax nodes into `ir` nodes through a table of methods, by node type."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.depth = 0
        self.too_deep = 0
        self.table: dict[str, Callable[[Syntax], ir.Node]] = {}

    def text(self, node: Syntax) -> str:
        """The source text of `node`."""
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def convert(self, node: Syntax | None) -> ir.Node:
        """The `ir` node of any statement or expression; unknown syntax keeps its parts."""
        if node is None:
            return ir.Other(0, 0, [])
        if self.depth > MAX_DEPTH:
            self.too_deep += 1
            return ir.Other(*self.span(node), [], "too-deep")
        self.depth += 1
        method = self.table.get(node.type)
        made = method(node) if method is not None else self.other(node)
        self.depth -= 1
        return made

    def many(self, nodes: list[Syntax]) -> list[ir.Node]:
        """Converted nodes, comments left out."""
        return [self.convert(each) for each in nodes if each.type != "comment"]

    def other(self, node: Syntax) -> ir.Node:
        """Syntax that is not modelled: its named children, in order."""
        return ir.Other(*self.span(node), self.many(node.named_children), node.type)

    def skip(self, node: Syntax) -> ir.Node:
        """Syntax that says nothing at run time."""
        return ir.Other(*self.span(node), [], node.type)

    def inner(self, node: Syntax) -> ir.Node:
        """The first named child in place of its wrapper (parentheses, await, casts)."""
        child = node.named_child(0) if node.named_child_count else None
        while child is not None and child.type == "comment":
            child = child.next_named_sibling
        return self.convert(child) if child is not None else self.skip(node)

    @staticmethod
    def span(node: Syntax) -> tuple[int, int]:
        """First and last line, 1-based."""
        return node.start_point[0] + 1, node.end_point[0] + 1

    def concat(self, node: Syntax, left: ir.Node, right: ir.Node) -> ir.Node:
        """`left + right`: flattened text when either side is text, else an operation."""
        if not (_is_text(left) or _is_text(right)):
            return ir.Bin(*self.span(node), "+", left, right)
        parts = [*_parts(left), *_parts(right)]
        return ir.Tmpl(*self.span(node), parts)


def _is_text(node: ir.Node) -> bool:
    return isinstance(node, ir.Tmpl) or (isinstance(node, ir.Lit) and isinstance(node.value, str))


def _parts(node: ir.Node) -> list[ir.Node]:
    return node.parts if isinstance(node, ir.Tmpl) else [node]


def error_spans(root: Syntax) -> list[tuple[int, int]]:
    """Line spans of syntax the parser could not read: ERROR and MISSING nodes, outermost ones only."""
    if not root.has_error:
        return []
    spans: list[tuple[int, int]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "ERROR" or node.is_missing:
            spans.append((node.start_point[0] + 1, node.end_point[0] + 1))
        elif node.has_error:
            stack.extend(node.children)
    return sorted(spans)
