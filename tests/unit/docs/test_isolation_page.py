"""The list of who writes which table is complete and true: SQL that writes stands in that slice only."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
STUDIO = ROOT / "src/portraitist/studio"
WRITES = re.compile(r"\b(?:insert into|update|delete from)\s+(\w+)", re.IGNORECASE)


def listed() -> dict[str, str]:
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \| (\w+) \|$", (ROOT / "docs/isolation.md").read_text(), re.MULTILINE
    )
    return {table: slice_ for tables, slice_ in rows for table in re.findall(r"`(\w+)`", tables)}


def tables() -> set[str]:
    text = "".join(path.read_text() for path in sorted((STUDIO / "migrations").glob("*.sql")))
    return set(re.findall(r"create table (\w+)", text))


def writers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in STUDIO.rglob("*.py"):
        for table in WRITES.findall(path.read_text()):
            if table in tables():
                found.setdefault(table, set()).add(path.relative_to(STUDIO).parts[0])
    return found


def test_every_table_is_listed_with_its_one_writer() -> None:
    assert set(listed()) == tables()
    assert writers() == {table: {slice_} for table, slice_ in listed().items()}
