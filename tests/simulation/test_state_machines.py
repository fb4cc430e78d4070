"""Trainings and generations as state machines under arbitrary orders of events, on a clock that jumps.

A small model of what must always be true is kept beside the real transitions: ends are final, money is spent once
per token, nothing is forgotten, and only the drawn transitions happen.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portraitist.studio.generation import domain as drawing
from portraitist.studio.generation.domain import Generation
from portraitist.studio.training import domain, service
from portraitist.studio.training.domain import (
    ENDED,
    PARKED,
    IllegalTransition,
    PackedPhotos,
    Status,
    Timing,
    Training,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
TIMING = Timing(timedelta(seconds=5), timedelta(seconds=30), timedelta(seconds=60))
DRAWING_TIMING = drawing.Timing(timedelta(seconds=2), timedelta(seconds=30), timedelta(seconds=60))
pauses = st.floats(0, 7 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


class TrainingLife(RuleBasedStateMachine):
    """Any event at any time: those that the life does not have are refused and change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.row: Training = service._queued("anna00000000", "studio", "engine", START)
        self.tokens: list[str] = []
        self.ended: Training | None = None
        self.attempts = 0

    def go(self, after: Training) -> None:
        assert after.status in domain.TRANSITIONS[self.row.status]
        self.row = after
        if after.status in ENDED and self.ended is None:
            self.ended = after

    @rule(pause=pauses)
    def time_passes(self, pause: timedelta) -> None:
        self.now += pause

    @precondition(lambda self: self.row.status is Status.QUEUED)
    @rule()
    def send(self) -> None:
        token = uuid4().hex
        self.tokens.append(token)
        self.attempts += 1
        self.go(self.row.submitting(PackedPhotos(token, "key", "https://x/zip", None), self.now, TIMING))

    @precondition(lambda self: self.row.status is Status.SUBMITTING)
    @rule(received=st.booleans())
    def answer(self, received: bool) -> None:
        if received:
            self.go(self.row.submitted("provider-id", self.now, TIMING))
        else:
            self.attempts -= 1  # nothing was begun: no start
            self.go(self.row.not_sent(self.now, TIMING.poll, "provider_rate_limited", "slow down"))

    @precondition(lambda self: self.row.status is Status.SUBMITTING)
    @rule()
    def no_answer(self) -> None:
        self.go(self.row.lost_start(self.now, TIMING))

    @precondition(lambda self: self.row.status in (Status.SUBMITTED, Status.TRAINING))
    @rule(word=st.sampled_from(["processing", "succeeded", "failed"]))
    def provider_says(self, word: str) -> None:
        if word == "processing" and self.row.status is Status.SUBMITTED:
            self.go(self.row.to(Status.TRAINING, self.now, started_at=self.now))
        elif word == "succeeded":
            self.go(self.row.succeeded({"version": "x"}, self.now, self.now))
        elif word == "failed":
            self.go(self.row.failed("training_failed", "It failed.", self.now))

    @precondition(lambda self: self.row.status is Status.EXTRACTING)
    @rule(found=st.booleans())
    def look_for_the_version(self, found: bool) -> None:
        if found:
            self.go(self.row.to(Status.VERIFYING, self.now, candidate_version="ab" * 32))
        else:
            self.go(self.row.parked(Status.EXTRACTION_FAILED, "version_not_found", "No.", self.now, TIMING))

    @precondition(lambda self: self.row.status is Status.VERIFYING)
    @rule(passed=st.booleans())
    def test_it(self, passed: bool) -> None:
        if passed:
            self.go(self.row.to(Status.COMPLETED, self.now))
        else:
            self.go(self.row.parked(Status.VERIFICATION_FAILED, "test_blank", "Blank.", self.now, TIMING))

    @precondition(lambda self: self.row.status in PARKED)
    @rule()
    def retry(self) -> None:
        self.go(self.row.retried(self.now))

    @rule(target_status=st.sampled_from(list(Status)))
    def anything_else_is_refused(self, target_status: Status) -> None:
        if target_status not in domain.TRANSITIONS[self.row.status]:
            try:
                self.row.to(target_status, self.now)
            except IllegalTransition:
                return
            raise AssertionError(f"{self.row.status} → {target_status} went through")

    @precondition(lambda self: self.row.status not in ENDED)
    @rule(often=st.integers(0, 9))
    def cancel(self, often: int) -> None:
        if often == 0:
            self.go(self.row.canceled(self.now))

    @invariant()
    def an_end_is_final(self) -> None:
        if self.ended is not None:
            assert self.row == self.ended
            assert self.row.finished_at is not None

    @invariant()
    def every_token_is_remembered(self) -> None:
        known = {*self.row.past_tokens, self.row.submit_token}
        assert set(self.tokens) <= known
        assert self.row.attempt == self.attempts

    @invariant()
    def it_is_never_sent_for_ever(self) -> None:
        if self.row.error_code == "start_lost" and self.row.status is Status.FAILED:
            assert self.row.attempt >= domain.MAX_ATTEMPTS

    @invariant()
    def it_is_looked_at_again_and_says_why_it_waits(self) -> None:
        if self.row.status in PARKED:
            assert self.row.error_code and self.row.error
            assert self.row.raw_output == {"version": "x"}
            assert self.row.next_check_at <= self.now + TIMING.retry_most
        assert self.row.percent is None or self.row.percent < 100 or self.row.status is Status.COMPLETED

    @invariant()
    def what_can_be_overdue_ends_some_day(self) -> None:
        far = self.now + timedelta(days=2)
        if self.row.status in (Status.SUBMITTED, Status.TRAINING):
            assert self.row.overdue(far, TIMING)


