"""Insurance: a training's weights are copied into our storage, beside everything else and in the way of nothing.

A job of its own on rows of its own: a training is promoted whether or not its copy is made. A copy that broke off
is made again. The one writer of `weights_archives`.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from portraitist.kit import failpoints, jobs
from portraitist.kit.clock import Clock
from portraitist.kit.errors import KitError
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.db import DueRow, StudioDatabase, SystemTx, UserTx
from portraitist.studio.leases import leased_from
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    ProviderOutputTooLarge,
    ProviderRefused,
    ProviderUntrustedAddress,
)
from portraitist.studio.training import weights_file
from portraitist.studio.training.domain import Training
from portraitist.studio.training.late_zips import LATEST
from portraitist.studio.training.weights_file import NotWeights
from portraitist.studio.training.weights_parts import Parts

log = logger(__name__)
JOB = "weights"
MAX_BYTES = 512 * 2**20  # three times the largest seen
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=24)
TRIES_WHEN_UNUSABLE = 12  # about five days; what comes is cut off or no weights
TRIES_WHEN_GONE = 3  # an address that is refused may be late, not longer


class Status(StrEnum):
    """Where a copy stands. The database knows the same closed set."""

    WANTED = "wanted"
    STORED = "stored"
    LOST = "lost"


@dataclass(frozen=True)
class Archive:
    """One row of `weights_archives`. `reason` is why it is not stored (yet)."""

    user_id: str
    training_id: UUID
    account_id: str
    status: Status
    url: str
    tries: int
    next_check_at: datetime
    object_key: str | None
    size: int | None
    sha256: bytes | None
    reason: str | None

    def failed(self, reason: str, now: datetime, *, most: int | None) -> "Archive":
        """Tried in vain: again after a longer pause, or given up with the reason after `most` tries (None: never)."""
        tries = self.tries + 1
        status = Status.LOST if most is not None and tries >= most else Status.WANTED
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self.tries)
        return replace(self, status=status, tries=tries, next_check_at=now + pause, reason=reason[:500])

    def stored(self, key: str, data: bytes, sha256: bytes, now: datetime) -> "Archive":
        """Copied, checked and ours."""
        ours = replace(self, status=Status.STORED, object_key=key, size=len(data), sha256=sha256, reason=None)
        return replace(ours, next_check_at=now)


@dataclass(frozen=True)
class Insurance:
    """Copies weights, one file at a time in a process: they are large."""

    db: StudioDatabase
    objects: ObjectStore
    providers: Mapping[str, Provider]
    clock: Clock
    _one: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def want(self, training: Training) -> None:
        """Have the weights that a training's output names copied; a second wish changes nothing."""
        output = training.raw_output
        url = output.get("weights") if isinstance(output, dict) else None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            return
        now = self.clock.now()
        async with self.db.member(training.user_id) as tx:
            if await _insert(tx, training, url, now):
                failpoints.hit("weights.wanted")
                await jobs.enqueue(tx.conn, JOB, str(training.id), user_id=tx.user_id, priority=-1)

    async def copy(self, training_id: str, user_id: str) -> None:
        """The job: make the copy if it is still wanted and due. Safe to run twice."""
        async with self._one:
            async with self.db.member(user_id) as tx:
                archive = await _get(tx, UUID(training_id))
            if archive is None or archive.status != Status.WANTED or archive.next_check_at > self.clock.now():
                return
            after = await self._copied(archive)
            failpoints.hit("weights.put")
            async with self.db.member(user_id) as tx:
                await _save(tx, after)
            failpoints.hit("weights.saved")
            log.info("weights", training=training_id, status=str(after.status), reason=after.reason)

    async def _copied(self, archive: Archive) -> Archive:
        provider = self.providers.get(archive.account_id)
        if provider is None:
            return archive.failed("its account is not configured", self.clock.now(), most=None)
        key = f"members/{archive.user_id}/trainings/{archive.training_id}/weights.tar"
        parts = _parts(self.objects, archive.user_id, archive.training_id)
        try:
            data = await self._fetched(archive, provider, parts)
            try:
                await self.objects.put_new(key, data)
            except ObjectExists:  # an earlier try got this far; what it stored counts, if it is whole
                data = await self.objects.get(key)
                await asyncio.to_thread(weights_file.check, data)
            await parts.forget()
        except (ProviderError, KitError, NotWeights) as exc:
            after = archive.failed(str(exc), self.clock.now(), most=_most_tries(exc))
            if after.status is Status.LOST:
                await parts.forget()
            return after
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
        return archive.stored(key, data, digest, self.clock.now())

    async def _fetched(self, archive: Archive, provider: Provider, parts: Parts) -> bytes:
        """The archive, whole and readable; parts that don't make one are thrown away."""

        async def progressed() -> None:
            async with self.db.member(archive.user_id) as tx:
                await _hold(tx, archive.training_id, leased_from(self.clock.now()))

        data = await parts.fetched(provider, archive.url, progressed)
        try:
            await asyncio.to_thread(weights_file.check, data)
        except NotWeights:
            await parts.forget()
            raise
        return data


