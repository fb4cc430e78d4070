"""Reads SQL text: which statements it holds, on which tables and columns, with which values.

A tolerant reader for facts, not a parser of the language: holes are `{0}`, `{1}`…; comments are dropped.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


def first(word: str) -> str:
    """The word that a pattern with `re.I` begins with: looked for by its first letter, which is four times as quick."""
    letter = word[0]
    return rf"(?-i:[{letter}{letter.upper()}])(?<=\b{letter}){word[1:]}"


STORED_FUNCTION = re.compile(
    rf"{first('create')}\s+(?:or\s+replace\s+)?function\s+(?:\"?(?P<schema>\w+)\"?\s*\.\s*)?\"?(?P<name>\w+)\"?\s*"
    r"\((?P<params>[^)]*)\)(?P<head>[^$;]*?)(?P<tag>\$\w*\$)(?P<body>.*?)(?P=tag)(?P<tail>[^;]*)(?:;|\Z)",
    re.I | re.S,
)
"""A function of PostgreSQL as it is made: name, parameters, what it says of itself before and behind, its body."""
_IDENT = r'(?:[A-Za-z_][\w$]*|"[^"]+"|`[^`]+`|\[[^\]]+\])'
_TABLE = rf"(?:{_IDENT}\s*\.\s*)?(?P<table>{_IDENT})"
_START = re.compile(
    rf"\b(?:(?P<insert>insert\s+(?:or\s+\w+\s+|ignore\s+)?into|replace\s+into)|(?P<update>update(?:\s+only)?)"
    rf"|(?P<delete>delete\s+from)|(?P<from>from|join))\s+{_TABLE}",
    re.I,
)
_LOOKS_LIKE = re.compile(
    r"^\s*(?:select\s.+?\sfrom\s|insert\s+(?:or\s+\w+\s+)?into\s|replace\s+into\s|update\s+[\w\".`{}]+\s+set\s|delete\s+from\s"
    r"|with\s+\w+\s+as\s*\(|create\s+(?:unique\s+)?(?:table|index)|alter\s+table|merge\s+into)",
    re.I | re.S,
)
_WORDS = {
    "select",
    "where",
    "set",
    "values",
    "only",
    "lateral",
    "unnest",
    "the",
    "a",
    "an",
    "your",
    "this",
    "now",
    "case",
}
_WITH = re.compile(first("with") + r"\s+(?:recursive\s+)?[\w\"`]+\s*(?:\([^()]*\)\s*)?as\b", re.I)
_PART = re.compile(
    rf"(?:\bwith\s+(?:recursive\s+)?|,\s*)(?P<name>{_IDENT})\s*(?:\([^()]*\)\s*)?as\s+(?:(?:not\s+)?materialized\s*)?\(",
    re.I,
)
_COLUMN = re.compile(rf"^(?:(?P<of>{_IDENT})\s*\.\s*)?(?!(?i:true|false|null)$)(?P<name>{_IDENT})$")
_ALIAS = re.compile(
    rf"\s+(?:as\s+)?(?!(?:left|right|full|inner|cross|natural|join|on|where|order|group|limit|using)\b)(?P<alias>{_IDENT})",
    re.I,
)
_END_OF_SET = re.compile(r"\b(?:where|returning|from|on\s+conflict|order\s+by|limit)\b", re.I)
_PREDICATE = re.compile(
    rf"(?:{_IDENT}\s*\.\s*)?(?P<name>{_IDENT})\s*(?:=|<>|!=|>=|<=|>|<|\s+in\b|\s+is\b|\s+like\b|\s+ilike\b)\s*"
    r"(?:any\s*)?\(?\s*(?P<value>\{\d+\}|\$\d+|%s|%\(\w+\)s|\?|:\w+|@\w+)?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column, the SQL text assigned to it ("" when none) and the offset where it stands."""

    name: str
    value: str
    offset: int


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """One statement; kind is write, delete or read. `where` pairs columns with their placeholder texts."""

    kind: str
    table: str
    columns: tuple[SqlColumn, ...]
    where: tuple[tuple[str, str], ...]
    offset: int
    insert: bool = False


def looks_like_sql(text: str) -> bool:
    """Whether a text is plainly a statement and not prose."""
    return _LOOKS_LIKE.match(strip_comments(text[:4000])) is not None


@functools.lru_cache(maxsize=4096)
def strip_comments(text: str) -> str:
    """Comments become blanks of the same length, so that offsets stay true; strings are kept."""

    def blank(found: re.Match[str]) -> str:
        return found.group() if found.group()[0] in "'\"" else re.sub(r"[^\n]", " ", found.group())

    return re.sub(r"'(?:[^']|'')*'|\"[^\"\n]*\"|--[^\n]*|/\*.*?\*/", blank, text, flags=re.S)


def bare(name: str) -> str:
    """An identifier without its quotes."""
    return name.strip().strip('"`[]')


def statements(text: str) -> list[SqlStatement]:
    """Every statement in `text`, in order."""
    clean = strip_comments(text)
    found: list[SqlStatement] = []
    words = _WORDS | _named_here(clean)
    for match in _START.finditer(clean):
        table = bare(match.group("table"))
        if table.lower() in words or table.isdigit():
            continue
        if match.group("insert"):
            found.append(_insert(clean, match, table))
        elif match.group("update"):
            made = _update(clean, match, table)
            if made is not None:
                found.append(made)
        elif match.group("delete"):
            found.append(SqlStatement("delete", table, (), _where(clean, match.end()), match.start()))
        else:
            made = _read(clean, match, table)
            if made is not None:
                found.append(made)
    return found


