"""How much one member may ask in a minute, counted for the whole fleet, wherever a member is recognised.

Reads are taken from the shared bucket some at a time, so that most of them cost the database nothing; writes one
by one. Quotas of paid work are rules of their slices.
"""

import hashlib
import math
from typing import cast

from fastapi import Request

from portraitist.kit.limits import Bucket, SharedLimits
from portraitist.studio.errors import TooMany

READS_AT_ONCE = 10
MOST_REMEMBERED = 10_000
READING = frozenset({"GET", "HEAD"})


class Rates:
    """One process's view of the members' rates; at most `READS_AT_ONCE` reads of each are held here."""

    def __init__(self, shared: SharedLimits, *, reads_per_minute: float, writes_per_minute: float) -> None:
        self._shared = shared
        self._reads, self._writes = reads_per_minute, writes_per_minute
        self._held: dict[str, int] = {}

    async def spend(self, user_id: str, method: str) -> None:
        """Count one request; raises TooMany."""
        if method in READING:
            await self._read(user_id)
        else:
            await self._take(user_id, "writes", self._writes, 1)

    async def _read(self, user_id: str) -> None:
        held = self._held.get(user_id, 0)
        if held == 0:
            bucket_holds = max(1, int(self._reads / 10))
            held = min(READS_AT_ONCE, bucket_holds)
            await self._take(user_id, "reads", self._reads, held)
        if len(self._held) >= MOST_REMEMBERED:
            self._held.clear()  # what is forgotten is not given away twice
        self._held[user_id] = held - 1

    async def _take(self, user_id: str, what: str, per_minute: float, count: int) -> None:
        # the buckets' table is everybody's to read: it must not say who is a member here
        name = hashlib.sha256(f"{what} {user_id}".encode()).hexdigest()[:32]
        wait = await self._shared.take(Bucket(f"member {name}", per_minute), count)
        if wait > 0:
            raise TooMany(
                "too_many_requests",
                f"{per_minute:.0f} {what} in a minute are the most that this studio takes from one member.",
                next_step=f"Wait {math.ceil(wait)} seconds and go on.",
                retry_after_s=wait,
            )


def rates_of(request: Request) -> Rates:
    """The process's one count."""
    return cast(Rates, request.app.state.rates)
