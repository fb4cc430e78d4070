"""What moves a set on: ask for its next shot, wait, finish. One transaction per step, each safe to run twice.

A shot's generation and the item that names it are entered together: a worker that is killed leaves both or neither.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from portraitist.kit import jobs
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import Conflict, StudioError, TooMany, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.generation import service as generation
from portraitist.studio.generation.endpoints import NO_MODEL
from portraitist.studio.leases import leased_from
from portraitist.studio.photoshoot import domain, repository, service
from portraitist.studio.photoshoot.domain import (
    LATER,
    Ask,
    Finish,
    Item,
    ItemStatus,
    PhotoSet,
    Resume,
    SetStatus,
    Why,
)
from portraitist.studio.photoshoot.service import JOB
from portraitist.studio.prompting.craft import SUBJECT
from portraitist.studio.prompting.refusing import Refusals

log = logger(__name__)
AT_ONCE = 200
STEPS_AT_ONCE = 20


@dataclass(frozen=True)
class Photoshoots:
    """The worker's part of sets; safe to run in every worker at the same time. `per_day`: the members' quota."""

    db: StudioDatabase
    clock: Clock
    new_seed: Callable[[], int]
    refusals: Refusals
    per_day: int | None

    async def sweep(self) -> int:
        """A job for each set that can go on; returns how many."""
        async with self.db.system() as tx:
            due = await service.claim_due(tx, self.clock.now(), AT_ONCE)
            await jobs.enqueue_all(tx.conn, JOB, [(str(row.id), row.user_id) for row in due], priority=1)
        return len(due)

    async def advance(self, set_id: str, user_id: str) -> None:
        """Go on with one set until it has to wait or is over. Safe to run twice, and at once."""
        for _ in range(STEPS_AT_ONCE):
            try:
                if not await self._went_on(UUID(set_id), user_id):
                    return
            except StudioError as exc:  # the member is being erased, or is held: nothing new begins
                log.info("photoshoot.put_off", set=set_id, code=exc.code)
                await self._put_off(UUID(set_id), user_id)
                return

    async def _went_on(self, set_id: UUID, user_id: str) -> bool:
        now = self.clock.now()
        async with self.db.member(user_id) as tx:
            photo_set = await repository.get(tx, set_id)
            if photo_set is None:
                return False
            match domain.next_step(photo_set, await repository.items(tx, set_id), now):
                case Ask(item):
                    return await self._ask(tx, photo_set, item)
                case Resume():
                    return await _saved(tx, photo_set.running(), self)
                case Finish():
                    return await _saved(tx, photo_set.over(SetStatus.DONE, now), self)
                case _:
                    await repository.release(tx, photo_set)
                    return False

    async def _ask(self, tx: UserTx, photo_set: PhotoSet, item: Item) -> bool:
        """Have the shot drawn; the set's own row is taken first, so that nobody else asks for it meanwhile."""
        if not await _saved(tx, photo_set, self):
            return False
        taken = replace(photo_set, revision=photo_set.revision + 1)
        try:
            async with tx.conn.transaction():  # what is refused leaves nothing behind
                after = await self._asked(tx, photo_set, item)
        except TooMany as exc:
            resumes_at = self.clock.now() + timedelta(seconds=exc.retry_after_s)
            return await _saved(tx, taken.paused(Why.QUOTA, resumes_at), self)
        except (Unprocessable, Conflict) as exc:
            if exc.code in NO_MODEL:
                return await _saved(tx, taken.paused(Why.MODEL, None), self)
            after = replace(
                item,
                status=ItemStatus.REFUSED,
                error_code=exc.code,
                error=exc.message,
                next_step=exc.next_step,
            )
        await repository.save_item(tx, photo_set.id, after)
        return True

    async def _asked(self, tx: UserTx, photo_set: PhotoSet, item: Item) -> Item:
        member = await accounts.me(tx)
        made = await generation.ask(
            tx,
            item.prompt.replace(SUBJECT, member.subject_word),
            key=domain.key_of(photo_set, item),
            new_seed=self.new_seed,
            now=self.clock.now(),
            per_day=self.per_day,
            refusals=self.refusals,
            title=item.title,
            look=item.look,
        )
        return replace(item, status=ItemStatus.ASKED, generation_id=made.id)

    async def _put_off(self, set_id: UUID, user_id: str) -> None:
        async with self.db.member(user_id) as tx:
            photo_set = await repository.get(tx, set_id)
            if photo_set is not None and photo_set.status is SetStatus.RUNNING:
                await _saved(tx, photo_set.paused(Why.STUDIO, self.clock.now() + LATER), self)


async def _saved(tx: UserTx, after: PhotoSet, shoots: Photoshoots) -> bool:
    """Store the set's next state and tell its pages; False where it has moved on since it was read."""
    lease = leased_from(shoots.clock.now()) if after.status is SetStatus.RUNNING else None
    if not await repository.save(tx, after, lease):
        return False
    await events.announce(tx, JOB, after.id)
    return True
