"""The provider's rates in the simulation: token buckets in memory, and a record of what really went out.

The product's own `LimitedClient` keeps to them; `MemoryLimits` stands where the kit's table of buckets stands.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from portraitist.kit.http import Response
from portraitist.kit.limits import Bucket, LimitedClient
from tests.simulation.remote import SimulatedHttp
from tests.simulation.scheduler import Scheduler

CREATES_PER_MINUTE, OTHERS_PER_MINUTE = 3.0, 60.0
"""Of those schedules that have rates; low enough to be in the way."""
LEAST_S = 0.05


@dataclass
class Level:
    """One row of `rate_limits`."""

    tokens: float
    filled_at: datetime
    paused_until: datetime


@dataclass
class MemoryLimits:
    """`kit.limits.SharedLimits` on a virtual clock."""

    scheduler: Scheduler
    levels: dict[str, Level] = field(default_factory=dict)
    refused: int = 0

    async def take(self, bucket: Bucket, count: int = 1) -> float:
        """0 where the tokens were had, else the seconds until they may be."""
        await self.scheduler.pause("rate")
        now = self.scheduler.clock.now()
        level = self.levels.setdefault(bucket.name, Level(bucket.burst, now, now))
        passed = max(0.0, (now - level.filled_at).total_seconds())
        tokens = min(bucket.burst, level.tokens + bucket.per_second * passed)
        if level.paused_until <= now and tokens >= count:
            level.tokens, level.filled_at = tokens - count, now
            return 0.0
        self.refused += 1
        paused = (level.paused_until - now).total_seconds()
        return max(LEAST_S, paused, (count - level.tokens) / bucket.per_second - passed)

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """Nobody gets one for so long; then one at a time."""
        await self.scheduler.pause("rate")
        end = self.scheduler.clock.now() + timedelta(seconds=seconds)
        level = self.levels.setdefault(bucket.name, Level(1.0, end, end))
        level.tokens = min(level.tokens, 1.0)
        level.filled_at, level.paused_until = max(level.filled_at, end), max(level.paused_until, end)


@dataclass
class Record:
    """What went out to the provider, bucket by bucket."""

    sent: dict[str, list[datetime]] = field(default_factory=dict)
    per_minute: dict[str, float] = field(default_factory=dict)

    def note(self, bucket: Bucket, at: datetime) -> None:
        """One request of this bucket."""
        self.sent.setdefault(bucket.name, []).append(at)
        self.per_minute[bucket.name] = bucket.per_minute


class RatedHttp(LimitedClient):
    """The product's client with rates, over `SimulatedHttp`."""

    def __init__(
        self,
        http: SimulatedHttp,
        limits: MemoryLimits,
        bucket_of: Callable[[str, str], Bucket | None],
        record: Record,
    ) -> None:
        self.http, self.record = http, record
        self._limits, self._bucket_of = limits, bucket_of  # type: ignore[assignment]

    async def close(self) -> None:
        """Nothing is open."""


async def sent(client: Any, method: str, url: str, **parts: Any) -> Response:
    """`GuardedClient.request` of a `RatedHttp`: out it goes."""
    assert isinstance(client, RatedHttp), "nothing else speaks HTTP in the simulation"
    bucket = client._bucket_of(method, url)
    if bucket is not None:
        client.record.note(bucket, client.http.scheduler.clock.now())
    return await client.http.request(method, url, **parts)
