"""Removing deleted pictures for good, once the time for undo is over: the mark, the file, the row, in this order.

Each step may be the last before a kill: what is marked is found again and gone on with, and no file outlives its row.
"""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio.db import StudioDatabase
from portraitist.studio.images import repository
from portraitist.studio.images.domain import UNDO_FOR

log = logger(__name__)
AT_ONCE = 200


@dataclass(frozen=True)
class Purge:
    """Safe to run in every worker at the same time."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock

    async def sweep(self) -> int:
        """Remove what was deleted long enough ago; returns how many pictures. Raises KitError; try again then."""
        cutoff = self.clock.now() - UNDO_FOR
        async with self.db.system() as tx:
            due = await repository.deleted_before(tx, cutoff, AT_ONCE)
        of_member: dict[str, list[UUID]] = defaultdict(list)
        for row in due:
            of_member[row.user_id].append(row.id)
        for user_id, image_ids in of_member.items():
            await self._remove(user_id, image_ids)
        if due:
            log.info("images.purged", pictures=len(due))
        return len(due)

    async def _remove(self, user_id: str, image_ids: list[UUID]) -> None:
        now = self.clock.now()
        async with self.db.member(user_id) as tx:
            images = await repository.begin_purge(tx, image_ids, now - UNDO_FOR, now)
        failpoints.hit("images.purging")
        for image in images:
            await self.objects.delete(image.small_key)
            await self.objects.delete(image.object_key)
            failpoints.hit("images.file_gone")
            async with self.db.member(user_id) as tx:
                await repository.forget(tx, image.id)
