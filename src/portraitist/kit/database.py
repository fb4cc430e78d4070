"""A pool of PostgreSQL connections, transactions on it, and listening for notifications.

Knows no table and no member: who a transaction acts for is set by the caller inside it. Migrations are in
`migrate`.
"""

import asyncio
import re
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import psycopg
from anyio import CancelScope
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from portraitist.kit.connection import Connection, Cursor, Row
from portraitist.kit.errors import DatabaseUnavailable, KitError
from portraitist.kit.rows import row_to

__all__ = ["Connection", "Database", "DatabaseUnavailable", "KitError", "Row", "row_to", "unavailable"]

CONNECT_TIMEOUT_S = 5
WAIT_TIMEOUT_S = 10.0  # for a connection of the pool
RECONNECT_GIVE_UP_S = 5.0  # then the next caller makes a fresh attempt, in place of one ever more slowly
LISTEN_CHECK_S = 10.0  # how long a silent listening connection is trusted
TRUSTED_S = 5.0  # how long after its last answer a connection of the pool is taken for alive without asking
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

# SQLSTATEs of a server that goes away, comes up, has no connection left, or has a full disk (classes 08, 53,
# 57P). A lock timeout, a deadlock or a cancelled statement are operational too, but the server lives.
_AWAY = re.compile(r"08...|53...|57P..")


def unavailable(error: psycopg.OperationalError) -> DatabaseUnavailable | None:
    """What a dead or full database's error means to callers; None if the server is alive and well."""
    if error.sqlstate is not None and not _AWAY.fullmatch(error.sqlstate):
        return None
    if error.sqlstate == "53100":
        return DatabaseUnavailable("The database's disk is full; free some space on it.")
    reason = str(error).strip().splitlines()
    return DatabaseUnavailable(f"The database can't be reached: {reason[0] if reason else 'connection lost'}")


class Database:
    """Connections to one database as one role."""

    def __init__(self, url: str, *, min_size: int = 1, max_size: int = 10, name: str = "portraitist") -> None:
        """`name` shows in pg_stat_activity. Nothing is connected before `open`."""
        # No prepared statements: they break behind a PgBouncer that pools transactions.
        self._kwargs: dict[str, Any] = {
            "row_factory": dict_row,
            "application_name": name,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "prepare_threshold": None,
            "autocommit": True,  # transactions begin with a statement of ours, not with one of the driver's
            "cursor_factory": Cursor,
        }
        self._url = url
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=Connection,
            kwargs=self._kwargs,
            min_size=min_size,
            max_size=max_size,
            timeout=WAIT_TIMEOUT_S,
            reconnect_timeout=RECONNECT_GIVE_UP_S,
            name=name,
            open=False,
        )

    async def open(self) -> None:
        """Connect. Raises DatabaseUnavailable when that takes longer than 10 s."""
        try:
            await self._pool.open(wait=True, timeout=WAIT_TIMEOUT_S)
        except PoolTimeout as exc:
            await self._pool.close()
            raise await self._why_unavailable() from exc

    async def close(self) -> None:
        """Close every connection; waits for none that is in use."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(
        self, opening: sql.Composable | None = None, *, once: bool = False
    ) -> AsyncIterator[Connection]:
        """One transaction: committed at the end, rolled back on an error.

        `opening` is a statement of its beginning (whose it is, as which role) and travels with the first one. `once`:
        a single statement, which is then a transaction by itself. Raises DatabaseUnavailable when the server is away,
        before or in the middle.
        """
        try:
            conn = await self._alive()
            try:
                conn.open_with(opening, once=once)
                async with conn:  # rolls back
                    yield conn
                    await conn.finish()
            finally:
                conn.forget()
                await self._back(conn)
        except (PoolTimeout, PoolClosed, TooManyRequests) as exc:
            raise DatabaseUnavailable(f"No database connection was to be had: {exc}") from exc
        except psycopg.OperationalError as exc:
            meaning = unavailable(exc)
            if meaning is None:
                raise
            raise meaning from exc

    async def _alive(self) -> Connection:
        """A connection that answered lately, or answers now: one that died has done nothing yet."""
        dead = 0
        while True:
            conn = await self._drawn()
            try:
                if time.monotonic() > conn.answered_at + TRUSTED_S or _has_news(conn):
                    await conn.execute("")
            except BaseException as exc:
                lost = isinstance(exc, psycopg.OperationalError) and conn.broken
                await self._back(conn)
                dead += 1
                if not lost or dead > self._pool.max_size:  # all that were open may have died with the server
                    raise
            else:
                return conn

    async def _drawn(self) -> Connection:
        """A connection of the pool, unless the asker was cancelled.

        The pool waits with `wait_for`, which in Python 3.11 loses a cancellation that meets the awaited connection
        (psycopg's issue 1345): a loop would go on for ever.
        """
        task = asyncio.current_task()
        asked = task.cancelling() if task else 0
        conn = await self._pool.getconn()
        if task and task.cancelling() > asked:
            await self._back(conn)
            raise asyncio.CancelledError
        return conn

    async def _back(self, conn: Connection) -> None:
        """Back into the pool, also for an asker who was cancelled: on the way it would be nobody's."""
        with CancelScope(shield=True):
            await self._pool.putconn(conn)

    async def listen(self, channel: str) -> AsyncIterator[str]:
        """Payloads sent to `channel`, for ever, over a connection of its own.

        After each (re)connect an empty payload comes first: notifications may have been missed, look again.
        """
        pause = FIRST_PAUSE_S
        while True:
            try:
                conn = await AsyncConnection[Row].connect(self._url, **self._kwargs)
            except psycopg.OperationalError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            pause = FIRST_PAUSE_S
            try:
                async with conn:
                    await conn.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                    yield ""
                    while True:
                        async for notify in conn.notifies(timeout=LISTEN_CHECK_S):
                            yield notify.payload
                        await conn.execute("select 1")  # notices a connection that died in silence
            except psycopg.OperationalError:
                await asyncio.sleep(pause)

    async def _why_unavailable(self) -> DatabaseUnavailable:
        """Ask once more, to tell the operator the server's own reason."""
        try:
            async with await AsyncConnection.connect(self._url, connect_timeout=CONNECT_TIMEOUT_S):
                return DatabaseUnavailable("The database answers too slowly; try again.")
        except psycopg.OperationalError as exc:
            return unavailable(exc) or DatabaseUnavailable(f"The database can't be reached: {exc}")


def _has_news(conn: Connection) -> bool:
    """Whether the server said something unasked: mostly that it goes away."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
