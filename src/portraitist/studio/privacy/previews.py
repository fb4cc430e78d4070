"""The operator's timer for pictures that were never saved: announced, then deleted, with a week to have them back.

Off unless the operator has set it. Saving a picture, or making it a favourite, keeps it.
"""

from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.images import previews as pictures
from portraitist.studio.notices import service as notices
from portraitist.studio.notices.domain import Kind
from portraitist.studio.oversight import holds
from portraitist.studio.privacy import repository_previews as repository
from portraitist.studio.privacy.timers import PreviewTimer, due_before

log = logger(__name__)
AT_ONCE = 200


@dataclass(frozen=True)
class Previews:
    """Safe to run in every worker at the same time. `kept_for`: how long after they were made; None: for good."""

    db: StudioDatabase
    clock: Clock
    kept_for: timedelta | None

    async def sweep(self) -> int:
        """Announce and delete what is due; how many pictures were deleted."""
        if self.kept_for is None:
            return 0
        async with self.db.system() as tx:
            due = await pictures.owners(tx, due_before(self.kept_for, self.clock.now()), AT_ONCE)
        deleted = 0
        for member in due:
            async with self.db.member(member.user_id) as tx:
                deleted += await self._told_or_struck(tx, self.kept_for)
            failpoints.hit("previews.struck")
        if deleted:
            log.info("previews.time_over", pictures=deleted)
        return deleted

    async def _told_or_struck(self, tx: UserTx, kept_for: timedelta) -> int:
        now = self.clock.now()
        if await holds.is_held(tx):
            return 0
        timer = await repository.get(tx)
        if timer is None:
            announced = PreviewTimer.announced(kept_for, now)
            await repository.save(tx, announced)
            day = f"{announced.strikes_at:%Y-%m-%d}"
            await notices.tell(tx, Kind.PREVIEWS_ANNOUNCED, day, now, on=day)
            return 0
        if not timer.strikes(now):
            return 0
        await repository.remove(tx)
        return await pictures.delete(tx, min(timer.made_until, now - kept_for), now)


async def see(tx: UserTx) -> PreviewTimer | None:
    """What is announced to the member."""
    return await repository.get(tx)
