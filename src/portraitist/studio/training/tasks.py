"""What moves a training on: one step per status, each load → call → record, each safe to run twice.

No transaction is open while the network is used; every record is guarded by the revision it was decided on, so
of two that work on the same row one changes nothing. Decisions about statuses are `domain`'s.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio import architecture
from portraitist.studio.db import StudioDatabase
from portraitist.studio.provider import logs
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    ProviderNoCredit,
    ProviderNotFound,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnauthorized,
    RemoteStatus,
    RemoteTraining,
)
from portraitist.studio.training import advancing, paid_calls, repository, telling
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.domain import (
    ENDED,
    IN_FLIGHT,
    LOGS_TAIL_CHARS,
    PARKED,
    Status,
    Timing,
    Training,
)
from portraitist.studio.training.extraction import Extraction
from portraitist.studio.training.lookout import Watched
from portraitist.studio.training.paid_calls import PaidCall
from portraitist.studio.training.photos import PhotoCourier, PhotosGone
from portraitist.studio.training.service import JOB
from portraitist.studio.training.verification import Verification
from portraitist.studio.training.weights import Insurance

log = logger(__name__)
Step = Callable[[Training, Provider], Awaitable[Training]]


@dataclass(frozen=True)
class TrainingTasks:
    """The worker's part of trainings."""

    db: StudioDatabase
    providers: Mapping[str, Provider]
    photos: PhotoCourier
    extraction: Extraction
    verification: Verification
    clock: Clock
    timing: Timing
    callbacks: Callbacks = field(default_factory=Callbacks)
    insurance: Insurance | None = None

    async def advance(self, training_id: str, user_id: str) -> None:
        """Move one training on until it has to wait or has ended. Safe to run twice, and at once."""
        async with self.db.member(user_id) as tx:
            training = await repository.get(tx, UUID(training_id))
        await advancing.advance(training, self._step, self._record, self._is_due)

    async def _step(self, training: Training) -> Training:
        provider = self.providers.get(training.account_id)
        if provider is None and training.cancel_requested_at and training.status is Status.QUEUED:
            return training.canceled(self.clock.now())
        if provider is None:
            log.error("training.account_missing", training=str(training.id), account=training.account_id)
            return training.wait(self.clock.now(), self.timing.pause)
        step = self._cancel if training.cancel_requested_at else self._steps()[training.status]
        try:
            after = await step(training, provider)
        except ProviderRateLimited as exc:
            return training.wait(self.clock.now(), timedelta(seconds=exc.retry_after_s))
        except ProviderError as exc:
            log.warning("training.provider_away", training=str(training.id), reason=str(exc))
            return training.wait(self.clock.now(), self.timing.pause, error_code=exc.code, error=exc.message)
        if after.status in (Status.FAILED, Status.CANCELED):
            await self._clear_away(after, provider)
        return after

    def _steps(self) -> Mapping[Status, Step]:
        return {
            Status.QUEUED: self._start,
            Status.SUBMITTING: self._adopt,
            Status.SUBMITTED: self._observe,
            Status.TRAINING: self._observe,
            Status.EXTRACTING: self._extract,
            Status.VERIFYING: self._verify,
            Status.EXTRACTION_FAILED: self._retry,
            Status.VERIFICATION_FAILED: self._retry,
        }

    async def _start(self, training: Training, provider: Provider) -> Training:
        """Destination, photos, then the one call that costs: its token is on the row before it is made."""
        owner, name = training.destination.split("/")
        try:
            await provider.ensure_model(owner, name)
            await provider.turn_to_train()
            packed = await self.photos.pack(training, provider)
        except PhotosGone:
            return training.failed(
                "photos_gone", "The photos of this training were deleted.", self.clock.now()
            )
        except ProviderRefused as exc:
            if isinstance(exc, ProviderUnauthorized | ProviderNoCredit):
                raise
            return training.failed(exc.code, exc.message, self.clock.now())
        ready = await self._save(training.submitting(packed, self.clock.now(), self.timing))
        if ready is None:  # somebody else was faster: their zip counts, this one goes
            await self.photos.throw_away(packed, provider)
            return training
        after = await paid_calls.send(self._call(ready, provider), self.clock.now, self.timing)
        if after.status is Status.QUEUED:  # the next attempt packs its own
            await self._clear_away(ready, provider)
        return after

    def _call(self, training: Training, provider: Provider) -> PaidCall[Training]:
        async def make() -> str:
            assert training.photos_url is not None
            owner = training.destination.split("/")[0]
            sealed = architecture.seal_training(training.user_id, owner, training.photos_url)
            webhook = self.callbacks.url(training.account_id, "training", training.webhook_token)
            failpoints.hit("training.before_post")
            run = await provider.create_training(sealed, webhook=webhook)
            failpoints.hit("training.after_post")
            return run.id

        return PaidCall(
            what=f"training {training.id}",
            make=make,
            find=lambda: self._find(training, provider),
            started=lambda run_id, now: training.submitted(run_id, now, self.timing),
            unanswered=training.wait,
            not_sent=lambda now, delay, why: training.not_sent(now, delay, why.code, why.message),
            refused=lambda now, why: training.failed(why.code, why.message, now),
            lost=lambda now: training.lost_start(now, self.timing),
        )

    async def _adopt(self, training: Training, provider: Provider) -> Training:
        call = self._call(training, provider)
        after = await paid_calls.sort_out(call, training.submitted_at, self.clock.now, self.timing)
        if after.status is Status.QUEUED:
            await self._clear_away(training, provider)
        return after

    async def _find(self, training: Training, provider: Provider) -> str | None:
        """The run that carries the token of this attempt, the first of them."""
        assert training.submitted_at is not None and training.submit_token is not None
        since = training.submitted_at - paid_calls.CLOCKS_DIFFER
        for remote in reversed(await provider.list_trainings(since)):
            if training.submit_token in f"{remote.input.get('input_images')} {remote.webhook}":
                return remote.id
        return None

    async def _observe(self, training: Training, provider: Provider) -> Training:
        assert training.provider_training_id is not None
        try:
            remote = await provider.get_training(training.provider_training_id)
        except ProviderNotFound:
            return training.failed(
                "lost_at_provider", "The provider no longer knows this training.", self.clock.now()
            )
        return await self._seen(training, remote, provider)

    async def _seen(self, training: Training, remote: RemoteTraining, provider: Provider) -> Training:
        now = self.clock.now()
        training = _with_progress(training, remote)
        match remote.status:
            case RemoteStatus.SUCCEEDED:
                return training.succeeded(remote.output, remote.started_at or remote.created_at, now)
            case RemoteStatus.FAILED:
                return training.failed("training_failed", _failure(remote), now)
            case RemoteStatus.CANCELED | RemoteStatus.ABORTED:
                return training.failed(
                    "canceled_at_provider", "The training was stopped at the provider.", now
                )
            case _ if training.overdue(now, self.timing):
                last = await provider.cancel_training(remote.id)
                if last.status is RemoteStatus.SUCCEEDED:  # it ended between the look and the stop
                    return training.succeeded(last.output, last.started_at or last.created_at, now)
                return training.failed("took_too_long", "The training took too long and was stopped.", now)
            case RemoteStatus.PROCESSING if training.status is Status.SUBMITTED:
                return training.to(
                    Status.TRAINING,
                    now,
                    started_at=remote.started_at or now,
                    next_check_at=now + self.timing.look_after(now - (training.submitted_at or now)),
                )
            case _:
                if remote.status is RemoteStatus.UNKNOWN:
                    log.warning("training.unknown_status", training=str(training.id), provider_id=remote.id)
                age = now - (training.submitted_at or now)
                return training.wait(now, self.timing.look_after(age), error_code=None, error=None)

    async def _extract(self, training: Training, provider: Provider) -> Training:
        await self._clear_away(training, provider)
        if self.insurance is not None:
            await self.insurance.want(training)
        return await self.extraction.step(training, provider)

    async def _verify(self, training: Training, provider: Provider) -> Training:
        return await self.verification.step(training, provider)

    async def _retry(self, training: Training, provider: Provider) -> Training:
        return training.retried(self.clock.now())

    async def _cancel(self, training: Training, provider: Provider) -> Training:
        """The member's wish, at whatever stage; a start that may be under way is found first, then ended."""
        now = self.clock.now()
        if training.status is Status.SUBMITTING:
            found = await self._find(training, provider)
            assert training.submitted_at is not None
            if found is None and now <= training.submitted_at + self.timing.grace:
                return training.wait(now, self.timing.poll)
            if found is not None:
                await provider.cancel_training(found)
        elif training.provider_training_id is not None and training.status not in PARKED:
            try:
                await provider.cancel_training(training.provider_training_id)
                if training.status is Status.VERIFYING and training.verify_prediction_id is not None:
                    await provider.cancel_prediction(training.verify_prediction_id)
            except ProviderNotFound:
                log.info("training.gone_before_cancel", training=str(training.id))
        return training.canceled(now)

    async def _clear_away(self, training: Training, provider: Provider) -> None:
        """The photos leave the provider and the zip leaves us as soon as no training needs them. Twice is fine."""
        try:
            await self.photos.clear_away(training, provider)
        except ProviderError as exc:  # the provider deletes files after a day by itself
            log.warning("training.photos_not_cleared", training=str(training.id), reason=str(exc))

    async def _record(self, before: Training, after: Training) -> Training | None:
        left = before.status in IN_FLIGHT and after.status not in IN_FLIGHT
        return await self._save(after, place_free=left)

    async def _save(self, after: Training, *, place_free: bool = False) -> Training | None:
        failpoints.hit("training.before_save")
        now = self.clock.now()
        saved = await advancing.record(
            self.db,
            repository,
            JOB,
            after,
            now,
            place_free=place_free,
            beside=partial(telling.tell, after, now),
        )
        failpoints.hit("training.saved")
        return saved

    def _is_due(self, training: Training) -> bool:
        return advancing.is_due(training, ENDED, self.clock.now())