class GenerationLife(RuleBasedStateMachine):
    """The same for generations."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.row = _queued_generation()
        self.sent = 0
        self.ended: Generation | None = None

    def go(self, after: Generation) -> None:
        assert after.status in drawing.TRANSITIONS[self.row.status]
        self.row = after
        if after.status in drawing.ENDED and self.ended is None:
            self.ended = after

    @rule(pause=pauses)
    def time_passes(self, pause: timedelta) -> None:
        self.now += pause

    @precondition(lambda self: self.row.status is drawing.Status.QUEUED)
    @rule()
    def send(self) -> None:
        self.sent += 1
        self.go(self.row.submitting(self.now, DRAWING_TIMING))

    @precondition(lambda self: self.row.status is drawing.Status.SUBMITTING)
    @rule(word=st.sampled_from(["taken", "refused", "silence"]))
    def answer(self, word: str) -> None:
        if word == "taken":
            self.go(self.row.submitted("provider-id", self.now, DRAWING_TIMING))
        elif word == "refused":
            self.sent -= 1  # nothing was begun: no attempt
            self.go(self.row.not_sent(self.now, timedelta(seconds=2), "provider_rate_limited", "slow down"))
        else:
            self.go(self.row.lost_start(self.now))

    @rule(target_status=st.sampled_from(list(drawing.Status)))
    def only_drawn_transitions_happen(self, target_status: drawing.Status) -> None:
        if target_status in drawing.TRANSITIONS[self.row.status]:
            if target_status not in (drawing.Status.QUEUED, drawing.Status.SUBMITTING):
                self.go(self.row.to(target_status, self.now))
            return
        try:
            self.row.to(target_status, self.now)
        except drawing.IllegalTransition:
            return
        raise AssertionError(f"{self.row.status} → {target_status} went through")

    @invariant()
    def an_end_is_final(self) -> None:
        if self.ended is not None:
            assert self.row == self.ended
            assert self.row.finished_at is not None

    @invariant()
    def the_seed_and_the_prompt_never_change(self) -> None:
        assert (self.row.seed, self.row.prompt, self.row.attempt) == (7, "useranna00000000 person", self.sent)

    @invariant()
    def it_is_overdue_some_day(self) -> None:
        if self.row.status in (drawing.Status.SUBMITTED, drawing.Status.RUNNING) and self.sent:
            assert self.row.overdue(self.now + timedelta(days=8), DRAWING_TIMING)


def _queued_generation() -> Generation:
    return Generation(
        user_id="anna00000000",
        id=uuid4(),
        status=drawing.Status.QUEUED,
        model_version_id=uuid4(),
        account_id="engine",
        words="",
        prompt="useranna00000000 person",
        seed=7,
        requested={},
        attempt=0,
        revision=0,
        next_check_at=START,
        admitted_at=None,
        webhook_token=None,
        submitted_at=None,
        provider_prediction_id=None,
        raw_output=None,
        unknown_words=[],
        cancel_requested_at=None,
        error_code=None,
        error=None,
        created_at=START,
        finished_at=None,
    )


TestTrainingLife = TrainingLife.TestCase
TestTrainingLife.settings = settings(max_examples=60, stateful_step_count=30)
TestGenerationLife = GenerationLife.TestCase
TestGenerationLife.settings = settings(max_examples=60, stateful_step_count=30)
