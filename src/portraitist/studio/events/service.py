"""Telling open pages and clients that a member's training or generation has moved on.

`announce` rides in the transaction that moved it (PostgreSQL's NOTIFY, so it is heard only if it was committed)
and carries ids, never contents. `Hub` listens once per web process and wakes the streams of the member; what a
stream says is read once for all the streams of its member.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from portraitist.kit.database import Database
from portraitist.studio.db import SystemTx, UserTx
from portraitist.studio.errors import TooMany

CHANNEL = "portraitist_moved"
QUEUE_LIMIT = 100  # a stream this far behind starts over from a snapshot
STREAMS_OF_ONE = 20  # open at once on one process: a browser with many tabs has fewer


@dataclass(frozen=True)
class Moved:
    """A row of this member has changed."""

    kind: str
    id: UUID
    _reading: "list[asyncio.Future[str]]" = field(default_factory=list, compare=False, repr=False)

    async def text(self, read: Callable[[], Awaitable[str]]) -> str:
        """What streams say of it: read by the first that asks, for all that heard of it."""
        if not self._reading:
            self._reading.append(asyncio.ensure_future(read()))
        return await asyncio.shield(self._reading[0])  # one that leaves must not take it from the others


MISSED = Moved("missed", UUID(int=0))
"""News may have been lost: look at everything again."""


async def announce(tx: UserTx, kind: str, row_id: UUID) -> None:
    """Tell the member's open streams, once this transaction is committed."""
    payload = json.dumps({"user": tx.user_id, "kind": kind, "id": str(row_id)})
    tx.later("select pg_notify(%s, %s)", (CHANNEL, payload))


async def announce_all(tx: SystemTx, kind: str, rows: Sequence[tuple[str, UUID]]) -> None:
    """Tell many members' streams at once, each of rows of their own: (member, row)."""
    if rows:
        told = [json.dumps({"user": user, "kind": kind, "id": str(row)}) for user, row in rows]
        tx.later("select pg_notify(%s, each) from unnest(%s::text[]) as each", (CHANNEL, told))


class Hub:
    """Fans the news out to the streams that are open on this process."""

    def __init__(self) -> None:
        self._streams: dict[str, set[asyncio.Queue[Moved]]] = defaultdict(set)

    async def run(self, database: Database) -> None:
        """Listen for as long as the process lives."""
        async for payload in database.listen(CHANNEL):
            if not payload:  # (re)connected: something may have been missed
                for queues in self._streams.values():
                    self._put(queues, MISSED)
                continue
            told = json.loads(payload)
            if told["user"] in self._streams:
                self._put(self._streams[told["user"]], Moved(told["kind"], UUID(told["id"])))

    @staticmethod
    def _put(queues: set[asyncio.Queue[Moved]], moved: Moved) -> None:
        for queue in queues:
            news = moved
            if queue.full():  # the reader is far behind: let it start over from a snapshot
                while not queue.empty():
                    queue.get_nowait()
                news = MISSED
            queue.put_nowait(news)

    def check_room(self, user_id: str) -> None:
        """Raises TooMany where the member has as many streams open as one may have."""
        if len(self._streams.get(user_id, ())) >= STREAMS_OF_ONE:
            raise TooMany(
                "too_many_streams",
                f"{STREAMS_OF_ONE} streams of yours are open already.",
                next_step="Close one of them, a browser tab for instance.",
                retry_after_s=5,
            )

    @contextmanager
    def stream(self, user_id: str) -> Iterator[asyncio.Queue[Moved]]:
        """A queue of this member's news, for as long as the stream is open."""
        queue: asyncio.Queue[Moved] = asyncio.Queue(QUEUE_LIMIT)
        self._streams[user_id].add(queue)
        try:
            yield queue
        finally:
            self._streams[user_id].discard(queue)
            if not self._streams[user_id]:
                del self._streams[user_id]


async def news(queue: asyncio.Queue[Moved], silence_s: float) -> AsyncIterator[list[Moved]]:
    """What has moved, each once however often it moved meanwhile; [] after `silence_s` seconds without any."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                first = await queue.get()
        except TimeoutError:
            yield []
            continue
        moved = {first: first}
        while not queue.empty():
            latest = queue.get_nowait()
            moved[latest] = latest
        yield [MISSED] if MISSED in moved else list(moved.values())
