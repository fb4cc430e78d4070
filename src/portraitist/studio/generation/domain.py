"""A generation as a state machine on its row. Pure; the allowed transitions are drawn in docs/lifecycles.md."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

MAX_ATTEMPTS = 3  # starts that were never answered and never seen in the provider's list
RARER = 6  # looks where webhooks tell us


class Status(StrEnum):
    """Where a generation stands. The database knows the same closed set."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    RUNNING = "running"
    STORING = "storing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST_AT_PROVIDER = "lost_at_provider"


IN_FLIGHT = frozenset({Status.QUEUED, Status.SUBMITTING, Status.SUBMITTED, Status.RUNNING})
"""What takes a place at the provider, once it is admitted."""
ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.LOST_AT_PROVIDER})

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.QUEUED, Status.SUBMITTING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset(
        {Status.SUBMITTING, Status.QUEUED, Status.SUBMITTED, Status.FAILED, Status.CANCELED}
    ),
    Status.SUBMITTED: frozenset(
        {
            Status.SUBMITTED,
            Status.RUNNING,
            Status.STORING,
            Status.FAILED,
            Status.CANCELED,
            Status.LOST_AT_PROVIDER,
        }
    ),
    Status.RUNNING: frozenset(
        {Status.RUNNING, Status.STORING, Status.FAILED, Status.CANCELED, Status.LOST_AT_PROVIDER}
    ),
    Status.STORING: frozenset({Status.STORING, Status.COMPLETED, Status.FAILED, Status.LOST_AT_PROVIDER}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.LOST_AT_PROVIDER: frozenset(),
}

NEXT_STEPS: Mapping[Status, str] = {
    Status.QUEUED: "Nothing to do: it starts as soon as a place is free.",
    Status.FAILED: "Try again, perhaps with other words.",
    Status.CANCELED: "Ask again whenever you like.",
    Status.LOST_AT_PROVIDER: "Ask again: the engine deleted the pictures before they could be fetched.",
}


LOST = "The pictures were made, but the engine deleted them before they could be fetched."


class IllegalTransition(Exception):
    """Raised where code asks for a step that the life of a generation does not have."""


@dataclass(frozen=True)
class Timing:
    """How long to wait for what."""

    poll: timedelta
    post_deadline: timedelta
    list_lag: timedelta
    run_deadline: timedelta = timedelta(minutes=30)
    store_deadline: timedelta = timedelta(minutes=95)
    """From the start: a run takes 30 minutes at most, and the provider deletes its pictures an hour later."""
    pause: timedelta = timedelta(seconds=15)
    sweep: timedelta = timedelta(0)
    """How much later than its time a look may come."""
    told: bool = False
    """Whether the provider tells us by webhooks; then a look is only for those that were lost on the way."""

    def look_after(self, age: timedelta) -> timedelta:
        """Time until the next look at a run of this age: the longer it takes the less often, up to twelve times.

        A sweep less, so that the look has come by then; half of it at least.
        """
        first = self.rarer * self.poll
        whole = min(max(first, age / 20), 12 * first)
        return max(whole - self.sweep, whole / 2)

    @property
    def rarer(self) -> int:
        """How many times less often runs are looked at."""
        return RARER if self.told else 1

    @property
    def grace(self) -> timedelta:
        """How long an unanswered start may still turn up in the provider's list."""
        return self.post_deadline + self.list_lag


@dataclass(frozen=True)
class Generation:
    """One row of `generation_trackers`."""

    user_id: str
    id: UUID
    status: Status
    model_version_id: UUID
    account_id: str
    words: str
    prompt: str
    seed: int
    requested: dict[str, Any]
    attempt: int
    revision: int
    next_check_at: datetime
    admitted_at: datetime | None
    webhook_token: str | None
    submitted_at: datetime | None
    provider_prediction_id: str | None
    raw_output: Any
    unknown_words: list[str]
    cancel_requested_at: datetime | None
    error_code: str | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    title: str | None = None
    look: str | None = None
    provider_seconds: float | None = None

    @property
    def called(self) -> str:
        """What the member knows it by: the title of a card or look, whose words stay out of sight; else the words."""
        return self.title or self.words

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    def to(self, status: Status, now: datetime, **changes: Any) -> "Generation":
        """The next row; raises IllegalTransition for a step this life does not have."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"a generation can't go from {self.status} to {status}")
        changes.setdefault("next_check_at", now)
        if status in ENDED:
            changes.setdefault("finished_at", now)
        return replace(self, status=status, **changes)

    def wait(self, now: datetime, delay: timedelta, **changes: Any) -> "Generation":
        """The same status, looked at again after `delay`."""
        return self.to(self.status, now, next_check_at=now + delay, **changes)

    def submitting(self, now: datetime, timing: Timing) -> "Generation":
        """About to be sent; version, prompt and seed on the row find it again."""
        return self.to(
            Status.SUBMITTING,
            now,
            submitted_at=now,
            attempt=self.attempt + 1,
            next_check_at=now + 3 * timing.poll,
            error_code=None,
            error=None,
        )

    def submitted(self, provider_id: str, now: datetime, timing: Timing) -> "Generation":
        """The provider has it, under this id."""
        pause = timing.look_after(timedelta(0))
        return self.to(Status.SUBMITTED, now, provider_prediction_id=provider_id, next_check_at=now + pause)

    def not_sent(self, now: datetime, delay: timedelta, code: str, message: str) -> "Generation":
        """Surely not begun: back to the queue with the reason shown; it counts as no attempt."""
        return self._sent_again(now, delay, code, message, attempt=self.attempt - 1)

    def _sent_again(
        self, now: datetime, delay: timedelta, code: str, message: str, *, attempt: int
    ) -> "Generation":
        return self.to(
            Status.QUEUED,
            now,
            attempt=attempt,
            submitted_at=None,
            next_check_at=now + delay,
            error_code=code,
            error=message,
        )

    def lost_start(self, now: datetime) -> "Generation":
        """An unanswered start that never turned up: send again, or give up after MAX_ATTEMPTS."""
        if self.attempt >= MAX_ATTEMPTS:
            return self.failed("start_lost", "The engine never confirmed the start. Nothing was made.", now)
        told = "The engine did not answer; sending it again."
        return self._sent_again(now, timedelta(0), "start_lost", told, attempt=self.attempt)

    def failed(self, code: str, message: str, now: datetime) -> "Generation":
        """Over without pictures."""
        return self.to(Status.FAILED, now, error_code=code, error=message)

    def stored(self, kept: int, gone: int, unusable: int, now: datetime) -> "Generation":
        """All that can be had is ours: done if that is any picture at all, with a word about those that are lost."""
        if kept and not (gone or unusable):
            return self.to(Status.COMPLETED, now, error_code=None, error=None)
        if kept:
            some = f"{gone + unusable} of {kept + gone + unusable} pictures could not be fetched."
            return self.to(Status.COMPLETED, now, error_code="some_lost", error=some)
        if gone:
            return self.to(Status.LOST_AT_PROVIDER, now, error_code="lost_at_provider", error=LOST)
        return self.failed("picture_unusable", "The engine sent something that is no picture.", now)

    def too_late_to_store(self, now: datetime, timing: Timing) -> bool:
        """Whether the provider has surely deleted what it made."""
        return self.submitted_at is not None and now > self.submitted_at + timing.store_deadline

    def overdue(self, now: datetime, timing: Timing) -> bool:
        """Whether the provider has had it for longer than any picture takes."""
        return self.submitted_at is not None and now > self.submitted_at + timing.run_deadline
