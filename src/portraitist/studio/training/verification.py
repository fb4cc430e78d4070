"""The last gate before a version is used: one small test picture must really render, then it is promoted.

The test prediction is started like any paid call: its seed is on the row before the call, and a start whose
answer was lost is found again by version, prompt and seed. Promotion is one transaction.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.studio import architecture, pictures
from portraitist.studio.architecture import MappedSchema, ValidatedPrediction
from portraitist.studio.db import StudioDatabase
from portraitist.studio.events import service as events
from portraitist.studio.leases import lease_until
from portraitist.studio.prompting.compose import compose
from portraitist.studio.provider.port import (
    Provider,
    ProviderNotFound,
    ProviderOutputTooLarge,
    ProviderRefused,
    ProviderUnavailable,
    ProviderUntrustedAddress,
    RemotePrediction,
    RemoteStatus,
)
from portraitist.studio.training import paid_calls, progress, repository, telling
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.domain import Status, Timing, Training
from portraitist.studio.training.paid_calls import PaidCall
from portraitist.studio.training.repository import ModelVersion

TEST_WORDS = "portrait, plain background"


@dataclass(frozen=True)
class Verification:
    """Tests the candidate version of a training in status `verifying`."""

    db: StudioDatabase
    clock: Clock
    timing: Timing
    new_seed: Callable[[], int]
    callbacks: Callbacks = field(default_factory=Callbacks)

    async def step(self, training: Training, provider: Provider) -> Training:
        """Start the test, find it again, or judge it; a passed test promotes the version."""
        if training.verify_submitted_at is None:
            return await self._start(training, provider)
        if training.verify_prediction_id is None:
            return await self._adopt(training, provider)
        try:
            remote = await provider.get_prediction(training.verify_prediction_id)
        except ProviderNotFound:
            return self._not_passed(training, "test_lost", "The provider lost the test picture")
        return await self._judge(training, remote, provider)

    async def _start(self, training: Training, provider: Provider) -> Training:
        now = self.clock.now()
        ready = training.to(
            Status.VERIFYING,
            now,
            verify_seed=training.verify_seed if training.verify_seed is not None else self.new_seed(),
            verify_submitted_at=now,
            next_check_at=now + 3 * self.timing.poll,
        )
        async with self.db.member(training.user_id) as tx:
            saved = await repository.save(tx, ready, lease_until(ready.next_check_at, now))
        if saved is None:
            return training
        return await paid_calls.send(await self._call(saved, provider), self.clock.now, self.timing)

    async def _adopt(self, training: Training, provider: Provider) -> Training:
        call = await self._call(training, provider)
        return await paid_calls.sort_out(call, training.verify_submitted_at, self.clock.now, self.timing)

    async def _call(self, training: Training, provider: Provider) -> PaidCall[Training]:
        """Sent again it has the same seed: should the first turn up after all, it is known by it."""
        sealed = await self._sealed(training)

        async def make() -> str:
            webhook = self.callbacks.url(training.account_id, "verification", training.webhook_token)
            failpoints.hit("verification.before_post")
            run = await provider.create_prediction(sealed, webhook=webhook)
            failpoints.hit("verification.after_post")
            return run.id

        return PaidCall(
            what=f"verification {training.id}",
            make=make,
            find=lambda: self._find(training, sealed, provider),
            started=lambda run_id, now: training.wait(now, timedelta(0), verify_prediction_id=run_id),
            unanswered=training.wait,
            not_sent=lambda now, delay, why: training.wait(now, delay, verify_submitted_at=None),
            refused=lambda now, why: self._not_passed(
                training, why.code, f"The test picture was refused ({why.detail[:200]})"
            ),
            lost=lambda now: training.wait(now, self.timing.poll, verify_submitted_at=None),
        )

    async def _find(self, training: Training, sealed: ValidatedPrediction, provider: Provider) -> str | None:
        """The run with this seed and prompt, of this very version: an earlier candidate's is not it."""
        assert training.verify_submitted_at is not None
        wanted = (sealed.input["seed"], sealed.input["prompt"])
        for remote in await provider.list_predictions(
            training.verify_submitted_at - paid_calls.CLOCKS_DIFFER
        ):
            same = (remote.input.get("seed"), remote.input.get("prompt")) == wanted
            if same and (remote.version or "").rpartition(":")[2] == training.candidate_version:
                return remote.id
        return None

    async def _judge(self, training: Training, remote: RemotePrediction, provider: Provider) -> Training:
        late = training.test_overdue(self.clock.now(), self.timing)
        if not remote.status.is_terminal and late:
            await provider.cancel_prediction(remote.id)
            return self._not_passed(training, "test_took_too_long", "The test picture took too long")
        if not remote.status.is_terminal:
            return training.wait(self.clock.now(), self.timing.poll)
        if _flagged(remote):
            return self._not_passed(training, "test_flagged", "The safety checker took the test picture away")
        if remote.status is not RemoteStatus.SUCCEEDED or not remote.output_urls:
            return self._not_passed(
                training, "test_failed", f"The test picture failed ({remote.error or 'empty'})"
            )
        try:
            data = await provider.download(remote.output_urls[0][1], pictures.MAX_BYTES)
            picture = await asyncio.to_thread(pictures.read, data)
        except ProviderUnavailable:
            if late:
                return self._not_passed(
                    training, "test_lost", "The test picture could not be fetched in time"
                )
            raise
        except (
            ProviderRefused,
            ProviderUntrustedAddress,
            ProviderOutputTooLarge,
            pictures.NotAPicture,
        ) as exc:
            return self._not_passed(training, "test_unreadable", f"The test picture can't be read ({exc})")
        if picture.blank:
            return self._not_passed(training, "test_blank", "The test picture is blank")
        return await self._promote(training, picture.sha256)

    async def _promote(self, training: Training, image_sha256: bytes) -> Training:
        """History, active version and status in one transaction; returns the row as it was when already done."""
        assert training.candidate_version is not None and training.candidate_schema is not None
        now = self.clock.now()
        version = ModelVersion(
            user_id=training.user_id,
            id=uuid4(),
            training_id=training.id,
            account_id=training.account_id,
            replicate_model_id=training.destination,
            replicate_version_id=training.candidate_version,
            input_schema=training.candidate_schema,
            created_at=now,
            promoted_at=None,
        )
        done = training.to(Status.COMPLETED, now, phase="ready", error_code=None, error=None)
        async with self.db.member(training.user_id) as tx:
            if not await repository.save(tx, done, None):
                return training
            stored = await repository.add_version(tx, version, image_sha256)
            if training.may_become_active(await repository.newer_exists(tx, training)):
                await repository.activate(tx, stored, training.trigger_word, now)
            if (took := progress.durations(training, now)) is not None:
                await repository.add_durations(tx, training.account_id, took, now)
            failpoints.hit("verification.promoting")
            await events.announce(tx, "training", training.id)
            await telling.tell(done, now, tx)
        failpoints.hit("verification.promoted")
        return done

    async def _sealed(self, training: Training) -> ValidatedPrediction:
        assert training.candidate_version is not None and training.candidate_schema is not None
        assert training.verify_seed is not None
        owner, name = training.destination.split("/")
        return architecture.seal_prediction(
            user_id=training.user_id,
            owner=owner,
            model=name,
            version_id=training.candidate_version,
            schema=MappedSchema.from_json(training.candidate_schema),
            prompt=compose(TEST_WORDS, trigger=training.trigger_word, subject="person"),
            seed=training.verify_seed,
            profile=architecture.VERIFY,
        )

    def _not_passed(self, training: Training, code: str, message: str) -> Training:
        return training.parked(
            Status.VERIFICATION_FAILED,
            code,
            f"{message}. The earlier model keeps working.",
            self.clock.now(),
            self.timing,
        )


def _flagged(remote: RemotePrediction) -> bool:
    """A checker that takes every picture away ends the run as failed, with this word in its error."""
    return remote.status is RemoteStatus.FAILED and "NSFW" in (remote.error or "")
