"""What moves a training on: one step per status, each load → call → record, each safe to run twice.

No transaction is open while the network is used; every record is guarded by the revision it was decided on, so
of two that work on the same row one changes nothing. Decisions about statuses are `domain`'s.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.kit import failpoints, jobs
from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.studio import architecture
from portraitist.studio.db import StudioDatabase
from portraitist.studio.events import service as events
from portraitist.studio.leases import lease_until
from portraitist.studio.provider import logs
from portraitist.studio.provider.port import (
    Provider,
    ProviderError,
    ProviderNoCredit,
    ProviderNotFound,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnauthorized,
    ProviderUnavailable,
    RemoteStatus,
    RemoteTraining,
)
from portraitist.studio.training import repository
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
from portraitist.studio.training.photos import PhotoCourier, PhotosGone
from portraitist.studio.training.service import ADMISSION, JOB
from portraitist.studio.training.verification import Verification
from portraitist.studio.training.weights import Insurance

log = logger(__name__)
STEPS_AT_ONCE = 12  # a row that moves on more often than this at one go would be a loop
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
        for _ in range(STEPS_AT_ONCE):
            async with self.db.member(user_id) as tx:
                training = await repository.get(tx, UUID(training_id))
            if training is None or not _is_due(training, self.clock.now()):
                return
            after = await self._step(training)
            if after is training or not await self._save(after, _left_its_place(training, after)):
                return

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
            packed = await self.photos.pack(training, provider)
        except PhotosGone:
            return training.failed(
                "photos_gone", "The photos of this training were deleted.", self.clock.now()
            )
        except ProviderRefused as exc:
            if isinstance(exc, ProviderUnauthorized | ProviderNoCredit):
                raise
            return training.failed(exc.code, exc.message, self.clock.now())
        ready = training.submitting(packed, self.clock.now(), self.timing)
        if not await self._save(ready):  # somebody else was faster: their zip counts, this one goes
            await self.photos.throw_away(packed, provider)
            return training
        ready = replace(ready, revision=ready.revision + 1)
        after = await self._send(ready, owner, provider)
        if after.status is Status.QUEUED:  # the next attempt packs its own
            await self._clear_away(ready, provider)
        return after

    async def _send(self, training: Training, owner: str, provider: Provider) -> Training:
        assert training.photos_url is not None
        sealed = architecture.seal_training(training.user_id, owner, training.photos_url)
        webhook = self.callbacks.url(training.account_id, "training", training.webhook_token)
        failpoints.hit("training.before_post")
        try:
            remote = await provider.create_training(sealed, webhook=webhook)
        except ProviderRateLimited as exc:
            return training.not_sent(
                self.clock.now(), timedelta(seconds=exc.retry_after_s), exc.code, exc.message
            )
        except (ProviderUnauthorized, ProviderNoCredit) as exc:
            return training.not_sent(self.clock.now(), self.timing.pause, exc.code, exc.message)
        except ProviderRefused as exc:
            return training.failed(exc.code, exc.message, self.clock.now())
        except ProviderUnavailable as exc:
            if exc.sent:  # it may be running: found again in the provider's list
                return training.wait(self.clock.now(), self.timing.poll)
            return training.not_sent(self.clock.now(), self.timing.poll, exc.code, exc.message)
        failpoints.hit("training.after_post")
        return training.submitted(remote.id, self.clock.now(), self.timing)

    async def _adopt(self, training: Training, provider: Provider) -> Training:
        """A start whose answer we do not have: find it by its token, or be sure that there is none."""
        found = await self._find(training, provider)
        now = self.clock.now()
        if found is not None:
            log.info("training.adopted", training=str(training.id), provider_id=found.id)
            return training.submitted(found.id, now, self.timing)
        assert training.submitted_at is not None
        if now > training.submitted_at + self.timing.grace:
            await self._clear_away(training, provider)
            return training.lost_start(now, self.timing)
        return training.wait(now, self.timing.poll)

    async def _find(self, training: Training, provider: Provider) -> RemoteTraining | None:
        assert training.submitted_at is not None and training.submit_token is not None
        since = training.submitted_at - timedelta(minutes=1)  # clocks differ
        for remote in reversed(await provider.list_trainings(since)):
            if training.submit_token in f"{remote.input.get('input_images')} {remote.webhook}":
                return remote
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
                    next_check_at=now + self.timing.poll,
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
                await provider.cancel_training(found.id)
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

    async def _save(self, after: Training, place_free: bool = False) -> bool:
        failpoints.hit("training.before_save")
        async with self.db.member(after.user_id) as tx:
            leased_until = lease_until(after.next_check_at, self.clock.now())
            saved = await repository.save(tx, after, leased_until)
            if saved:
                await events.announce(tx, JOB, after.id)
            if saved and place_free:
                await jobs.enqueue(tx.conn, ADMISSION, JOB, user_id=after.user_id, priority=2)
        failpoints.hit("training.saved")
        return saved


def _is_due(training: Training, now: datetime) -> bool:
    waits_its_turn = training.status is Status.QUEUED and training.admitted_at is None
    return training.status not in ENDED and not waits_its_turn and training.next_check_at <= now


def _left_its_place(before: Training, after: Training) -> bool:
    """Whether somebody else may start now."""
    return before.status in IN_FLIGHT and after.status not in IN_FLIGHT


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
