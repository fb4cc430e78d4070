"""Which words a column admits by its definition: enum types, lists in CHECK constraints, enums of models.

SQL files are read in their order, and a column is left alone where files differ on whether it is bound at all. What
writes other words is in `refused_values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from portraitist.audit.facts import sql
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.schema import ALTERED, CREATED
from portraitist.audit.model import LIVE_ROLES, Place
from portraitist.audit.rules.columns.model_enums import of_models

_NAME = r"(?:\"?\w+\"?\s*\.\s*)?\"?(?P<{}>\w+)\"?"
_ENUM = re.compile(
    rf"{sql.first('create')}\s+type\s+{_NAME.format('name')}\s+as\s+enum\s*\((?P<list>[^)]*)\)", re.I
)
_VALUE = re.compile(
    rf"{sql.first('alter')}\s+type\s+{_NAME.format('name')}\s+(?:add\s+value\s+(?:if\s+not\s+exists\s+)?'(?P<added>[^']*)'"
    r"|rename\s+value\s+'(?P<old>[^']*)'\s+to\s+'(?P<new>[^']*)'|rename\s+to\s+\"?(?P<name_after>\w+)\"?)",
    re.I,
)
_GONE = re.compile(
    rf"{sql.first('drop')}\s+table\s+(?:if\s+exists\s+)?{_NAME.format('table')}(?=\s*(?:cascade|restrict)?\s*;)",
    re.I,
)
_CHECK = re.compile(r"(?:\bconstraint\s+\"?(?P<name>\w+)\"?\s+)?\bcheck\s*\(", re.I)
_LISTED = re.compile(
    r"[\s(]*(?:\"?\w+\"?\s+is\s+null\s+or[\s(]*)?\"?(?P<column>\w+)\"?\s*\)?\s*(?:::\s*\w+\s*)?"
    r"(?:in\s*\(|=\s*any\s*\(+\s*array\s*\[)(?P<list>[^()\[\]]*)[\])\s]*(?:::\s*[\w ]+\[?[\])\s]*)*"
    r"(?:or\s+[\"\w]+\s+is\s+null[)\s]*)?",
    re.I,
)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_CAST = re.compile(r"::\s*[\w \".]+")
_INLINE = re.compile(r"enum\s*\((?P<list>[^)]*)\)", re.I)
_ADD = re.compile(r"add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?(?P<piece>.+)", re.I | re.S)
_RETYPED = re.compile(
    r"alter\s+(?:column\s+)?\"?(?P<column>\w+)\"?\s+(?:set\s+data\s+)?type\s+(?P<kind>.+)", re.I | re.S
)
_DROP = re.compile(r"drop\s+(?P<what>constraint|column)\s+(?:if\s+exists\s+)?\"?(?P<name>\w+)\"?", re.I)
_OTHER_KEYS = re.compile(r"_(f?key|pkey|fk|pk|uq|unique|idx)\d*$|^(fk|uq|pk|unique|uk)_", re.I)
"""Names of constraints that are no checks."""
_AT_RUN_TIME = re.compile(r"drop\s+constraint\s+(?:if\s+exists\s+)?(?:%|\"?'\s*\|\|)", re.I)
"""A constraint that is dropped by a name which the database tells."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The words that a column admits, what says so, and where."""

    words: frozenset[str]
    by: str
    place: Place


@dataclass(slots=True)
class _Column:
    """What files say of one column; `checked` is whether each definition of it has a list of its own."""

    kinds: list[str] = field(default_factory=list)
    checked: list[bool] = field(default_factory=list)
    lists: dict[str, tuple[frozenset[str], Place, bool]] = field(default_factory=dict)
    """By the constraint's name: the words, where, and whether it was added to the table later."""


