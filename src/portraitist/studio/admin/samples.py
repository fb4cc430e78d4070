"""The one writer of `health_samples`: how the studio was, once a minute. SQL only."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import LiteralString

from portraitist.studio.db import SystemTx


@dataclass(frozen=True)
class Sample:
    """How the studio was at a full minute. Storage: None where nobody knows, or where it was not counted."""

    at: datetime
    due: int
    oldest_due_s: float
    waiting: int
    in_flight: int
    workers: int
    engine_reachable: bool
    engine_ms: float
    database_ms: float
    database_bytes: int
    storage_ok: bool
    storage_bytes: int | None
    storage_free: int | None


COLUMNS: LiteralString = ", ".join(field.name for field in fields(Sample))


async def taken(tx: SystemTx, minute: datetime) -> bool:
    """Whether some worker has looked in this minute already."""
    return await tx.value("select 1 as there from health_samples where at = %s", (minute,)) is not None


async def add(tx: SystemTx, sample: Sample) -> None:
    """Keep a sample; where two workers looked in the same minute, the first one's stays."""
    places = ", ".join(f"%({field.name})s" for field in fields(Sample))
    await tx.run(
        f"insert into health_samples ({COLUMNS}) values ({places}) on conflict (at) do nothing",  # noqa: S608
        asdict(sample),
    )


async def clear(tx: SystemTx, before: datetime) -> int:
    """Remove what is older; how many."""
    return await tx.run("delete from health_samples where at < %s", (before,))


async def counted_at(tx: SystemTx) -> datetime | None:
    """When the storage was last counted."""
    found: datetime | None = await tx.value(
        "select max(at) as at from health_samples where storage_bytes is not null"
    )
    return found


async def latest(tx: SystemTx) -> Sample | None:
    """The newest sample, with the storage as it was last counted."""
    return await tx.maybe(
        Sample,
        """select at, due, oldest_due_s, waiting, in_flight, workers, engine_reachable, engine_ms, database_ms,
               database_bytes, storage_ok, storage_free,
               coalesce(storage_bytes, (select s.storage_bytes from health_samples s where s.storage_bytes is not null
                   order by s.at desc limit 1)) as storage_bytes
           from health_samples order by at desc limit 1""",
    )


async def between(tx: SystemTx, since: datetime, step: timedelta) -> list[Sample]:
    """Samples since then, one for each step of time: the worst of it, and the newest of what only grows."""
    return await tx.all(
        Sample,
        """select date_bin(%(step)s, at, %(since)s) as at, max(due) as due, max(oldest_due_s) as oldest_due_s,
               max(waiting) as waiting, max(in_flight) as in_flight, min(workers) as workers,
               bool_and(engine_reachable) as engine_reachable, max(engine_ms) as engine_ms,
               max(database_ms) as database_ms, max(database_bytes) as database_bytes,
               bool_and(storage_ok) as storage_ok, max(storage_bytes) as storage_bytes,
               min(storage_free) as storage_free
           from health_samples where at >= %(since)s group by 1 order by 1""",
        {"since": since, "step": step},
    )
