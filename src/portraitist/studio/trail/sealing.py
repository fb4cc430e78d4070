"""Chaining what was committed, in batches, and noting the chain's head outside of the database.

One transaction at a time seals, under a lock that nobody waits for; whoever appends an event waits for nothing. The
newest head of each day stays in the storage as the name of an empty file.
"""

import contextlib
from dataclasses import dataclass

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.db import StudioDatabase
from portraitist.studio.trail import repository
from portraitist.studio.trail.domain import GENESIS, Head, Link, sealed

log = logger(__name__)
FOLDER = "audit"
AT_ONCE = 500


@dataclass(frozen=True)
class Sealer:
    """Safe to run in every worker at the same time."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock

    async def sweep(self) -> int:
        """Seal what waits; returns how many events. Raises KitError; again then."""
        count = 0
        while True:
            head, sealed_now = await self._batch()
            if head is not None and sealed_now:
                failpoints.hit("trail.sealed")
                await self._note(head)
            count += sealed_now
            if sealed_now < AT_ONCE:
                return count

    async def _batch(self) -> tuple[Head | None, int]:
        async with self.db.system() as tx:
            if not await repository.may_seal(tx):
                return None, 0
            head = await repository.head(tx) or Head(0, GENESIS)
            links = list[Link]()
            for event in await repository.unsealed(tx, AT_ONCE):
                head = Head(head.seq + 1, sealed(head.digest, head.seq + 1, event))
                links.append(Link(head.seq, head.digest, event))
            if links:
                await repository.seal(tx, links)
        return head, len(links)

    async def _note(self, head: Head) -> None:
        """The head as a file's name; earlier ones of the same day go."""
        today = f"{FOLDER}/{self.clock.now():%Y-%m-%d}"
        before = await self.objects.list(today)
        with contextlib.suppress(ObjectExists):
            await self.objects.put_new(f"{today}/{head.seq}-{head.digest.hex()}", b"")
        for key in before:
            if _head_of(key) < head:
                await self.objects.delete(key)


async def noted(objects: ObjectStore) -> list[Head]:
    """Every head that the storage remembers. Raises KitError."""
    return [_head_of(key) for key in await objects.list(FOLDER)]


def _head_of(key: str) -> Head:
    seq, _, digest = key.rpartition("/")[2].partition("-")
    return Head.parse(f"{seq}:{digest}")
