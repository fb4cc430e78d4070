"""What moves a generation on: send, find again, observe, store. Each step is load → call → record, safe to run twice.

No transaction is open while the network is used; records are guarded by the row's revision.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio import architecture, pictures
from portraitist.studio.architecture import ArchitectureViolation, MappedSchema, ValidatedPrediction
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.events import service as events
from portraitist.studio.generation import repository
from portraitist.studio.generation.domain import ENDED, IN_FLIGHT, LOST, Generation, Status, Timing
from portraitist.studio.generation.service import JOB
from portraitist.studio.images import service as images
from portraitist.studio.pictures import Picture
from portraitist.studio.provenance.signing import SigningFailed, Stamp
from portraitist.studio.provider import logs, wire
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    ProviderNotFound,
    ProviderOutputTooLarge,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUntrustedAddress,
    RemotePrediction,
    RemoteStatus,
)
from portraitist.studio.training import advancing, paid_calls
from portraitist.studio.training import service as training
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.lookout import Watched
from portraitist.studio.training.paid_calls import PaidCall

log = logger(__name__)
Step = Callable[[Generation, Provider], Awaitable[Generation]]
AT_ONCE = timedelta(seconds=0.2)
"""Pictures that take no longer than this to fetch are entered together: nobody sees them come one by one."""


@dataclass(frozen=True)
class GenerationTasks:
    """The worker's part of generations."""

    db: StudioDatabase
    providers: Mapping[str, Provider]
    objects: ObjectStore
    clock: Clock
    timing: Timing
    stamp: Stamp
    callbacks: Callbacks = field(default_factory=Callbacks)

    async def advance(self, generation_id: str, user_id: str) -> None:
        """Move one generation on until it has to wait or has ended. Safe to run twice, and at once."""
        async with self.db.member(user_id, once=True) as tx:
            generation = await repository.get(tx, UUID(generation_id))
        await advancing.advance(generation, self._step, self._record, self._is_due)

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
        except (ProviderError, SigningFailed) as exc:
            log.warning("generation.put_off", generation=str(generation.id), code=exc.code, reason=str(exc))
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
        async with self.db.member(generation.user_id, once=True) as tx:
            version = await training.version(tx, generation.model_version_id)
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
        ready = await self._save(generation.submitting(self.clock.now(), self.timing))
        if ready is None:
            return generation
        return await paid_calls.send(self._call(ready, provider, sealed), self.clock.now, self.timing)

    def _call(
        self, generation: Generation, provider: Provider, sealed: ValidatedPrediction | None = None
    ) -> PaidCall[Generation]:
        async def make() -> str:
            assert sealed is not None
            webhook = self.callbacks.url(generation.account_id, "generation", generation.webhook_token)
            failpoints.hit("generation.before_post")
            run = await provider.create_prediction(sealed, webhook=webhook)
            failpoints.hit("generation.after_post")
            return run.id

        return PaidCall(
            what=f"generation {generation.id}",
            make=make,
            find=lambda: self._find(generation, provider),
            started=lambda run_id, now: generation.submitted(run_id, now, self.timing),
            unanswered=generation.wait,
            not_sent=lambda now, delay, why: generation.not_sent(now, delay, why.code, why.message),
            refused=lambda now, why: generation.failed(why.code, why.message, now),
            lost=generation.lost_start,
        )

    async def _adopt(self, generation: Generation, provider: Provider) -> Generation:
        call = self._call(generation, provider)
        return await paid_calls.sort_out(call, generation.submitted_at, self.clock.now, self.timing)

    async def _find(self, generation: Generation, provider: Provider) -> str | None:
        """The run with this prompt and seed, the first of them."""
        assert generation.submitted_at is not None
        since = generation.submitted_at - paid_calls.CLOCKS_DIFFER
        for remote in reversed(await provider.list_predictions(since)):
            # the prompt carries the member's trigger word; the seed is unique per member and prompt
            if (
                remote.input.get("seed") == generation.seed
                and remote.input.get("prompt") == generation.prompt
            ):
                return remote.id
        return None

    async def _observe(self, generation: Generation, provider: Provider) -> Generation:
        assert generation.provider_prediction_id is not None
        now = self.clock.now()
        try:
            remote = await provider.get_prediction(generation.provider_prediction_id)
        except ProviderNotFound:
            return generation.to(Status.LOST_AT_PROVIDER, now, error_code="lost_at_provider", error=LOST)
        generation = replace(
            generation,
            unknown_words=list(logs.unknown_words(remote.logs)),
            provider_seconds=wire.seconds_of(remote.metrics),
        )
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
                return generation.to(Status.RUNNING, now, next_check_at=now + self._pause(generation, now))
            case _:
                return generation.wait(now, self._pause(generation, now), error_code=None, error=None)

    def _pause(self, generation: Generation, now: datetime) -> timedelta:
        """Until the next look."""
        return self.timing.look_after(now - (generation.submitted_at or now))

    async def _store(self, generation: Generation, provider: Provider) -> Generation:
        """Download, check, sign, keep and enter each picture; done when all are there."""
        urls = wire.output_indexes(generation.raw_output)
        gone, unusable = 0, 0
        kept: dict[int, Picture] = {}
        later: list[ProviderError | SigningFailed] = []
        for index, url in urls:  # each for itself: one that is lost takes no other with it
            began = self.clock.now()
            try:
                kept[index] = await self._kept(generation, provider, index, url)
            except (ProviderUnavailable, ProviderRateLimited, SigningFailed) as exc:
                later.append(exc)
            except ProviderRefused as exc:
                if exc.is_of_the_account:
                    later.append(exc)
                else:  # expired, removed, moved: the address is all we had
                    gone += 1
            except (ProviderUntrustedAddress, ProviderOutputTooLarge, pictures.NotAPicture) as exc:
                log.warning("generation.picture_unusable", generation=str(generation.id), reason=str(exc))
                unusable += 1
            if kept and self.clock.now() - began > AT_ONCE:
                await self._enter(generation, kept)
                kept = {}
        now = self.clock.now()
        if later and not generation.too_late_to_store(now, self.timing):
            if kept:
                await self._enter(generation, kept)
            raise later[0]
        gone += len(later)
        ended = generation.stored(len(urls) - gone - unusable, gone, unusable, now)
        await self._save(ended, kept=kept)
        failpoints.hit("generation.entered")
        return generation  # nothing is left to record

    async def _kept(self, generation: Generation, provider: Provider, index: int, url: str) -> Picture:
        """One picture, stored for good; its row is to be entered yet."""
        key = images.object_key(generation.user_id, generation.id, index)
        # Stored before a kill, its row not yet: the provider may have deleted its own by now. What is stored counts,
        # for signing it once more would give other bytes.
        kept = await images.kept(self.objects, key)
        if kept is None:
            picture = await self._downloaded(provider, url)
            failpoints.hit("generation.downloaded")
            picture = await asyncio.to_thread(self.stamp.stamped, picture)
            failpoints.hit("generation.signed")
            kept = await images.keep(self.objects, key, picture)
        failpoints.hit("generation.put")
        return kept

    async def _enter(self, generation: Generation, kept: Mapping[int, Picture]) -> None:
        """Enter what is stored so far; the rest is tried again."""
        async with self.db.member(generation.user_id) as tx:
            await self._entered(generation, kept, tx)
            await events.announce(tx, JOB, generation.id)

    async def _entered(self, generation: Generation, kept: Mapping[int, Picture], tx: UserTx) -> None:
        for index, picture in kept.items():
            words, look = generation.called, generation.look
            now = self.clock.now()
            await images.enter(tx, generation.id, index, picture, words=words, now=now, look=look)

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
                await provider.cancel_prediction(found)
        elif generation.provider_prediction_id is not None:
            try:
                await provider.cancel_prediction(generation.provider_prediction_id)
            except ProviderNotFound:
                log.info("generation.gone_before_cancel", generation=str(generation.id))
        return generation.to(Status.CANCELED, now, error_code=None, error=None)

    async def _record(self, before: Generation, after: Generation) -> Generation | None:
        left = before.status in IN_FLIGHT and after.status not in IN_FLIGHT
        return await self._save(after, place_free=left)

    async def _save(
        self, after: Generation, *, place_free: bool = False, kept: Mapping[int, Picture] | None = None
    ) -> Generation | None:
        """Store a decision, and with it the rows of pictures that are stored."""
        failpoints.hit("generation.before_save")
        now = self.clock.now()
        along = partial(self._entered, after, kept or {})
        saved = await advancing.record(
            self.db, repository, JOB, after, now, place_free=place_free, along=along
        )
        failpoints.hit("generation.saved")
        return saved

    def _is_due(self, generation: Generation) -> bool:
        return advancing.is_due(generation, ENDED, self.clock.now())


def watched(timing: Timing) -> Watched:
    """What is in flight of this kind, for looking at many at once."""
    return Watched(
        job=JOB,
        table="generation_trackers",
        priority=1,
        poll=timing.poll,
        sweep=timing.sweep,
        rarer=timing.rarer,
        look_after=timing.look_after,
        pages=lambda provider, since: provider.glance_at_predictions(since),
        still={Status.SUBMITTED: RemoteStatus.STARTING, Status.RUNNING: RemoteStatus.PROCESSING},
    )


_FLAGGED = "The engine's safety checker took every picture away."


def _failed(generation: Generation, remote: RemotePrediction, now: datetime) -> Generation:
    reason = (remote.error or "the engine gave no reason").strip().rstrip(".")
    if "NSFW" in reason:
        return generation.failed("all_flagged", _FLAGGED, now)
    return generation.failed("generation_failed", f"The pictures could not be made: {reason[:500]}.", now)
