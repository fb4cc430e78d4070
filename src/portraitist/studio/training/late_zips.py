"""Zips of photos that came too late: stored by a worker that was slow, or died, when another had ended the training.

Each training is looked at once more when no such worker can be under way any longer. The one writer of
`photos_cleared_at`; what a step itself clears away is `photos`'.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio.db import DueRow, StudioDatabase, SystemTx, UserTx
from portraitist.studio.training import photos

log = logger(__name__)
LATEST = timedelta(minutes=15)
"""How long after a run's end a step that packs photos may still be storing them: three times the storage's patience."""
AT_ONCE = 100


@dataclass(frozen=True)
class LateZips:
    """Safe to run in every worker at the same time."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock

    async def sweep(self) -> int:
        """Clear away what lies there of runs that ended long enough ago; how many zips. Raises KitError; again then."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await _ended_before(tx, now - LATEST, AT_ONCE)
        found = 0
        for row in due:
            found += await photos.delete_zips(self.objects, row.user_id, row.id)
            failpoints.hit("photos.cleared")
            async with self.db.member(row.user_id) as tx:
                await _cleared(tx, row.id, now)
        if found:
            log.warning("training.late_zips", zips=found)
        return found


async def _ended_before(tx: SystemTx, cutoff: datetime, limit: int) -> list[DueRow]:
    return await tx.all(
        DueRow,
        """select id, user_id from trainings
           where photos_cleared_at is null and coalesce(succeeded_at, finished_at) <= %s
           order by coalesce(succeeded_at, finished_at) limit %s""",
        (cutoff, limit),
    )


async def _cleared(tx: UserTx, training_id: UUID, now: datetime) -> None:
    await tx.run("update trainings set photos_cleared_at = %s where id = %s", (now, training_id))
