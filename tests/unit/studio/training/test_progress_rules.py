"""Progress for people: from the log, estimated from history, never finished by the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from portraitist.studio.training.domain import Status, Training
from portraitist.studio.training.progress import Durations, Source, durations, remaining_s, source

START = datetime(2026, 11, 1, tzinfo=UTC)
USUAL = Durations(waited_s=60, ran_s=1000, checked_s=30)
DAYS = START + timedelta(days=9)


def training(status: Status, **changes: Any) -> Training:
    fields: dict[str, Any] = dict.fromkeys(Training.__dataclass_fields__)
    return Training(
        **fields
        | {
            "id": UUID(int=1),
            "status": status,
            "logs_tail": "",
            "effective": {},
            "retries": 0,
            "created_at": START,
            "submitted_at": START,
        }
        | changes
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_before_it_starts_the_estimate_is_the_whole_usual_time() -> None:
    assert remaining_s(training(Status.QUEUED), USUAL, DAYS) == 1090
    assert remaining_s(training(Status.SUBMITTED), USUAL, at(20)) == 1070
    assert remaining_s(training(Status.SUBMITTED), USUAL, at(500)) == 1030


def test_while_it_runs_the_steps_done_decide_and_not_the_clock() -> None:
    half = training(Status.TRAINING, step=500, total_steps=1000, started_at=START)
    assert remaining_s(half, USUAL, at(10)) == remaining_s(half, USUAL, DAYS) == 530
    assert half.percent == 50


def test_without_history_the_bars_own_speed_is_taken_once_it_says_something() -> None:
    barely = training(Status.TRAINING, step=10, total_steps=1000, started_at=START)
    quarter = training(Status.TRAINING, step=250, total_steps=1000, started_at=START)
    assert remaining_s(barely, None, at(10)) is None
    assert remaining_s(quarter, None, at(100)) == 300


def test_without_a_log_there_is_the_time_elapsed_and_no_promise() -> None:
    silent = training(Status.TRAINING, started_at=START)
    assert source(silent) is Source.ELAPSED
    assert silent.percent is None
    assert remaining_s(silent, USUAL, at(10)) is None


def test_captions_are_a_log_but_no_step() -> None:
    captioning = training(Status.TRAINING, started_at=START, logs_tail="Caption for 01.jpg: a person")
    assert source(captioning) is Source.LOG
    assert captioning.percent is None
    assert remaining_s(captioning, USUAL, at(100)) == 930


@pytest.mark.parametrize("status", [Status.TRAINING, Status.EXTRACTING, Status.VERIFYING])
def test_however_long_it_takes_it_is_never_finished_by_the_clock(status: Status) -> None:
    late = training(status, step=1000, total_steps=1000, started_at=START, succeeded_at=START)
    assert late.percent == 99
    assert (remaining_s(late, USUAL, DAYS) or 0) >= 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.EXTRACTION_FAILED])
def test_what_has_ended_or_is_parked_promises_no_time(status: Status) -> None:
    assert remaining_s(training(status, started_at=START, logs_tail="x"), USUAL, at(5)) is None


def test_a_training_teaches_how_long_it_waited_ran_and_was_checked() -> None:
    ran = training(Status.VERIFYING, started_at=at(60), succeeded_at=at(660))
    assert durations(ran, at(700)) == Durations(60, 600, 40)
    told = training(
        Status.VERIFYING, started_at=at(60), succeeded_at=at(660), effective={"predict_time": 590.5}
    )
    assert durations(told, at(700)) == Durations(60, 590.5, 40)
    assert (
        durations(training(Status.VERIFYING, started_at=at(60), succeeded_at=at(660), retries=1), at(9999))
        is None
    )