def watched(timing: Timing) -> Watched:
    """What is in flight of this kind, for looking at many at once."""
    return Watched(
        job=JOB,
        table="trainings",
        priority=0,
        poll=timing.poll,
        sweep=timedelta(0),
        rarer=timing.rarer,
        look_after=timing.look_after,
        pages=lambda provider, since: provider.glance_at_trainings(since),
        still={Status.SUBMITTED: RemoteStatus.STARTING, Status.TRAINING: RemoteStatus.PROCESSING},
    )


def _with_progress(training: Training, remote: RemoteTraining) -> Training:
    """Phase, steps and the log's tail; what was asked for stands beside what is really done."""
    took = remote.metrics.get("predict_time")
    if isinstance(took, int | float) and not isinstance(took, bool):
        training = replace(training, effective={**training.effective, "predict_time": took})
    if not remote.logs:  # before the first line, and long after the end, when providers drop logs
        return training
    progress = logs.parse_progress(remote.logs)
    if not progress.total:
        return replace(training, phase=progress.phase, logs_tail=remote.logs[-LOGS_TAIL_CHARS:])
    return replace(
        training,
        phase=progress.phase,
        step=progress.step,
        total_steps=progress.total,
        logs_tail=remote.logs[-LOGS_TAIL_CHARS:],
        effective=dict(training.effective) | {"steps": progress.total},
    )


def _failure(remote: RemoteTraining) -> str:
    reason = (remote.error or "the provider gave no reason").strip().rstrip(".")
    return f"The training failed: {reason[:500]}."