@dataclass(frozen=True)
class LateParts:
    """Parts that came after the copy was made, from a worker that was slow or died. Safe to run in every worker."""

    db: StudioDatabase
    objects: ObjectStore
    clock: Clock

    async def sweep(self) -> int:
        """Look once at each copy that was settled long enough ago; how many. Raises KitError; again then."""
        now = self.clock.now()
        async with self.db.system() as tx:
            due = await _settled_before(tx, now - LATEST, 100)
        for row in due:
            await _parts(self.objects, row.user_id, row.id).forget()
            async with self.db.member(row.user_id) as tx:
                await _parts_cleared(tx, row.id, now)
        return len(due)


def _parts(objects: ObjectStore, user_id: str, training_id: UUID) -> Parts:
    return Parts(objects, f"members/{user_id}/trainings/{training_id}/weights-parts", MAX_BYTES)


def _most_tries(exc: Exception) -> int | None:
    """After how many tries the weights are lost; never while they may still be there."""
    if isinstance(exc, ProviderRefused):
        return None if exc.is_of_the_account else TRIES_WHEN_GONE
    unusable = isinstance(exc, NotWeights | ProviderUntrustedAddress | ProviderOutputTooLarge)
    return TRIES_WHEN_UNUSABLE if unusable else None


async def claim_due(tx: SystemTx, now: datetime, limit: int) -> list[DueRow]:
    """Copies whose time has come, leased to the job that the sweeper gives each."""
    return await tx.all(
        DueRow,
        """with due as (
               select training_id from weights_archives where status = 'wanted' and next_check_at <= %s
                   and coalesce(leased_until, '-infinity') <= %s
               order by next_check_at limit %s for update skip locked)
           update weights_archives set leased_until = %s from due
           where weights_archives.training_id = due.training_id
           returning weights_archives.training_id as id, weights_archives.user_id""",
        (now, now, limit, leased_from(now)),
    )


async def _settled_before(tx: SystemTx, cutoff: datetime, limit: int) -> list[DueRow]:
    return await tx.all(
        DueRow,
        """select training_id as id, user_id from weights_archives
           where status <> 'wanted' and parts_cleared_at is null and next_check_at <= %s
           order by next_check_at limit %s""",
        (cutoff, limit),
    )


async def _parts_cleared(tx: UserTx, training_id: UUID, now: datetime) -> None:
    await tx.run(
        "update weights_archives set parts_cleared_at = %s where training_id = %s", (now, training_id)
    )


async def _insert(tx: UserTx, training: Training, url: str, now: datetime) -> bool:
    return (
        await tx.run(
            """insert into weights_archives (user_id, training_id, account_id, status, url, next_check_at,
                   leased_until, created_at)
               values (%s, %s, %s, 'wanted', %s, %s, %s, %s) on conflict (training_id) do nothing""",
            (training.user_id, training.id, training.account_id, url, now, leased_from(now), now),
        )
        == 1
    )


async def _get(tx: UserTx, training_id: UUID) -> Archive | None:
    return await tx.maybe(
        Archive,
        """select user_id, training_id, account_id, status, url, tries, next_check_at, object_key,
               bytes as size, sha256,
               reason from weights_archives where training_id = %s""",
        (training_id,),
    )


async def _hold(tx: UserTx, training_id: UUID, until: datetime) -> None:
    """It comes in parts: the sweep leaves it to this job for longer."""
    await tx.run("update weights_archives set leased_until = %s where training_id = %s", (until, training_id))


async def _save(tx: UserTx, after: Archive) -> None:
    # `wanted` guards it: of two that copied at once the first counts, and they copied the same
    await tx.run(
        """update weights_archives set status = %(status)s, tries = %(tries)s, next_check_at = %(next_check_at)s,
               leased_until = null, object_key = %(object_key)s, bytes = %(size)s, sha256 = %(sha256)s,
               reason = %(reason)s
           where training_id = %(training_id)s and status = 'wanted'""",
        vars(after),
    )
