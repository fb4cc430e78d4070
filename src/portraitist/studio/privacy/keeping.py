"""The promise on how long photos stay: announced, then removed, by the sweeper; and the member's "keep them".

Files go before their rows, so that one that is cut off is gone on with; nothing goes while a training may need it.
"""

from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio.accounts.mail import service as mail
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.notices import service as notices
from portraitist.studio.notices.domain import Kind
from portraitist.studio.oversight import holds
from portraitist.studio.privacy import repository_timers, timers
from portraitist.studio.privacy.repository_timers import DueMember
from portraitist.studio.privacy.timers import PhotoTimer
from portraitist.studio.selfies import erasing as selfies
from portraitist.studio.training import erasing as trainings

log = logger(__name__)
AT_ONCE = 200


@dataclass(frozen=True)
class Keeping:
    """Safe to run in every worker at the same time. `kept_for`: how long after the training."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock
    kept_for: timedelta

    async def sweep(self) -> int:
        """Announce and remove what is due; of how many members photos went. Raises KitError; again then."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await repository_timers.due(tx, timers.due_before(self.kept_for, now), AT_ONCE)
        struck = 0
        for member in due:
            struck += await self._told_or_struck(member)
        if struck:
            log.info("photos.time_over", members=struck)
        return struck

    async def _told_or_struck(self, member: DueMember) -> bool:
        now = self.clock.now()
        async with self.db.member(member.user_id) as tx:
            timer = await repository_timers.get(tx, lock=True)
            if timer.keeps or await holds.is_held(tx):
                return False
            if not timer.is_announced_for(member.trained_at, self.kept_for):
                told = timer.announced(member.trained_at, self.kept_for, now)
                await repository_timers.save(tx, told)
                day = f"{told.strikes_at:%Y-%m-%d}"
                await mail.tell(tx, "photos_announced", now, on=day)
                await notices.tell(tx, Kind.PHOTOS_ANNOUNCED, day, now, on=day)
                return False
            if not timer.strikes(now) or await trainings.is_training(tx):
                return False
            photos = await selfies.files(tx, await trainings.photos_used(tx))
        for key in photos.values():
            await self.objects.delete(key)
            failpoints.hit("keeping.file_gone")
        async with self.db.member(member.user_id) as tx:
            await selfies.forget(tx, list(photos))
            await repository_timers.save(tx, timer.done())
        return True


async def see(tx: UserTx) -> PhotoTimer:
    """What is announced to the member, and what they wish."""
    return await repository_timers.get(tx)


async def keep_photos(tx: UserTx, keeps: bool) -> PhotoTimer:
    """The member's wish: their photos stay, or the timer runs again."""
    timer = (await repository_timers.get(tx, lock=True)).kept(keeps)
    await repository_timers.save(tx, timer)
    return timer
