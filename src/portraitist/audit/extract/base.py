"""What the converters share: the byte source, line numbers, error spans, limits of depth and of the parser's work.

Knows tree-sitter nodes; knows no language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from tree_sitter import Language, Parser
from tree_sitter import Node as Syntax

from portraitist.audit import ir
from portraitist.audit.extract import probe

MAX_DEPTH = 220
"""Nesting beyond this is hostile or generated; it becomes an empty `Other`."""


Method = Callable[[Any, Syntax], ir.Node]
"""A method of a converter: the `ir` node of one syntax node."""

Table = dict[str, Method]
"""By node type: the method that converts it."""

_ERROR = 65535
"""The kind of what the parser could not read; no grammar lists it."""

_CHUNK = 4096
"""So many bytes the parser is handed at once."""

_STEPS, _BYTES_FOR_A_STEP = 500, 8
"""What a parse may take: so many steps, and one more for so many bytes.

A step is a hundred of the parser's moves, or a chunk read. Of 13,669 public files and 132,551 damaged ones none that
ends takes half of it; damage sets the parser's recovery going round in a circle in one file of 60,000.
"""


class TooDamagedError(Exception):
    """The parser found no end to its own recovery from what is wrong in a source."""


class Grammar:
    """One language: its parser, and the method for each kind of named node but comments, by the kind's number.

    Numbers instead of names because every node is looked up; a kind that is not in `methods` is left out.
    """

    def __init__(self, language: Language, table: Table) -> None:
        self._parser = Parser(language)
        self.methods: dict[int, Method] = {_ERROR: Converter.other}
        for kind in range(language.node_kind_count):
            name = language.node_kind_for_id(kind)
            if name is not None and name != "comment" and language.node_kind_is_named(kind):
                self.methods[kind] = table.get(name, Converter.other)

    def parse(self, source: bytes) -> Syntax:
        """The root of the tree of `source`.

        Raises `TooDamagedError` by a count of steps, the same in every run, and where `probe` finds no end.
        """
        if probe.is_endless(source, self._tree):
            raise TooDamagedError
        return self._tree(source)

    def _tree(self, source: bytes) -> Syntax:
        left = _STEPS + len(source) // _BYTES_FOR_A_STEP

        def read(offset: int, _: object) -> bytes:
            nonlocal left
            left -= 1
            return source[offset : offset + _CHUNK] if left > 0 else b""

        def is_over(_: int, __: bool) -> bool:
            nonlocal left
            left -= 1
            return left <= 0

        try:
            root = self._parser.parse(read, progress_callback=is_over).root_node
        except ValueError:  # "Parsing failed": it was stopped
            left = 0
        if left <= 0:
            self._parser.reset()
            raise TooDamagedError
        return root


class Converter:
    """Turns syntax nodes into `ir` nodes through a grammar's table of methods.

    `chars` is the source with one character for each byte, so that byte offsets cut it. A method reads
    `node.children` where it can: one list is cheaper than a question for each field.
    """

    TABLE: ClassVar[Table] = {}

    def __init__(self, source: bytes, methods: dict[int, Method]) -> None:
        self.chars = source.decode("latin-1")
        self.methods = methods
        self.depth = 0

    def text(self, node: Syntax) -> str:
        """The source text of `node`."""
        return self.cut(node.start_byte, node.end_byte)

    def cut(self, start: int, end: int) -> str:
        """The source text between two byte offsets."""
        found = self.chars[start:end]
        return found if found.isascii() else found.encode("latin-1").decode("utf-8", "replace")

    def convert(self, node: Syntax | None) -> ir.Node:
        """The `ir` node of any statement or expression; unknown syntax keeps its parts."""
        if node is None:
            return ir.Other(0, 0, [])
        depth = self.depth
        if depth > MAX_DEPTH:
            return ir.Other(*self.span(node), [], "too-deep")
        self.depth = depth + 1
        made = self.methods.get(node.kind_id, _other)(self, node)
        self.depth = depth
        return made

    def many(self, nodes: Iterable[Syntax]) -> list[ir.Node]:
        """Converted nodes; comments and tokens without a name of their own are left out."""
        depth, methods = self.depth, self.methods
        if depth > MAX_DEPTH:
            return [self.convert(each) for each in nodes if each.kind_id in methods]
        self.depth = depth + 1
        made = [method(self, each) for each in nodes if (method := methods.get(each.kind_id)) is not None]
        self.depth = depth
        return made

    @staticmethod
    def reached(body: list[ir.Node]) -> list[ir.Node]:
        """The statements of a block up to a sure way out: behind it nothing runs, but functions are named there."""
        for at, each in enumerate(body):
            if type(each) in _LEAVING and _leaves(each):
                if at + 1 < len(body):
                    return [*body[: at + 1], *(one for one in body[at + 1 :] if isinstance(one, ir.Func))]
                break
        return body

    def named(self, node: Syntax) -> list[Syntax]:
        """The children of `node` but comments and tokens without a name."""
        methods = self.methods
        return [each for each in node.children if each.kind_id in methods]

    def other(self, node: Syntax) -> ir.Node:
        """Syntax that is not modelled: its named children, in order."""
        return ir.Other(*self.span(node), self.many(node.children), node.type)

    def skip(self, node: Syntax) -> ir.Node:
        """Syntax that says nothing at run time."""
        return ir.Other(*self.span(node), [], node.type)

    def inner(self, node: Syntax) -> ir.Node:
        """The first named child in place of its wrapper (parentheses, await, casts)."""
        child = node.named_child(0) if node.named_child_count else None
        while child is not None and child.kind_id not in self.methods:
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


_other = Converter.other


_LEAVING = {ir.Return, ir.If, ir.Try}


def _leaves(node: ir.Node) -> bool:
    """Whether a statement never goes on to the next: a way out, a choice or an attempt all of whose ends are one."""
    if isinstance(node, ir.If):
        return _ends(node.then) and _ends(node.other)
    if isinstance(node, ir.Try):
        return _ends(node.body) and all(_ends(each.body) for each in node.handlers)
    return type(node) is ir.Return


def _ends(body: list[ir.Node]) -> bool:
    return bool(body) and _leaves(body[-1])


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
