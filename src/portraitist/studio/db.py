"""Transactions of the studio: a member's (`UserTx`), the sweeper's (`SystemTx`), an admin's (`RegistrarTx`).

A transaction is a service's first argument and carries whom it acts for; services never commit and never
call the network while one is open. Which rows a transaction sees is decided by PostgreSQL (row-level
security), not by `where user_id =`. The pool itself is the kit's.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar
from uuid import UUID

from psycopg import DatabaseError, sql

from portraitist.kit.database import Connection, Database, row_to
from portraitist.studio.errors import Conflict

ERASED, HELD = "PE001", "PE002"
"""What the database answers where something new is begun for a member who is being erased, or is held."""
T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[Any]


def listed(words: Iterable[str]) -> LiteralString:
    """Words of our own code for an SQL `in (…)`: with values there, no partial index would be used."""
    return ", ".join(f"'{each}'" for each in sorted(words))


@dataclass(frozen=True)
class Tx:
    """One open transaction."""

    conn: Connection

    def later(self, sql: LiteralString, params: Params = ()) -> None:
        """Execute together with the commit, as its result concerns nobody; an error comes up there."""
        self.conn.later(sql, params)

    async def run(self, sql: LiteralString, params: Params = ()) -> int:
        """Execute; returns how many rows were touched."""
        cursor = await self.conn.execute(sql, params)
        return cursor.rowcount

    async def all(self, cls: type[T], sql: LiteralString, params: Params = ()) -> list[T]:
        """Every row as `cls`, whose fields are the columns."""
        async with self.conn.cursor(row_factory=row_to(cls)) as cursor:
            await cursor.execute(sql, params)
            return await cursor.fetchall()

    async def maybe(self, cls: type[T], sql: LiteralString, params: Params = ()) -> T | None:
        """The one row as `cls`, or None."""
        async with self.conn.cursor(row_factory=row_to(cls)) as cursor:
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
class RegistrarTx(Tx):
    """Sees and changes accounts, links and settings; nothing that a member made. `by`: the admin; None: the host."""

    by: str | None = None


@dataclass(frozen=True)
class GlassTx(Tx):
    """Sees the photos and pictures of one member, reading only, while that admin's break-glass is open."""

    glass_id: UUID


@dataclass(frozen=True)
class DueRow:
    """A row that wants looking at, and whose it is."""

    id: UUID
    user_id: str


class StudioDatabase:
    """Opens the studio's transactions on the kit's pool.

    `works`: for the worker, which goes on with a held member's work; web sees nothing of theirs.
    """

    def __init__(self, database: Database, *, works: bool = False) -> None:
        self.pool = database
        self._part = "worker" if works else "web"

    @asynccontextmanager
    async def member(self, user_id: str, *, once: bool = False) -> AsyncIterator[UserTx]:
        """A transaction as one member; committed at the end, rolled back on an error. `once`: of one statement.

        Raises Conflict (`account_erasing`) where something new is begun for a member who is being erased.
        """
        acts_for = sql.SQL(
            "select set_config('app.user_id', {}, true), set_config('app.part', {}, true)"
        ).format(user_id, self._part)
        try:
            async with self.pool.transaction(acts_for, once=once) as conn:
                yield UserTx(conn, user_id)
        except DatabaseError as exc:
            if exc.sqlstate == ERASED:
                raise erasing() from exc
            if exc.sqlstate == HELD:
                raise held() from exc
            raise

    @asynccontextmanager
    async def system(self, *, once: bool = False) -> AsyncIterator[SystemTx]:
        """A transaction of the role `dispatch`. `once`: of one statement."""
        async with self.pool.transaction(sql.SQL("set local role dispatch"), once=once) as conn:
            yield SystemTx(conn)

    @asynccontextmanager
    async def registrar(self, by: str | None = None) -> AsyncIterator[RegistrarTx]:
        """A transaction of the role `registrar`, for an admin (`by`) who has been recognised as one, or the host."""
        async with self.pool.transaction(sql.SQL("set local role registrar")) as conn:
            yield RegistrarTx(conn, by)

    @asynccontextmanager
    async def glass(self, glass_id: UUID, admin: UUID) -> AsyncIterator[GlassTx]:
        """A transaction of the role `breakglass`: through this glass, for the admin of this audit subject."""
        begun = sql.SQL(
            "select set_config('role', 'breakglass', true), set_config('app.glass', {}, true), "
            "set_config('app.admin', {}, true)"
        ).format(str(glass_id), str(admin))
        async with self.pool.transaction(begun) as conn:
            yield GlassTx(conn, glass_id)

    @asynccontextmanager
    async def nobody(self, *, once: bool = False) -> AsyncIterator[Tx]:
        """A transaction before a member is known: only the look-up functions answer. `once`: of one statement."""
        async with self.pool.transaction(once=once) as conn:
            yield Tx(conn)


def erasing() -> Conflict:
    """The answer while a member's things are being erased."""
    return Conflict(
        "account_erasing",
        "What you lent is being erased; nothing new begins until that is done.",
        next_step="Follow it with the receipt's token (GET /api/v1/receipt).",
    )


def held() -> Conflict:
    """The answer while a member's things are held."""
    return Conflict(
        "account_held",
        "Your things are kept as they are for now; nothing can be added, shown or taken away.",
        next_step="Ask the studio's operator. You can have your account erased; that begins when this has ended.",
    )
