"""Table definitions that stand in text: the types that Supabase generates, SQL blocks of documents about the database.

Documents count only for tables that nothing else defines. DDL itself is read in `schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts.base import TableDef
from portraitist.audit.model import Place
from portraitist.audit.source import SourceFile

DOCUMENT = "document"
"""The source of a definition that only a document gives."""

ROW = re.compile(
    r"^(?P<indent>[ \t]+)[\"']?(?P<table>\w+)[\"']?: \{\n[ \t]+Row: \{\n(?P<columns>.*?)^[ \t]+\}",
    re.M | re.S,
)
"""A table's rows in the types of a database, as Supabase writes them or somebody by hand."""
_COLUMN = re.compile(r"[ \t]+[\"']?(?P<name>\w+)[\"']?\??:[ \t]*(?P<type>[^\n]*)$")
_ABOUT = re.compile(r"sql|schema|quer(y|ies)|supabase|database|migration", re.I)
_FENCE = re.compile(r"^```(?:sql|postgres\w*|SQL)\n(?P<sql>.*?)^```", re.M | re.S)


def generated_types(file: SourceFile) -> Iterator[TableDef]:
    """The tables of `Database["public"]["Tables"]` as Supabase writes them; types written by hand are left out."""
    if "Relationships" not in file.words or "Relationships:" not in file.text or " Row: {" not in file.text:
        return
    for match in ROW.finditer(file.text):
        first = file.text.count("\n", 0, match.start("columns")) + 1
        lines = match.group("columns").split("\n")
        found = ((first + at, _COLUMN.match(line)) for at, line in enumerate(lines))
        columns = {
            each.group("name"): (f"typed {each.group('type')}", Place(file.path, line))
            for line, each in found
            if each is not None
        }
        yield TableDef(match.group("table"), file.path, first - 2, columns, "generated types")


def columns_in_types(text: str) -> set[str]:
    """The columns of one `Row: {…}`, in lower case."""
    found = (_COLUMN.match(line) for line in text.split("\n"))
    return {each.group("name").lower() for each in found if each is not None}


def documented_sql(file: SourceFile) -> Iterator[tuple[str, int]]:
    """Each SQL block of a document whose name says that it is about the database, with its first line."""
    if file.language == "doc" and _ABOUT.search(file.path.rpartition("/")[2]):
        for match in _FENCE.finditer(file.text):
            yield match.group("sql"), file.text.count("\n", 0, match.start("sql")) + 1
