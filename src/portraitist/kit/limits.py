"""Rates that hold for the whole fleet: token buckets in one unlogged table, and an HTTP client that keeps to them.

The database's clock is the only one that counts, so processes with different clocks share a rate all the same.
Which requests fall under which bucket is the caller's to say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from portraitist.kit.database import Database
from portraitist.kit.http import GuardedClient, Response

REFUSED_FOR_ALL = {401: 30.0, 402: 30.0}
"""Answers that hold for every request of the account, and seconds until the next one is tried."""
THROTTLED = 429
USUAL_PAUSE_S, LONGEST_PAUSE_S = 10.0, 60.0


@dataclass(frozen=True)
class Bucket:
    """A named rate: at most `per_minute` in any 60 seconds, the tenth part of them at once."""

    name: str
    per_minute: float

    @property
    def burst(self) -> float:
        """How many may go out at once; 1 at least."""
        return max(1.0, self.per_minute / 10)

    @property
    def per_second(self) -> float:
        """How fast it fills up: what the burst leaves of a minute's allowance."""
        return max(self.per_minute - self.burst, self.per_minute / 2) / 60


class SharedLimits:
    """The buckets of one database; its table is made by the owner's migration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, bucket: Bucket, count: int = 1) -> float:
        """Take tokens, all or none: no more at once than the bucket's burst.

        Returns 0 where they were had, else the seconds until they may be (nothing is reserved).
        """
        values = {"name": bucket.name, "burst": bucket.burst, "rate": bucket.per_second, "count": count}
        async with self._database.transaction() as conn:
            cursor = await conn.execute(
                """insert into rate_limits as b (name, tokens, filled_at)
                   values (%(name)s, %(burst)s - %(count)s, clock_timestamp())
                   on conflict (name) do update set filled_at = clock_timestamp(),
                       tokens = least(%(burst)s, b.tokens + %(rate)s * greatest(0, extract(epoch from
                           clock_timestamp() - b.filled_at))) - %(count)s
                   where b.paused_until <= clock_timestamp()
                       and least(%(burst)s, b.tokens + %(rate)s * greatest(0, extract(epoch from
                           clock_timestamp() - b.filled_at))) >= %(count)s
                   returning 0 as granted""",
                values,
            )
            if await cursor.fetchone() is not None:
                return 0.0
            cursor = await conn.execute(
                """select greatest(0.05,
                       extract(epoch from paused_until - clock_timestamp()),
                       (%(count)s - tokens) / %(rate)s - greatest(0, extract(epoch from clock_timestamp() - filled_at)))
                       ::double precision as wait
                   from rate_limits where name = %(name)s""",
                values,
            )
            row = await cursor.fetchone()
            return float(row["wait"]) if row else 0.05

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """Nobody gets a token for so long; then one at a time, as fast as the bucket fills."""
        async with self._database.transaction() as conn:
            await conn.execute(
                """insert into rate_limits as b (name, tokens, filled_at, paused_until)
                   values (%(name)s, 1, clock_timestamp() + %(for)s, clock_timestamp() + %(for)s)
                   on conflict (name) do update set tokens = least(b.tokens, 1),
                       filled_at = greatest(b.filled_at, excluded.filled_at),
                       paused_until = greatest(b.paused_until, excluded.paused_until)""",
                {"name": bucket.name, "for": f"{seconds} seconds"},
            )


class LimitedClient(GuardedClient):
    """A `GuardedClient` that answers 429 itself, with `retry-after`, where a bucket is empty: nothing is sent.

    An answer that holds for the whole account (401, 402, 429) pauses its bucket for every process.
    """

    def __init__(
        self, limits: SharedLimits, bucket_of: Callable[[str, str], Bucket | None], **client: Any
    ) -> None:
        """`bucket_of(method, url)` names the bucket of a request; `client` is what `GuardedClient` takes."""
        super().__init__(**client)
        self._limits = limits
        self._bucket_of = bucket_of

    async def request(self, method: str, url: str, **parts: Any) -> Response:
        """As `GuardedClient.request`, when it is this request's turn."""
        bucket = self._bucket_of(method, url)
        if bucket is None:
            return await self._sent(None, method, url, **parts)
        wait = await self._limits.take(bucket)
        if wait > 0:
            return Response(THROTTLED, {"retry-after": f"{wait:.2f}"}, b"")
        return await self._sent(bucket, method, url, **parts)

    async def reserve(self, method: str, url: str) -> float:
        """Take the token of a request that needs preparing; 0, or seconds until there is one (nothing is taken)."""
        bucket = self._bucket_of(method, url)
        return 0.0 if bucket is None else await self._limits.take(bucket)

    async def request_reserved(self, method: str, url: str, **parts: Any) -> Response:
        """As `request`, for one whose token `reserve` has taken."""
        return await self._sent(self._bucket_of(method, url), method, url, **parts)

    async def _sent(self, bucket: Bucket | None, method: str, url: str, **parts: Any) -> Response:
        answer = await super().request(method, url, **parts)
        if bucket is not None and (seconds := _pause_after(answer.status, answer.headers)) is not None:
            await self._limits.pause(bucket, seconds)
        return answer


def _pause_after(status: int, headers: Mapping[str, str]) -> float | None:
    if status != THROTTLED:
        return REFUSED_FOR_ALL.get(status)
    told = headers.get("retry-after", "")
    return min(float(told), LONGEST_PAUSE_S) if told.isdigit() else USUAL_PAUSE_S
