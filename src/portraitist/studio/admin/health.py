"""How the studio is: looked at once a minute by one worker of the fleet, and kept for a week for the admin's plots.

Numbers of the whole studio only. What they are drawn as is the pages'.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitist.kit import jobs
from portraitist.kit.clock import Clock
from portraitist.kit.objects import ObjectStore, StorageUnavailable
from portraitist.studio.admin import samples
from portraitist.studio.admin.samples import Sample
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation.overview import GENERATIONS
from portraitist.studio.provider.port import Provider, ProviderError
from portraitist.studio.training import overview

KEPT = timedelta(days=7)
STORAGE_EVERY = timedelta(hours=1)
LOOK_S = 3.0
POINTS = 96
"""A plot has as many: a quarter of an hour each for a day."""


@dataclass(frozen=True)
class Storage:
    """What the storage says of itself. None: not known, or not counted this time."""

    ok: bool
    used: int | None
    free: int | None


@dataclass(frozen=True)
class Sampler:
    """Safe to run in every worker at the same time. `silent_s`: when a worker counts as gone."""

    db: StudioDatabase
    objects: ObjectStore
    provider: Provider
    clock: Clock
    silent_s: float

    async def sweep(self) -> bool:
        """Look, unless another worker has in this minute; whether it was our turn. Raises KitError; again then."""
        now = self.clock.now()
        minute = now.replace(second=0, microsecond=0)
        async with self.db.system() as tx:
            if await samples.taken(tx, minute):
                return False
            counted = await samples.counted_at(tx)
        storage = await self._storage(counted is None or counted <= now - STORAGE_EVERY)
        reachable, engine_ms = await self._engine()
        begun = time.perf_counter()
        async with self.db.system() as tx:
            training, drawing = await overview.queue(tx, now), await overview.queue(tx, now, GENERATIONS)
            size = int(await tx.value("select pg_database_size(current_database()) as bytes"))
            workers = await jobs.alive(tx.conn, self.silent_s)
        database_ms = _since(begun)
        sample = Sample(
            at=minute,
            due=training.due + drawing.due,
            oldest_due_s=max(training.oldest_due_s, drawing.oldest_due_s),
            waiting=training.waiting + drawing.waiting,
            in_flight=training.in_flight + drawing.in_flight,
            workers=workers,
            engine_reachable=reachable,
            engine_ms=engine_ms,
            database_ms=database_ms,
            database_bytes=size,
            storage_ok=storage.ok,
            storage_bytes=storage.used,
            storage_free=storage.free,
        )
        async with self.db.system() as tx:
            await samples.add(tx, sample)
            await samples.clear(tx, now - KEPT)
        return True

    async def _storage(self, counting: bool) -> Storage:
        try:
            free = await self.objects.free_bytes()
            used = await self.objects.used_bytes() if counting else None
            if not counting and free is None:
                await self.objects.list("status")
        except StorageUnavailable:
            return Storage(False, None, None)
        return Storage(True, used, free)

    async def _engine(self) -> tuple[bool, float]:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(LOOK_S):
                await self.provider.account()
        except (ProviderError, TimeoutError):
            return False, _since(begun)
        return True, _since(begun)


@dataclass(frozen=True)
class History:
    """The newest sample, and how it came to be: one sample for each `step`, the worst of it."""

    latest: Sample | None
    past: Sequence[Sample]
    since: datetime
    step: timedelta


async def history(db: StudioDatabase, over: timedelta, now: datetime) -> History:
    """The time up to now, in so many points that a plot has; they begin at round times of the day."""
    step = over / POINTS
    latest = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = latest + math.ceil((now - latest) / step) * step - over
    async with db.system() as tx:
        return History(await samples.latest(tx), await samples.between(tx, since, step), since, step)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