class _Files:
    """The types and columns of all SQL, as they stand behind the last file."""

    def __init__(self) -> None:
        self.types: dict[str, set[str]] = {}
        self.places: dict[str, Place] = {}
        self.columns: dict[tuple[str, str], _Column] = {}
        self.unsure: set[str] = set()

    def read(self, path: str, text: str) -> None:
        """Takes in one file, statement by statement."""
        patterns = (_ENUM, _VALUE, CREATED, ALTERED, _GONE)
        found = [each for pattern in patterns for each in pattern.finditer(text)]
        for match in sorted(found, key=lambda each: each.start()):
            at = Place(path, text.count("\n", 0, match.start()) + 1)
            if match.re is _ENUM:
                name = match["name"].lower()
                self.types.setdefault(name, set()).update(_words(match["list"]) or ())
                self.places[name] = at
            elif match.re is _VALUE:
                self._changed(match)
            elif match.re is _GONE:
                for key in [each for each in self.columns if each[0] == match["table"].lower()]:
                    del self.columns[key]
            elif match.re is CREATED:
                table = sql.bare(match["table"]).lower()
                for piece, offset in sql._parenthesised(text, match.end() - 1)[0]:
                    self._defined(table, piece, Place(path, text.count("\n", 0, offset) + 1), later=False)
            else:
                table = sql.bare(match["table"]).lower()
                for piece, offset in sql._split(match["rest"], match.start("rest")):
                    self._altered(table, piece, Place(path, text.count("\n", 0, offset) + 1))
        if _AT_RUN_TIME.search(text):
            self.unsure |= {table for table, _ in self.columns if table in text.lower()}

    def _changed(self, match: re.Match[str]) -> None:
        words = self.types.setdefault(match["name"].lower(), set())
        if match["name_after"]:
            after = match["name_after"].lower()
            self.types[after] = self.types.get(after, set()) | words
            self.places.setdefault(after, self.places.get(match["name"].lower(), Place("", 0)))
        else:
            words.discard(match["old"])
            words.add(match["added"] or match["new"] or "")

    def _defined(self, table: str, piece: str, at: Place, *, later: bool) -> None:
        """One column, or one constraint of a table, as it stands between commas."""
        check = _CHECK.search(piece)
        head = piece[: check.start()] if check else piece
        name = sql.bare(head.split()[0]).lower() if head.split() else ""
        column = (
            self.columns.setdefault((table, name), _Column()) if name and name not in _NO_COLUMNS else None
        )
        inline = _INLINE.search(head)
        if column is not None:
            kind = re.sub(r"^\S+\s*", "", head.strip())
            column.kinds.append(f"enum({inline['list']})" if inline else _bare_type(kind))
        listed = _LISTED.fullmatch(_clause(piece, check.end())) if check else None
        words = _words(listed["list"]) if listed else None
        if listed and words:
            of = listed["column"].lower()
            key = (check["name"] if check and check["name"] else f"{table}_{of}_check").lower()
            into = self.columns.setdefault((table, of), _Column())
            before = into.lists.get(key, (frozenset(), at, False))[0]
            into.lists[key] = (before | words, at, later and column is None)
            if column is None and into.checked and not later:
                into.checked[-1] = True  # a constraint of the table that the column stands in
        if column is not None:
            column.checked.append(bool(listed and words))

    def _altered(self, table: str, piece: str, at: Place) -> None:
        text = piece.strip()
        if (added := _ADD.match(text)) is not None:
            self._defined(table, added["piece"], at, later=True)
        elif (retyped := _RETYPED.match(text)) is not None:
            made = self.columns.setdefault((table, retyped["column"].lower()), _Column())
            made.kinds = [_bare_type(retyped["kind"])]
        elif (dropped := _DROP.match(text)) is not None:
            name = dropped["name"].lower()
            own = [each for (one, _), each in self.columns.items() if one == table and name in each.lists]
            for each in own:
                del each.lists[name]
            if dropped["what"].lower() == "column":
                self.columns.pop((table, name), None)
            elif not own and not _OTHER_KEYS.search(name):
                self.unsure.add(table)

    def admitted(self) -> Iterator[tuple[tuple[str, str], Admitted]]:
        """What each bound column admits."""
        for key, column in self.columns.items():
            sets = [self._of_type(each) for each in column.kinds]
            if sets and all(sets):
                name = column.kinds[-1].partition("(")[0]
                words = frozenset(word for each in sets for word in each or ())
                yield key, Admitted(words, f"its type {name}", self.places.get(name, Place("", 0)))
            elif column.lists and key[0] not in self.unsure:
                later = any(added for _, _, added in column.lists.values())
                if later or all(column.checked):
                    words = frozenset(word for each, _, _ in column.lists.values() for word in each)
                    yield key, Admitted(words, "its CHECK", [*column.lists.values()][-1][1])

    def _of_type(self, kind: str) -> set[str] | None:
        if kind.startswith("enum("):
            return set(_words(kind[5:-1]) or ()) or None
        return self.types.get(kind)


_NO_COLUMNS = {"constraint", "check", "primary", "foreign", "unique", "exclude", "key", "index", "like"}


def by_column(ctx: Context) -> dict[tuple[str, str], Admitted]:
    """What columns admit, by the names of table and column in lower case."""
    files = _Files()
    for path, text in ctx.once(definitions):
        files.read(path, text)
    found = dict(files.admitted())
    for key, words, by, place in of_models(ctx):
        found[key] = Admitted(words, by, place)
    return found


def definitions(ctx: Context) -> list[tuple[str, str]]:
    """The path and text of what makes tables: SQL files, migrations last, and code with such SQL in it."""
    wanted = LIVE_ROLES | {"generated"}
    own = [each for each in ctx.tree.files if each.language == "sql" and each.role in wanted]
    own.sort(key=lambda each: ("migrations/" in each.path, each.path))
    made = {each.path for many in ctx.tables.values() for each in many if each.source == "create table"}
    held = [
        each
        for each in ctx.tree.files
        if each.language != "sql" and each.path in made and each.role in wanted
    ]
    texts = [(each.path, sql.strip_comments(each.text)) for each in own]
    return texts + [(each.path, each.text) for each in held if each.language != "doc"]


def _bare_type(kind: str) -> str:
    """The name of a type without its schema, its quotes and what stands behind it."""
    first = re.match(r"(?:\"?\w+\"?\s*\.\s*)?\"?(\w+)\"?(\[\])?", kind.strip())
    return "" if first is None or first.group(2) else first.group(1).lower()


def _clause(piece: str, start: int) -> str:
    """What stands between the parentheses that were opened before `start`."""
    depth, at = 1, start
    while at < len(piece) and depth:
        depth += {"(": 1, ")": -1}.get(piece[at], 0)
        at += 1
    return piece[start : at - 1]


def _words(listed: str) -> frozenset[str] | None:
    """The words of a list of quoted ones; None where something else stands in it."""
    rest = _CAST.sub("", _QUOTED.sub("", listed))
    found = frozenset(each.replace("''", "'") for each in _QUOTED.findall(listed))
    return found if found and not re.search(r"[^\s,]", rest) else None