def _named_here(text: str) -> set[str]:
    """The names in lower case that a statement gives to parts of itself: `WITH firsts AS (…), days AS (…)`."""
    if _WITH.search(text) is None:
        return set()
    return {bare(each.group("name")).lower() for each in _PART.finditer(text)}


def _insert(text: str, match: re.Match[str], table: str) -> SqlStatement:
    columns: list[SqlColumn] = []
    names, after = _parenthesised(text, match.end())
    values: list[tuple[str, int]] = []
    opening = (
        re.compile(r"\s*(?:overriding\s+\w+\s+value\s*)?values\s*", re.I).match(text, after)
        if names
        else None
    )
    if opening:
        values, after = _parenthesised(text, opening.end())
    for position, (name, offset) in enumerate(names):
        column = _COLUMN.match(name.strip())
        if column:
            value = values[position][0].strip() if position < len(values) else ""
            columns.append(SqlColumn(bare(column.group("name")), value, offset))
    end = _statement_end(text, after)
    upsert = re.compile(
        r"\bon\s+(?:conflict\b.*?\bdo\s+update\s+set|duplicate\s+key\s+update)\b", re.I | re.S
    ).search(text, after, end)
    if upsert:
        columns.extend(_assignments(text, upsert.end(), end))
    return SqlStatement("write", table, tuple(columns), (), match.start(), True)


def _update(text: str, match: re.Match[str], table: str) -> SqlStatement | None:
    opening = re.compile(rf"\s*(?:as\s+)?(?:{_IDENT}\s+)?set\s+", re.I).match(text, match.end())
    if opening is None:
        return None
    end = _statement_end(text, opening.end())
    return SqlStatement(
        "write",
        table,
        tuple(_assignments(text, opening.end(), end)),
        _where(text, opening.end(), end),
        match.start(),
    )


def _assignments(text: str, start: int, end: int) -> list[SqlColumn]:
    stop = _top_level(text, start, end, _END_OF_SET)
    found: list[SqlColumn] = []
    for piece, offset in _split(text[start:stop], start):
        name, equals, value = piece.partition("=")
        column = _COLUMN.match(name.strip())
        if equals and column:
            lead = len(name) - len(name.lstrip())
            found.append(SqlColumn(bare(column.group("name")), value.strip(), offset + lead))
    return found


def _read(text: str, match: re.Match[str], table: str) -> SqlStatement | None:
    before = text[: match.start()].rstrip().lower()
    if before.endswith(("delete", "extract(epoch", "is distinct", "distinct")):
        return None
    columns: list[SqlColumn] = []
    if match.group("from").lower() == "from":
        selects = list(re.compile(r"\bselect\s+(?:distinct\s+)?", re.I).finditer(text, 0, match.start()))
        if not selects:
            return None
        alias = _ALIAS.match(text, match.end())
        own = {table.lower(), bare(alias["alias"]).lower() if alias else ""}
        for piece, offset in _split(text[selects[-1].end() : match.start()], selects[-1].end()):
            column = _COLUMN.match(re.sub(r"\s+as\s+\S+$", "", piece.strip(), flags=re.I))
            if column and (
                column["of"] is None or bare(column["of"]).lower() in own
            ):  # else a joined table's
                columns.append(SqlColumn(bare(column.group("name")), "", offset))
    return SqlStatement("read", table, tuple(columns), _where(text, match.end()), match.start())


def _where(text: str, start: int, end: int | None = None) -> tuple[tuple[str, str], ...]:
    end = end if end is not None else _statement_end(text, start)
    opening = re.compile(r"\bwhere\b", re.I).search(text, start, end)
    if opening is None:
        return ()
    return tuple(
        (bare(found.group("name")), found.group("value") or "")
        for found in _PREDICATE.finditer(text, opening.end(), end)
        if bare(found.group("name")).lower() not in {"and", "or", "not", "select", "where"}
    )


def _statement_end(text: str, start: int) -> int:
    end = text.find(";", start)
    return len(text) if end < 0 else end


def _parenthesised(text: str, start: int) -> tuple[list[tuple[str, int]], int]:
    """The comma-separated pieces of the next parenthesis with their offsets, and where it ends."""
    opening = re.compile(r"\s*(?:as\s+\w+\s*)?\(").match(text, start)
    if opening is None:
        return [], start
    depth, at = 1, opening.end()
    while at < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return _split(text[opening.end() : at - 1], opening.end()), at


def _split(text: str, base: int) -> list[tuple[str, int]]:
    """Pieces between top-level commas, with the offset of their first character that is no blank."""
    pieces: list[tuple[str, int]] = []
    depth, start, quoted = 0, 0, False
    for at, char in enumerate([*text, ","]):
        if char == "'":
            quoted = not quoted
        elif not quoted and char in "({[":
            depth += 1
        elif not quoted and char in ")}]":
            depth -= 1
        elif char == "," and ((depth <= 0 and not quoted) or at == len(text)):
            piece = text[start:at]
            if piece.strip():
                pieces.append((piece.strip(), base + start + len(piece) - len(piece.lstrip())))
            start = at + 1
    return pieces


def _top_level(text: str, start: int, end: int, stop: re.Pattern[str]) -> int:
    """Where the first match of `stop` outside parentheses begins, or `end`."""
    for found in stop.finditer(text, start, end):
        inside = text[start : found.start()]
        if inside.count("(") == inside.count(")"):
            return found.start()
    return end
