"""Numbered SQL files, applied in order to one database, each once and whole.

A file that was applied is history: changing it, or running older code on a newer database, is an error.
Which tables there are is the files' business.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from portraitist.kit.database import CONNECT_TIMEOUT_S, Row, unavailable
from portraitist.kit.errors import KitError

FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
VARIABLE = re.compile(r"\{\{(\w+)\}\}")
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")  # needs no quoting and can carry no SQL
LOCK_WAIT = "60s"


class MigrationError(KitError):
    """The database and the files don't fit together, or a file failed; nothing of it was applied."""


@dataclass(frozen=True)
class _File:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def filled(self, variables: Mapping[str, str]) -> str:
        """The text with each {{name}} replaced; raises MigrationError for one that is unknown."""

        def value(match: re.Match[str]) -> str:
            if match[1] not in variables:
                raise MigrationError(f"{self.name} needs a value for {{{{{match[1]}}}}}.")
            return variables[match[1]]

        return VARIABLE.sub(value, self.text)


async def migrate(
    owner_url: str,
    folder: Traversable | Path,
    *,
    table: str = "schema_migrations",
    variables: Mapping[str, str] | None = None,
) -> list[str]:
    """Apply what is new in `folder` as the database's owner; returns the names applied now.

    Files are called 0001_what_it_does.sql. `variables` fill {{name}} in them (plain SQL names only). Two
    migrators at once are safe: the second waits. Raises MigrationError, or DatabaseUnavailable.
    """
    for name in {table, *(variables or {}).values()}:
        if not PLAIN_NAME.fullmatch(name):
            raise MigrationError(f"{name!r} can't be used as a name in a migration.")
    files = _read(folder)
    try:
        async with await AsyncConnection.connect(
            owner_url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=CONNECT_TIMEOUT_S,
            prepare_threshold=None,
            application_name="portraitist migrate",
        ) as conn:
            return await _apply_new(conn, files, table, variables or {})
    except psycopg.errors.LockNotAvailable as exc:
        raise MigrationError(f"Another migration has been running for {LOCK_WAIT}; try again later.") from exc
    except psycopg.OperationalError as exc:
        raise unavailable(exc) or MigrationError(f"The migration was broken off: {exc}") from exc


def _read(folder: Traversable | Path) -> list[_File]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    for name in names:
        if not FILE_NAME.fullmatch(name):
            raise MigrationError(f"{name} is not named like 0001_what_it_does.sql.")
    numbers = [name[:4] for name in names]
    if len(set(numbers)) != len(numbers):
        raise MigrationError("Two migrations have the same number: " + ", ".join(names))
    return [_File(name, (folder / name).read_text(encoding="utf-8")) for name in names]


async def _apply_new(
    conn: AsyncConnection[Row], files: list[_File], table: str, variables: Mapping[str, str]
) -> list[str]:
    await conn.execute(sql.SQL("set lock_timeout = {}").format(LOCK_WAIT))
    # Held by the session, so until the connection closes.
    await conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"migrate:{table}"])
    await conn.execute("reset lock_timeout")
    await conn.execute(
        sql.SQL(
            "create table if not exists {} ("
            "name text primary key, sha256 text not null, applied_at timestamptz not null default now())"
        ).format(sql.Identifier(table))
    )
    cursor = await conn.execute(
        sql.SQL("select name, sha256 from {} order by name").format(sql.Identifier(table))
    )
    new = _new(files, {row["name"]: row["sha256"] for row in await cursor.fetchall()})
    for file in new:
        await _apply(conn, file, table, variables)
    return [file.name for file in new]


def _new(files: list[_File], applied: Mapping[str, str]) -> list[_File]:
    """The files still to apply, in order; raises MigrationError where files and history disagree."""
    known = {file.name: file for file in files}
    if ahead := sorted(set(applied) - set(known)):
        raise MigrationError(
            f"The database is newer than this program (it has {ahead[-1]}); start the newer release again."
        )
    for name, sha256 in applied.items():
        if known[name].sha256 != sha256:
            raise MigrationError(f"{name} was changed after it was applied; put it back and add a new file.")
    new = [file for file in files if file.name not in applied]
    if new and applied and new[0].name < max(applied):
        raise MigrationError(
            f"{new[0].name} comes before {max(applied)}, which is applied; give it a new number."
        )
    return new


async def _apply(conn: AsyncConnection[Any], file: _File, table: str, variables: Mapping[str, str]) -> None:
    text = file.filled(variables)  # our own files; variables are plain names
    record = sql.SQL("insert into {} (name, sha256) values ({}, {})").format(
        sql.Identifier(table), file.name, file.sha256
    )
    try:
        async with conn.transaction():
            await conn.execute(text)
            await conn.execute(record)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as exc:
        raise MigrationError(f"{file.name} failed and was rolled back: {exc}") from exc
