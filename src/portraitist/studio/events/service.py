"""Telling open pages and clients that a member's training or generation has moved on.

`announce` rides in the transaction that moved it (PostgreSQL's NOTIFY, so it is heard only if it was committed)
and carries ids, never contents. `Hub` listens once per web process and wakes the streams of the member.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from portraitist.kit.database import Database
from portraitist.studio.db import UserTx

CHANNEL = "portraitist_moved"
QUEUE_LIMIT = 100  # a stream this far behind starts over from a snapshot


@dataclass(frozen=True)
class Moved:
    """A row of this member has changed."""

    kind: str
    id: UUID


MISSED = Moved("missed", UUID(int=0))
"""News may have been lost: look at everything again."""


async def announce(tx: UserTx, kind: str, row_id: UUID) -> None:
    """Tell the member's open streams, once this transaction is committed."""
    payload = json.dumps({"user": tx.user_id, "kind": kind, "id": str(row_id)})
    await tx.run("select pg_notify(%s, %s)", (CHANNEL, payload))


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
            self._put(self._streams.get(told["user"], set()), Moved(told["kind"], UUID(told["id"])))

    @staticmethod
    def _put(queues: set[asyncio.Queue[Moved]], moved: Moved) -> None:
        for queue in queues:
            if queue.full():  # the reader is far behind: let it start over from a snapshot
                while not queue.empty():
                    queue.get_nowait()
                moved = MISSED
            queue.put_nowait(moved)

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


async def news(queue: asyncio.Queue[Moved], silence_s: float) -> AsyncIterator[Moved | None]:
    """What has moved, one by one; None after `silence_s` seconds without any, to keep the line open."""
    while True:
        try:
            yield await asyncio.wait_for(queue.get(), silence_s)
        except TimeoutError:
            yield None
