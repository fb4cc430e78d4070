"""Where a file's nodes stand: what lies below a node, and those of one type among it, found without walking.

Filled by `link.module`, asked by `ir.walk` and `ir.find`; knows nothing of scopes or meaning.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portraitist.audit.ir import Node


class Order:
    """A file's nodes in source order, each with all that lies below it right behind it.

    `places` says by type at which positions its nodes stand. A node that stands at several has the last as `first`.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.places: defaultdict[type[Node], list[int]] = defaultdict(list)
        self._ends: dict[Node, int] = {}
        self._kinds: dict[tuple[Node, type[Node]], list[Node]] = {}

    def below(self, node: Node) -> list[Node]:
        """`node` and everything below it."""
        return self.nodes[node.first : self._end(node) + 1]

    def kind_below(self, node: Node, kind: type[Node]) -> list[Node]:
        """Every node of `kind` at or below `node`; a list that is kept, for nobody to change."""
        found = self._kinds.get((node, kind))
        if found is None:
            places, nodes = self.places.get(kind, []), self.nodes
            start = bisect_left(places, node.first)
            end = bisect_right(places, self._end(node), start)
            found = self._kinds[node, kind] = [nodes[each] for each in places[start:end]]
        return found

    def _end(self, node: Node) -> int:
        """The position of the last node below `node`."""
        end = self._ends.get(node)
        if end is None:
            last = node
            while below := last.children():
                last = below[-1]
            end = self._ends[node] = last.first
        return end
