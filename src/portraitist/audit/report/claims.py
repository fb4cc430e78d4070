"""Rows of the report: text built from facts, with the places it cites; checked and cut to a word budget.

A cited line is read again and must hold its token, else the row is dropped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from portraitist.audit.facts.database import snake
from portraitist.audit.model import Fact, Place
from portraitist.audit.source import Tree


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report and the (place, token) pairs it cites; an empty token only needs the line."""

    text: str
    cites: tuple[tuple[Place, str], ...] = ()


@dataclass(slots=True)
class Block:
    """Rows in order of importance under fixed head lines; `share` is its part of the section's words."""

    head: list[str]
    rows: list[Row]
    share: float = 1.0
    empty: str = ""


@dataclass(slots=True)
class Section:
    """A numbered section of the report."""

    title: str
    words: int
    blocks: list[Block] = field(default_factory=list)


class Citations:
    """Looks cited lines up in the audited tree."""

    def __init__(self, tree: Tree) -> None:
        self.texts = {each.path: each.text for each in (*tree.files, *tree.others)}
        self.lines: dict[str, list[str]] = {}
        self.dropped: list[dict[str, object]] = []

    def holds(self, place: Place, token: str) -> bool:
        """Whether the line exists and shows the token, in camel or snake spelling."""
        lines = self._lines(place.path)
        if lines is None or not 0 < place.line <= max(len(lines), 1):
            return False
        text = lines[place.line - 1]
        return not token or token.lower() in text.lower() or snake(token) in snake(text)

    def _lines(self, path: str) -> list[str] | None:
        if path not in self.lines and path in self.texts:
            self.lines[path] = self.texts[path].split("\n")
        return self.lines.get(path)

    def check(self, row: Row) -> bool:
        """Whether every citation of a row holds; a failing row is recorded as dropped."""
        for place, token in row.cites:
            if not self.holds(place, token):
                self.dropped.append(
                    {"path": place.path, "line": place.line, "token": token, "claim": row.text[:200]}
                )
                return False
        return True


def words(text: str) -> int:
    """Whitespace tokens, tables included."""
    return len(text.split())


def render(sections: list[Section], citations: Citations) -> str:
    """The report; words that a section does not need flow on to the next ones."""
    out: list[str] = []
    spare = 0
    for section in sections:
        budget = section.words + spare
        text = _section(section, budget, citations)
        spare = budget - words(text)
        out.append(text)
    return "\n\n".join(out) + "\n"


def _section(section: Section, budget: int, citations: Citations) -> str:
    lines = [f"## {section.title}", ""]
    left = budget - words(section.title) - 1
    blocks = [each for each in section.blocks if each.rows or each.empty]
    shares = sum(each.share for each in blocks)
    for block in blocks:
        allowed = left if block is blocks[-1] else int(left * block.share / max(shares, 0.01))
        shares -= block.share
        made = _block(block, allowed, citations)
        left -= words("\n".join(made))
        lines.extend([*made, ""])
    if not blocks:
        lines.extend(["Nothing found.", ""])
    return "\n".join(lines).rstrip()


def _block(block: Block, allowed: int, citations: Citations) -> list[str]:
    rows = [each for each in dict.fromkeys(block.rows) if citations.check(each)]
    if not rows:
        return [block.empty] if block.empty else []
    lines = list(block.head)
    left = allowed - words("\n".join(block.head)) - 4
    shown = 0
    for row in rows:
        cost = words(row.text)
        if cost > left:
            break
        lines.append(row.text)
        left -= cost
        shown += 1
    if shown < len(rows):
        table = bool(block.head) and block.head[-1].startswith("|")
        lines.extend(["", f"+{len(rows) - shown} more"] if table else [f"- +{len(rows) - shown} more"])
    return lines


_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


def code(text: object, limit: int = 90) -> str:
    """Source text as an inline code span that cannot break out of it or of a table."""
    shown = _DIGEST.sub(r"\1…", re.sub(r"\s+", " ", str(text))).replace("`", "'").replace("|", "¦")
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else "·" for each in shown)
    return f"`{shown if len(shown) <= limit else shown[: limit - 1] + '…'}`"


def at(place: Place) -> str:
    """`path:line`, safe in markdown."""
    return code(place, 200)


def cite(fact: Fact, citations: Citations) -> tuple[Place, str]:
    """The place to cite for a fact: its line, or the line inside it or in its evidence that shows the token."""
    if citations.holds(fact.place, fact.shows):
        return fact.place, fact.shows
    for line in range(fact.line, min(fact.end_line, fact.line + 60) + 1):
        place = Place(fact.path, line)
        if citations.holds(place, fact.shows):
            return place, fact.shows
    for place in fact.evidence:
        if citations.holds(place, fact.shows):
            return place, fact.shows
    return fact.place, fact.shows


def several(places: Iterable[Place], limit: int = 4) -> str:
    """Places in one cell: grouped by file, at most `limit` of them."""
    listed = list(dict.fromkeys(places))
    by_path: dict[str, list[int]] = {}
    for each in listed[:limit]:
        by_path.setdefault(each.path, []).append(each.line)
    shown = ", ".join(code(f"{path}:{','.join(map(str, lines))}", 200) for path, lines in by_path.items())
    return shown + (f" +{len(listed) - limit}" if len(listed) > limit else "")
