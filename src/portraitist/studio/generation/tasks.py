"""What moves a generation on: send, find again, observe, store. Each step is load → call → record, safe to run twice.

No transaction is open while the network is used; records are guarded by the row's revision.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.kit import failpoints, jobs
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio import architecture, pictures
from portraitist.studio.architecture import ArchitectureViolation, MappedSchema, ValidatedPrediction
from portraitist.studio.db import StudioDatabase
from portraitist.studio.events import service as events
from portraitist.studio.generation import repository
from portraitist.studio.generation.domain import ENDED, IN_FLIGHT, LOST, Generation, Status, Timing
from portraitist.studio.generation.service import JOB
from portraitist.studio.images import service as images
from portraitist.studio.leases import lease_until
from portraitist.studio.pictures import Picture
from portraitist.studio.provider import logs, wire
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    ProviderNoCredit,
    ProviderNotFound,
    ProviderOutputTooLarge,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnauthorized,
    ProviderUnavailable,
    ProviderUntrustedAddress,
    RemotePrediction,
    RemoteStatus,
)
from portraitist.studio.training import service as training
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.service import ADMISSION

log = logger(__name__)
STEPS_AT_ONCE = 12
PASSING_REFUSALS = (401, 402)  # of the account, not of the picture: an operator mends them
Step = Callable[[Generation, Provider], Awaitable[Generation]]


@dataclass(frozen=True)
class GenerationTasks:
    """The worker's part of generations."""

    db: StudioDatabase
    providers: Mapping[str, Provider]
    objects: ObjectStore
    clock: Clock
    timing: Timing
    callbacks: Callbacks = field(default_factory=Callbacks)

    async def advance(self, generation_id: str, user_id: str) -> None:
        """Move one generation on until it has to wait or has ended. Safe to run twice, and at once."""
        for _ in range(STEPS_AT_ONCE):
            async with self.db.member(user_id) as tx:
                generation = await repository.get(tx, UUID(generation_id))
            if generation is None or not _is_due(generation, self.clock.now()):
                return
            after = await self._step(generation)
            if after is generation or not await self._save(after, _left_its_place(generation, after)):
                return

    async def _step(self, generation: Generation) -> Generation:
        provider = self.providers.get(generation.account_id)
        if provider is None and generation.cancel_requested_at and generation.status is Status.QUEUED:
            return generation.to(Status.CANCELED, self.clock.now())
        if provider is None:
            log.error(
                "generation.account_missing", generation=str(generation.id), account=generation.account_id
            )
            return generation.wait(self.clock.now(), self.timing.pause)
        wished_away = generation.cancel_requested_at and generation.status is not Status.STORING
        step = self._cancel if wished_away else self._steps()[generation.status]
        try:
            return await step(generation, provider)
        except ProviderRateLimited as exc:
            return generation.wait(self.clock.now(), timedelta(seconds=exc.retry_after_s))
        except ProviderError as exc:
            log.warning("generation.provider_away", generation=str(generation.id), reason=str(exc))
            return generation.wait(
                self.clock.now(), self.timing.pause, error_code=exc.code, error=exc.message
            )

    def _steps(self) -> Mapping[Status, Step]:
        return {
            Status.QUEUED: self._start,
            Status.SUBMITTING: self._adopt,
            Status.SUBMITTED: self._observe,
            Status.RUNNING: self._observe,
            Status.STORING: self._store,
        }

    async def _sealed(self, generation: Generation) -> ValidatedPrediction:
        """The one place where a generation becomes a request: the version this row names, or an error."""
        async with self.db.member(generation.user_id) as tx:
            versions = {version.id: version for version, _ in await training.versions(tx)}
        version = versions[generation.model_version_id]
        owner, model = version.replicate_model_id.split("/")
        return architecture.seal_prediction(
            user_id=generation.user_id,
            owner=owner,
            model=model,
            version_id=version.replicate_version_id,
            schema=MappedSchema.from_json(version.input_schema),
            prompt=generation.prompt,
            seed=generation.seed,
            profile=architecture.GENERATION,
        )

    async def _start(self, generation: Generation, provider: Provider) -> Generation:
        try:
            sealed = await self._sealed(generation)
        except ArchitectureViolation as exc:
            return generation.failed(exc.code, str(exc), self.clock.now())
        ready = generation.submitting(self.clock.now(), self.timing)
        if not await self._save(ready):
            return generation
        ready = replace(ready, revision=ready.revision + 1)
        webhook = self.callbacks.url(ready.account_id, "generation", ready.webhook_token)
        failpoints.hit("generation.before_post")
        try:
            remote = await provider.create_prediction(sealed, webhook=webhook)
        except ProviderRateLimited as exc:
            return ready.not_sent(
                self.clock.now(), timedelta(seconds=exc.retry_after_s), exc.code, exc.message
            )
        except (ProviderUnauthorized, ProviderNoCredit) as exc:
            return ready.not_sent(self.clock.now(), self.timing.pause, exc.code, exc.message)
        except ProviderRefused as exc:
            return ready.failed(exc.code, exc.message, self.clock.now())
        except ProviderUnavailable as exc:
            if exc.sent:  # it may be running: found again in the provider's list
                return ready.wait(self.clock.now(), self.timing.poll)
            return ready.not_sent(self.clock.now(), self.timing.poll, exc.code, exc.message)
        failpoints.hit("generation.after_post")
        return ready.submitted(remote.id, self.clock.now())

    async def _adopt(self, generation: Generation, provider: Provider) -> Generation:
        """A start whose answer we do not have: find it by prompt and seed, or be sure that there is none."""
        found = await self._find(generation, provider)
        now = self.clock.now()
        if found is not None:
            log.info("generation.adopted", generation=str(generation.id), provider_id=found.id)
            return generation.submitted(found.id, now)
        assert generation.submitted_at is not None
        if now > generation.submitted_at + self.timing.grace:
            return generation.lost_start(now)
        return generation.wait(now, self.timing.poll)

    async def _find(self, generation: Generation, provider: Provider) -> RemotePrediction | None:
        assert generation.submitted_at is not None
        since = generation.submitted_at - timedelta(minutes=1)  # clocks differ
        for remote in reversed(await provider.list_predictions(since)):
            # the prompt carries the member's trigger word; the seed is unique per member and prompt
            if (
                remote.input.get("seed") == generation.seed
                and remote.input.get("prompt") == generation.prompt
            ):
                return remote
        return None

    async def _observe(self, generation: Generation, provider: Provider) -> Generation:
        assert generation.provider_prediction_id is not None
        now = self.clock.now()
        try:
            remote = await provider.get_prediction(generation.provider_prediction_id)
        except ProviderNotFound:
            return generation.to(Status.LOST_AT_PROVIDER, now, error_code="lost_at_provider", error=LOST)
        generation = replace(generation, unknown_words=list(logs.unknown_words(remote.logs)))
        match remote.status:
            case RemoteStatus.SUCCEEDED if remote.data_removed:
                return generation.to(Status.LOST_AT_PROVIDER, now, error_code="lost_at_provider", error=LOST)
            case RemoteStatus.SUCCEEDED if not remote.output_urls:
                return generation.failed("all_flagged", _FLAGGED, now)
            case RemoteStatus.SUCCEEDED:
                return generation.to(
                    Status.STORING, now, raw_output=remote.output, error_code=None, error=None
                )
            case RemoteStatus.FAILED:
                return _failed(generation, remote, now)
            case RemoteStatus.CANCELED | RemoteStatus.ABORTED:
                return generation.failed("canceled_at_provider", "The engine stopped before the end.", now)
            case _ if generation.overdue(now, self.timing):
                await provider.cancel_prediction(remote.id)
                return generation.failed("took_too_long", "The pictures took too long and were stopped.", now)
            case RemoteStatus.PROCESSING if generation.status is Status.SUBMITTED:
                return generation.to(Status.RUNNING, now, next_check_at=now + self.timing.poll)
            case _:
                return generation.wait(now, self.timing.poll, error_code=None, error=None)

    async def _store(self, generation: Generation, provider: Provider) -> Generation:
        """Download, check, keep and enter each picture; done when all are there."""
        urls = wire.output_indexes(generation.raw_output)
        async with self.db.member(generation.user_id) as tx:
            have = await images.of_generations(tx, [generation.id])
        missing = [(i, url) for i, url in urls if i not in {image.index for image in have[generation.id]}]
        gone, unusable = 0, 0
        later: list[ProviderError] = []
        for index, url in missing:  # each for itself: one that is lost takes no other with it
            try:
                await self._store_one(generation, provider, index, url)
            except (ProviderUnavailable, ProviderRateLimited) as exc:
                later.append(exc)
            except ProviderRefused as exc:
                if exc.http_status in PASSING_REFUSALS:
                    later.append(exc)
                else:  # expired, removed, moved: the address is all we had
                    gone += 1
            except (ProviderUntrustedAddress, ProviderOutputTooLarge, pictures.NotAPicture) as exc:
                log.warning("generation.picture_unusable", generation=str(generation.id), reason=str(exc))
                unusable += 1
        now = self.clock.now()
        if later and not generation.too_late_to_store(now, self.timing):
            raise later[0]
        gone += len(later)
        return generation.stored(len(urls) - gone - unusable, gone, unusable, now)

    async def _store_one(self, generation: Generation, provider: Provider, index: int, url: str) -> None:
        key = images.object_key(generation.user_id, generation.id, index)
        # stored before a kill, its row not yet: the provider may have deleted its own by now
        kept = await images.kept(self.objects, key)
        if kept is None:
            picture = await self._downloaded(provider, url)
            failpoints.hit("generation.downloaded")
            kept = await images.keep(self.objects, key, picture)
        failpoints.hit("generation.put")
        async with self.db.member(generation.user_id) as tx:
            await images.enter(tx, generation.id, index, kept, self.clock.now())
            await events.announce(tx, "generation", generation.id)
        failpoints.hit("generation.entered")

    async def _downloaded(self, provider: Provider, url: str) -> Picture:
        """The picture, whole; what can't be read is fetched once more: it may have been cut on the way."""
        try:
            data = await provider.download(url, pictures.MAX_BYTES)
            return await asyncio.to_thread(pictures.read, data)
        except pictures.NotAPicture:
            data = await provider.download(url, pictures.MAX_BYTES)
            return await asyncio.to_thread(pictures.read, data)

    async def _cancel(self, generation: Generation, provider: Provider) -> Generation:
        now = self.clock.now()
        if generation.status is Status.SUBMITTING:
            found = await self._find(generation, provider)
            assert generation.submitted_at is not None
            if found is None and now <= generation.submitted_at + self.timing.grace:
                return generation.wait(now, self.timing.poll)
            if found is not None:
                await provider.cancel_prediction(found.id)
        elif generation.provider_prediction_id is not None:
            try:
                await provider.cancel_prediction(generation.provider_prediction_id)
            except ProviderNotFound:
                log.info("generation.gone_before_cancel", generation=str(generation.id))
        return generation.to(Status.CANCELED, now, error_code=None, error=None)

    async def _save(self, after: Generation, place_free: bool = False) -> bool:
        failpoints.hit("generation.before_save")
        async with self.db.member(after.user_id) as tx:
            leased_until = lease_until(after.next_check_at, self.clock.now())
            saved = await repository.save(tx, after, leased_until)
            if saved:
                await events.announce(tx, JOB, after.id)
            if saved and place_free:
                await jobs.enqueue(tx.conn, ADMISSION, JOB, user_id=after.user_id, priority=2)
        failpoints.hit("generation.saved")
        return saved


def _is_due(generation: Generation, now: datetime) -> bool:
    waits_its_turn = generation.status is Status.QUEUED and generation.admitted_at is None
    return generation.status not in ENDED and not waits_its_turn and generation.next_check_at <= now


def _left_its_place(before: Generation, after: Generation) -> bool:
    """Whether somebody else may start now."""
    return before.status in IN_FLIGHT and after.status not in IN_FLIGHT


_FLAGGED = "The engine's safety checker took every picture away."


def _failed(generation: Generation, remote: RemotePrediction, now: datetime) -> Generation:
    reason = (remote.error or "the engine gave no reason").strip().rstrip(".")
    if "NSFW" in reason:
        return generation.failed("all_flagged", _FLAGGED, now)
    return generation.failed("generation_failed", f"The pictures could not be made: {reason[:500]}.", now)
