"""Where a member's marker still stands in an installation: rows of both databases, files and folders, lines of logs."""

from collections.abc import Iterator

from tests.acceptance.harness import House

DATABASES = ("portraitist", "portraitist_engine")
NOT_SEARCHED = ("secrets", "run")
TABLES = "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"


def left(house: House, marker: str) -> Iterator[str]:
    """Each place: any row's text, any file by its path or its bytes."""
    for database in DATABASES:
        for (table,) in house.sql(database, TABLES):
            rows = house.sql(
                database, f"select t::text from {table} t where position(%s in t::text) > 0", marker
            )
            yield from (f"{database}.{table}: {row[:300]}" for (row,) in rows)
    for path in house.home.rglob("*"):
        if path.relative_to(house.home).parts[0] in NOT_SEARCHED:
            continue
        if marker in str(path) or (path.is_file() and marker.encode() in path.read_bytes()):
            yield str(path)


def watching_over(house: House) -> None:
    """An erasure looks once more after a day: that day is over now."""
    house.sql(
        "portraitist",
        "update erasures set next_check_at = now() where stage = 'watch' and next_check_at > now()",
    )
