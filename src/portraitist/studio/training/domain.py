"""A training as a state machine on its row: statuses, transitions, and what to do after a provider's answer.

Pure: no clock, no randomness, no I/O. A transition returns the next `Training`; storing it, guarded by the
revision it was decided on, is the repository's part. The allowed transitions are drawn in docs/lifecycles.md.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

LOGS_TAIL_CHARS = 8_000  # enough for the last bars and an error; the whole log can be megabytes
MAX_ATTEMPTS = 3  # starts that were never answered and never seen in the provider's list
RARER = 6  # looks where webhooks tell us


class Status(StrEnum):
    """Where a training stands. The database knows the same closed set."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    TRAINING = "training"
    EXTRACTING = "extracting"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    EXTRACTION_FAILED = "extraction_failed"
    VERIFICATION_FAILED = "verification_failed"


ACTIVE = frozenset(
    {
        Status.QUEUED,
        Status.SUBMITTING,
        Status.SUBMITTED,
        Status.TRAINING,
        Status.EXTRACTING,
        Status.VERIFYING,
    }
)
IN_FLIGHT = frozenset({Status.QUEUED, Status.SUBMITTING, Status.SUBMITTED, Status.TRAINING})
"""What takes a place at the provider, once it is admitted."""
PARKED = frozenset({Status.EXTRACTION_FAILED, Status.VERIFICATION_FAILED})
ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED})

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.QUEUED, Status.SUBMITTING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset(
        {Status.SUBMITTING, Status.QUEUED, Status.SUBMITTED, Status.FAILED, Status.CANCELED}
    ),
    Status.SUBMITTED: frozenset(
        {Status.SUBMITTED, Status.TRAINING, Status.EXTRACTING, Status.FAILED, Status.CANCELED}
    ),
    Status.TRAINING: frozenset({Status.TRAINING, Status.EXTRACTING, Status.FAILED, Status.CANCELED}),
    Status.EXTRACTING: frozenset(
        {Status.EXTRACTING, Status.VERIFYING, Status.EXTRACTION_FAILED, Status.CANCELED}
    ),
    Status.VERIFYING: frozenset(
        {Status.VERIFYING, Status.COMPLETED, Status.VERIFICATION_FAILED, Status.CANCELED}
    ),
    Status.EXTRACTION_FAILED: frozenset({Status.EXTRACTION_FAILED, Status.EXTRACTING, Status.CANCELED}),
    Status.VERIFICATION_FAILED: frozenset({Status.VERIFICATION_FAILED, Status.VERIFYING, Status.CANCELED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}


class IllegalTransition(Exception):
    """Raised where code asks for a step that the life of a training does not have."""


@dataclass(frozen=True)
class Timing:
    """How long to wait for what; settings, so that tests needn't wait."""

    poll: timedelta
    post_deadline: timedelta
    list_lag: timedelta
    start_deadline: timedelta = timedelta(hours=2)
    run_deadline: timedelta = timedelta(hours=3)
    retry_first: timedelta = timedelta(minutes=1)
    retry_most: timedelta = timedelta(hours=24)
    pause: timedelta = timedelta(seconds=30)
    test_deadline: timedelta = timedelta(minutes=60)
    """How long a test picture may take, from its start until it is fetched; providers delete it after an hour."""
    version_lag: timedelta = timedelta(minutes=10)
    """How long a new version may stay unreadable before that is a problem: providers take minutes at times."""
    told: bool = False
    """Whether the provider tells us by webhooks; then a look is only for those that were lost on the way."""

    def backoff(self, retries: int) -> timedelta:
        """Time before retry number `retries` (from 0): doubling from `retry_first` to `retry_most`."""
        return min(self.retry_most, self.retry_first * float(2 ** min(retries, 20)))

    def look_after(self, age: timedelta) -> timedelta:
        """Time until the next look at a run of this age: the longer it takes the less often, up to twelve times."""
        first = self.rarer * self.poll
        return min(max(first, age / 60), 12 * first)

    @property
    def rarer(self) -> int:
        """How many times less often runs are looked at."""
        return RARER if self.told else 1

    @property
    def grace(self) -> timedelta:
        """How long an unanswered start may still turn up in the provider's list."""
        return self.post_deadline + self.list_lag


@dataclass(frozen=True)
class PackedPhotos:
    """The zip of one attempt and how the provider gets it.

    `token` is unique to the attempt and part of `url`, so a start whose answer was lost is found again by it.
    """

    token: str
    key: str
    url: str
    file_id: str | None


@dataclass(frozen=True)
class Training:
    """One row of `trainings`."""

    user_id: str
    id: UUID
    status: Status
    account_id: str
    trigger_word: str
    destination: str
    trainer: str
    requested: dict[str, Any]
    effective: dict[str, Any]
    attempt: int
    retries: int
    revision: int
    next_check_at: datetime
    admitted_at: datetime | None
    webhook_token: str | None
    submit_token: str | None
    past_tokens: list[str]
    submitted_at: datetime | None
    photos_key: str | None
    photos_file_id: str | None
    photos_url: str | None
    provider_training_id: str | None
    phase: str
    step: int | None
    total_steps: int | None
    logs_tail: str
    raw_output: Any
    candidate_version: str | None
    candidate_schema: dict[str, Any] | None
    verify_seed: int | None
    verify_submitted_at: datetime | None
    verify_prediction_id: str | None
    past_seeds: list[int]
    past_tests: list[str]
    cancel_requested_at: datetime | None
    error_code: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    succeeded_at: datetime | None
    finished_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    @property
    def percent(self) -> int | None:
        """Progress by steps really done, 99 at most until the end; None while no step is known."""
        if self.status is Status.COMPLETED:
            return 100
        if self.step is None or not self.total_steps:
            return None
        return min(99, 100 * self.step // self.total_steps)

    def to(self, status: Status, now: datetime, **changes: Any) -> "Training":
        """The next row; raises IllegalTransition for a step this life does not have."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"a training can't go from {self.status} to {status}")
        changes.setdefault("next_check_at", now)
        if status in ENDED:
            changes.setdefault("finished_at", now)
        return replace(self, status=status, **changes)

    def wait(self, now: datetime, delay: timedelta, **changes: Any) -> "Training":
        """The same status, looked at again after `delay`."""
        return self.to(self.status, now, next_check_at=now + delay, **changes)

    def submitting(self, photos: "PackedPhotos", now: datetime, timing: Timing) -> "Training":
        """About to be sent: what the provider will echo is on the row before the call is made."""
        return self.to(
            Status.SUBMITTING,
            now,
            submit_token=photos.token,
            photos_key=photos.key,
            photos_file_id=photos.file_id,
            photos_url=photos.url,
            submitted_at=now,
            attempt=self.attempt + 1,
            next_check_at=now + 3 * timing.poll,
            error_code=None,
            error=None,
        )

    def submitted(self, provider_id: str, now: datetime, timing: Timing) -> "Training":
        """The provider has it, under this id."""
        return self.to(
            Status.SUBMITTED,
            now,
            provider_training_id=provider_id,
            next_check_at=now + timing.look_after(timedelta(0)),
            phase="queued",
        )

    def not_sent(self, now: datetime, delay: timedelta, code: str, message: str) -> "Training":
        """Surely not begun: back to the queue, with the reason shown, under a new token next time.

        It has cost nothing, so it is no start that a budget counts.
        """
        return self._sent_again(now, delay, code, message, attempt=self.attempt - 1)

    def _sent_again(
        self, now: datetime, delay: timedelta, code: str, message: str, *, attempt: int
    ) -> "Training":
        return self.to(
            Status.QUEUED,
            now,
            attempt=attempt,
            submit_token=None,
            past_tokens=[*self.past_tokens, *([self.submit_token] if self.submit_token else [])],
            submitted_at=None,
            photos_key=None,
            photos_file_id=None,
            photos_url=None,
            next_check_at=now + delay,
            error_code=code,
            error=message,
        )

    def lost_start(self, now: datetime, timing: Timing) -> "Training":
        """An unanswered start that never turned up: send again, or give up after MAX_ATTEMPTS."""
        if self.attempt >= MAX_ATTEMPTS:
            return self.failed(
                "start_lost", "The provider never confirmed the start. Nothing was trained.", now
            )
        told = "The provider did not answer; sending it again."
        return self._sent_again(now, timedelta(0), "start_lost", told, attempt=self.attempt)

    def succeeded(self, output: Any, started_at: datetime | None, now: datetime) -> "Training":
        """Trained and paid for; which version it made is still to be found. The raw output is kept as it came."""
        return self.to(
            Status.EXTRACTING,
            now,
            raw_output=output,
            started_at=self.started_at or started_at or self.submitted_at,
            succeeded_at=now,
            phase="packaging",
            error_code=None,
            error=None,
        )

    def failed(self, code: str, message: str, now: datetime) -> "Training":
        """Over without a version; the earlier model, if any, goes on working."""
        return self.to(Status.FAILED, now, error_code=code, error=message)

    def canceled(self, now: datetime) -> "Training":
        """Over at the member's wish."""
        return self.to(Status.CANCELED, now, error_code=None, error=None)

    def parked(self, status: Status, code: str, message: str, now: datetime, timing: Timing) -> "Training":
        """Trained, but not usable yet: tried again by the system with growing pauses, or by the member."""
        return self.to(
            status,
            now,
            error_code=code,
            error=message,
            retries=self.retries + 1,
            next_check_at=now + timing.backoff(self.retries),
        )

    def retried(self, now: datetime) -> "Training":
        """Out of the parking place: the same run, no new cost."""
        if self.status is Status.EXTRACTION_FAILED:
            return self.to(Status.EXTRACTING, now, error_code=None, error=None)
        return self.to(
            Status.VERIFYING,
            now,
            error_code=None,
            error=None,
            verify_seed=None,
            verify_submitted_at=None,
            verify_prediction_id=None,
            past_seeds=[*self.past_seeds, *([self.verify_seed] if self.verify_seed is not None else [])],
            past_tests=[
                *self.past_tests,
                *([self.verify_prediction_id] if self.verify_prediction_id else []),
            ],
        )

    def overdue(self, now: datetime, timing: Timing) -> bool:
        """Whether the provider has had this run for longer than any run may take."""
        if self.status is Status.SUBMITTED and self.submitted_at is not None:
            return now > self.submitted_at + timing.start_deadline
        if self.status is Status.TRAINING and self.started_at is not None:
            return now > self.started_at + timing.run_deadline
        return False

    def test_overdue(self, now: datetime, timing: Timing) -> bool:
        """Whether the test picture has taken longer than any may."""
        return self.verify_submitted_at is not None and now > self.verify_submitted_at + timing.test_deadline

    def version_may_lag(self, now: datetime, timing: Timing) -> bool:
        """Whether the version of a run that has just succeeded may still become readable by itself."""
        return self.succeeded_at is not None and now < self.succeeded_at + timing.version_lag

    def may_become_active(self, newer_exists: bool) -> bool:
        """A version verified after a newer training began enters the history only."""
        return not newer_exists


@dataclass(frozen=True)
class FoundVersion:
    """A version of the destination, as the provider lists it."""

    id: str
    created_at: datetime | None


def the_one_new(
    listed: Sequence[FoundVersion],
    known: AbstractSet[str],
    since: datetime | None,
    until: datetime | None = None,
) -> str | None:
    """The version that a training without a version in its output must have made, or None where that is a guess.

    There must be exactly one that we don't know, surely younger than the training's start (`since`) and older than the
    next training of the destination whose version we don't know yet (`until`): that one's may be listed already.
    """
    if since is None:
        return None
    new = {
        version.id
        for version in listed
        if version.id not in known
        and version.created_at is not None
        and since <= version.created_at
        and (until is None or version.created_at < until)
    }
    return new.pop() if len(new) == 1 else None


NEXT_STEPS: Mapping[Status, str] = {
    Status.QUEUED: "Nothing to do: it starts as soon as a place is free.",
    Status.FAILED: "Train again; your earlier model, if you have one, keeps working.",
    Status.CANCELED: "Train again whenever you like.",
    Status.EXTRACTION_FAILED: "The model is trained. The studio keeps looking for its version; retry at no cost.",
    Status.VERIFICATION_FAILED: "The model is trained. The studio keeps testing it; retry at no cost.",
}
