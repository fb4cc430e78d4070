"""Transactions of the studio: a member's (`UserTx`) and the sweeper's (`SystemTx`).

A transaction is a service's first argument and carries whom it acts for; services never commit and never
call the network while one is open. Which rows a transaction sees is decided by PostgreSQL (row-level
security), not by `where user_id =`. The pool itself is the kit's.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from portraitist.kit.database import Database

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True)
class Tx:
    """One open transaction."""

    conn: AsyncConnection[dict[str, Any]]

    async def run(self, sql: LiteralString, params: Params = ()) -> int:
        """Execute; returns how many rows were touched."""
        cursor = await self.conn.execute(sql, params)
        return cursor.rowcount

    async def all(self, cls: type[T], sql: LiteralString, params: Params = ()) -> list[T]:
        """Every row as `cls`, whose fields are the columns."""
        async with self.conn.cursor(row_factory=class_row(cls)) as cursor:
            await cursor.execute(sql, params)
            return await cursor.fetchall()

    async def maybe(self, cls: type[T], sql: LiteralString, params: Params = ()) -> T | None:
        """The one row as `cls`, or None."""
        async with self.conn.cursor(row_factory=class_row(cls)) as cursor:
            await cursor.execute(sql, params)
            return await cursor.fetchone()

    async def value(self, sql: LiteralString, params: Params = ()) -> Any:
        """The first column of the one row, or None where there is none."""
        cursor = await self.conn.execute(sql, params)
        row = await cursor.fetchone()
        return None if row is None else next(iter(row.values()))


@dataclass(frozen=True)
class UserTx(Tx):
    """Sees and writes one member's rows."""

    user_id: str


@dataclass(frozen=True)
class SystemTx(Tx):
    """Sees ids, states and times of all work in hand; no photos, prompts or pictures."""


@dataclass(frozen=True)
class DueRow:
    """A row that wants looking at, and whose it is."""

    id: UUID
    user_id: str


class StudioDatabase:
    """Opens the studio's transactions on the kit's pool."""

    def __init__(self, database: Database) -> None:
        self.pool = database

    @asynccontextmanager
    async def member(self, user_id: str) -> AsyncIterator[UserTx]:
        """A transaction as one member; committed at the end, rolled back on an error."""
        async with self.pool.transaction() as conn:
            await conn.execute("select set_config('app.user_id', %s, true)", (user_id,))
            yield UserTx(conn, user_id)

    @asynccontextmanager
    async def system(self) -> AsyncIterator[SystemTx]:
        """A transaction of the role `dispatch`."""
        async with self.pool.transaction() as conn:
            await conn.execute("set local role dispatch")
            yield SystemTx(conn)

    @asynccontextmanager
    async def nobody(self) -> AsyncIterator[Tx]:
        """A transaction before a member is known: only the look-up functions answer."""
        async with self.pool.transaction() as conn:
            yield Tx(conn)
