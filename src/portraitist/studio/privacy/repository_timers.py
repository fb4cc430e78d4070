"""The one writer of `photo_timers`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from portraitist.studio.db import SystemTx, UserTx
from portraitist.studio.privacy.timers import PhotoTimer


@dataclass(frozen=True)
class DueMember:
    """A member whose last completed training ended long enough ago, and when that was."""

    user_id: str
    trained_at: datetime


async def get(tx: UserTx, *, lock: bool = False) -> PhotoTimer:
    """The member's timer; one that says nothing where there is none."""
    query: LiteralString = "select keeps, trained_at, announced_at, strikes_at, done_for from photo_timers"
    locked: LiteralString = f"{query} for update"
    return await tx.maybe(PhotoTimer, locked if lock else query) or PhotoTimer()


async def save(tx: UserTx, timer: PhotoTimer) -> None:
    """The timer as it is from now on."""
    await tx.run(
        """insert into photo_timers (user_id, keeps, trained_at, announced_at, strikes_at, done_for)
           values (%(user_id)s, %(keeps)s, %(trained_at)s, %(announced_at)s, %(strikes_at)s, %(done_for)s)
           on conflict (user_id) do update set keeps = excluded.keeps, trained_at = excluded.trained_at,
               announced_at = excluded.announced_at, strikes_at = excluded.strikes_at, done_for = excluded.done_for""",
        vars(timer) | {"user_id": tx.user_id},
    )


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove the member's timer; how many rows."""
    return {"photo_timers": await tx.run("delete from photo_timers")}


async def due(tx: SystemTx, before: datetime, limit: int) -> list[DueMember]:
    """Members whose last training was completed before then, unless they keep their photos or those are gone."""
    return await tx.all(
        DueMember,
        """select t.user_id, max(t.finished_at) as trained_at from trainings t
           left join photo_timers p on p.user_id = t.user_id
           where t.status = 'completed' and not coalesce(p.keeps, false)
               and coalesce(p.done_for, '-infinity') < t.finished_at
               and t.user_id not in (select user_id from legal_holds where released_at is null)
           group by t.user_id having max(t.finished_at) <= %s order by 2 limit %s""",
        (before, limit),
    )
