"""Small copies of pictures, made by the worker when one is asked for that is not there yet: old ones, and new ones.

Nothing waits for them: until a copy is there the picture itself is shown, and a copy that was not made is asked for
again by whoever looks next.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from portraitist.kit import failpoints, jobs
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectMissing, ObjectStore
from portraitist.studio import pictures
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.images import repository
from portraitist.studio.images.domain import Image

log = logger(__name__)
JOB = "small copies"
AFTER_ALL_ELSE = -2


async def ask(tx: UserTx, image: Image) -> None:
    """Have the copies of this picture's generation made, once the worker has nothing else to do."""
    await jobs.enqueue(tx.conn, JOB, str(image.generation_id), user_id=tx.user_id, priority=AFTER_ALL_ELSE)


@dataclass(frozen=True)
class Copies:
    """Safe to run in every worker at once: a copy is put create-only, and the first one counts."""

    db: StudioDatabase
    objects: ObjectStore
    shrink: Callable[[bytes], bytes]
    """A signed small copy of a stored picture; for a thread."""

    async def make(self, generation_id: str, user_id: str) -> None:
        """The copies that pictures of this generation lack. Raises SigningFailed, KitError."""
        async with self.db.member(user_id) as tx:
            found = await repository.of_generations(tx, [UUID(generation_id)])
        for image in found:
            if image.small_bytes is None and image.deleted_at is None:
                await self._make(image)

    async def _make(self, image: Image) -> None:
        try:
            data = await self.objects.get(image.object_key)
        except ObjectMissing:
            log.warning("images.file_missing", image=str(image.id))
            return
        copy = await asyncio.to_thread(self.shrink, data)
        try:
            await self.objects.put_new(image.small_key, copy)
        except ObjectExists:  # of a try that was cut off before it was entered
            copy = await self.objects.get(image.small_key)
        failpoints.hit("copies.put")
        seen = await asyncio.to_thread(pictures.read, copy)
        async with self.db.member(image.user_id) as tx:
            entered = await repository.enter_small(tx, image.id, len(copy), seen.tint or 0)
        if not entered:  # erased meanwhile: no file without a row
            await self.objects.delete(image.small_key)
