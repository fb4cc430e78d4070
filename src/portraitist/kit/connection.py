"""A PostgreSQL connection that saves round trips: a transaction's beginning travels with its first statement, and
statements whose results nobody waits for travel with its commit. Which connection is used when is `database`'s.

A statement that has begun is finished where its asker's scope is cancelled, so that the connection stays good.
"""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled
from psycopg import AsyncClientCursor, AsyncConnection, AsyncTransaction, sql
from psycopg.abc import Params, PQGen, Query
from psycopg.pq import TransactionStatus

Row = dict[str, Any]
T = TypeVar("T")
LOOK_AGAIN_S = 0.1  # psycopg's own interval between looks for signals


class Connection(AsyncConnection[Row]):
    """One connection of a pool; whoever has it opens and finishes its transactions."""

    answered_at = float("-inf")
    """When it last ended a transaction well, on the monotonic clock."""
    _opening: bytes | None = None
    _once = False
    _deferred: list[bytes]

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = LOOK_AGAIN_S,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's own
    ) -> T:
        """As its parent's, to the end.

        A stream whose reader leaves is cancelled at each of its steps until it has gone: psycopg could not even
        cancel the statement, and would throw the connection away. A task that is cancelled once, it can.
        """
        with CancelScope(shield=True):
            answer = await super().wait(gen, interval, timeout)
        await checkpoint_if_cancelled()
        return answer

    def open_with(self, opening: sql.Composable | None, *, once: bool) -> None:
        """A transaction begins with the next statement, and `opening` before it; `once`: and ends with it."""
        begin = [] if once else [b"begin"]
        self._opening = b"; ".join([*begin, *([opening.as_bytes(self)] if opening is not None else [])])
        self._once, self._deferred = once, []

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or will be by the next statement."""
        return self._opening is not None or self.info.transaction_status is not TransactionStatus.IDLE

    def around(self) -> tuple[list[bytes], list[bytes]]:
        """What goes before and behind the next statement, given once. Raises RuntimeError for a second of `once`."""
        opening, self._opening = self._opening, None
        if opening is None and self._once:
            raise RuntimeError("a transaction of one statement has only one")
        behind: list[bytes] = []
        if self._once:
            behind, self._deferred = self._deferred, []
        return ([opening] if opening else []), behind

    async def begun(self) -> None:
        """Have the transaction open now."""
        if self._opening is not None:
            await self.execute("")

    def later(self, query: Query, params: Params | None = None) -> None:
        """Have this statement done at the end of the transaction, in the order it was said; an error comes up there.

        With `once` it is said first and travels behind the one statement, all of them done or none.
        """
        if self._once and self._opening is None:
            raise RuntimeError("a transaction of one statement has ended with it")
        self._deferred.append(AsyncClientCursor(self).mogrify(query, params).encode())

    async def finish(self) -> None:
        """Do what was left for later, and commit; nothing at all where nothing was asked."""
        if self._opening is not None and not self._deferred:
            self._opening = None
        elif self._once and self._deferred:
            await self.execute(self._deferred.pop(0))
        elif not self._once:
            opening, self._opening = self._opening, None
            await self.execute(b"; ".join([*([opening] if opening else []), *self._deferred, b"commit"]))
        self.answered_at = time.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Roll back what has failed. What has not, `finish` has committed: there is nothing to ask the server for."""
        if kind is not None:
            await super().__aexit__(kind, error, trace)

    def forget(self) -> None:
        """Nothing is open or left for later any more."""
        self._opening, self._once, self._deferred = None, False, []

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """A savepoint; what is left for `later` is not part of it."""
        await self.begun()
        async with super().transaction(savepoint_name, force_rollback) as savepoint:
            yield savepoint


class Cursor(AsyncClientCursor[Any]):
    """Sends the transaction's beginning along, and shows the results of what was asked only."""

    async def execute(
        self,
        query: Query,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        """As its parent's."""
        conn = self.connection
        asked = self.mogrify(query, params).encode() if params is not None else query
        before, behind = conn.around() if isinstance(conn, Connection) else ([], [])
        if not before and not behind:
            return await super().execute(asked)
        text = asked if isinstance(asked, bytes) else self.mogrify(asked).encode()
        await super().execute(b"; ".join([*before, text, *behind]))
        return await self.set_result(-1 - len(behind))

    async def executemany(
        self, query: Query, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        """As its parent's, in the transaction."""
        if isinstance(self.connection, Connection):
            await self.connection.begun()
        await super().executemany(query, params_seq, returning=returning)
