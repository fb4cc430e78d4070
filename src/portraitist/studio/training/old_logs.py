"""Logs of trainings that ended long ago: the tail of the provider's log and its raw answer are removed.

The training itself stays, with its numbers. The one writer of `logs_cleared_at`; how long is a setting.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.studio.db import DueRow, StudioDatabase, SystemTx, UserTx

AT_ONCE = 200


@dataclass(frozen=True)
class OldLogs:
    """Safe to run in every worker at the same time. `kept_for`: how long after the training's end."""

    db: StudioDatabase
    clock: Clock
    kept_for: timedelta

    async def sweep(self) -> int:
        """Clear what is old enough; of how many trainings."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await _ended_before(tx, now - self.kept_for, AT_ONCE)
        for row in due:
            async with self.db.member(row.user_id) as member:
                await _clear(member, row.id, now)
            failpoints.hit("logs.cleared")
        return len(due)


async def _ended_before(tx: SystemTx, cutoff: datetime, limit: int) -> list[DueRow]:
    return await tx.all(
        DueRow,
        """select id, user_id from trainings where logs_cleared_at is null and finished_at <= %s
               and user_id not in (select user_id from legal_holds where released_at is null)
           order by finished_at limit %s""",
        (cutoff, limit),
    )


async def _clear(tx: UserTx, training_id: UUID, now: datetime) -> None:
    await tx.run(
        "update trainings set logs_tail = '', raw_output = null, logs_cleared_at = %s where id = %s",
        (now, training_id),
    )
