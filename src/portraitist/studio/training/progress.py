"""How far a training is, for people: from the provider's own log, and how long it may still take. Pure.

Never finished by the clock: time gives an estimate beside the bar, and moves no bar. Without a log there is the
phase and the time elapsed, and it is said so.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portraitist.studio.training.domain import ACTIVE, Status, Training

ENOUGH_OF_THE_BAR = 0.03
"""From this share on, a bar's own speed says something when there is no history yet."""


class Source(StrEnum):
    """What the progress shown is read from."""

    LOG = "log"
    ELAPSED = "elapsed"


@dataclass(frozen=True)
class Durations:
    """Seconds that a training waited at the provider, ran there, and was checked here afterwards."""

    waited_s: float
    ran_s: float
    checked_s: float


def durations(training: Training, now: datetime) -> Durations | None:
    """What a training that is being promoted teaches about the next; None where it had to be tried again."""
    started, succeeded, submitted = training.started_at, training.succeeded_at, training.submitted_at
    if training.retries or started is None or succeeded is None or submitted is None:
        return None
    told = training.effective.get("predict_time")  # the provider's own measure knows nothing of our polling
    ran_s = told if isinstance(told, int | float) else _seconds(started, succeeded)
    return Durations(_seconds(submitted, started), max(0.0, float(ran_s)), _seconds(succeeded, now))


def source(training: Training) -> Source | None:
    """What the progress is read from; None before it runs at the provider."""
    if training.total_steps or training.logs_tail:
        return Source.LOG
    return Source.ELAPSED if training.started_at is not None else None


def elapsed_s(training: Training, now: datetime) -> int:
    """Whole seconds since it was asked for, up to its end."""
    return int(_seconds(training.created_at, training.finished_at or now))


def remaining_s(training: Training, usual: Durations | None, now: datetime) -> int | None:
    """Whole seconds it may still take, by this studio's own history, else by the bar's speed; None: unknown."""
    if training.status not in ACTIVE or source(training) is Source.ELAPSED:
        return None
    left = _by_history(training, usual, now) if usual is not None else _by_the_bar(training, now)
    return None if left is None else max(1, math.ceil(left))


def _by_history(training: Training, usual: Durations, now: datetime) -> float | None:
    match training.status:
        case Status.QUEUED | Status.SUBMITTING:
            return usual.waited_s + usual.ran_s + usual.checked_s
        case Status.SUBMITTED:
            waiting = max(0.0, usual.waited_s - _seconds(training.submitted_at or now, now))
            return waiting + usual.ran_s + usual.checked_s
        case Status.TRAINING if training.step and training.total_steps:
            return usual.ran_s * (1 - training.step / training.total_steps) + usual.checked_s
        case Status.TRAINING:
            running = max(0.0, usual.ran_s - _seconds(training.started_at or now, now))
            return running + usual.checked_s
        case _:
            return max(0.0, usual.checked_s - _seconds(training.succeeded_at or now, now))


def _by_the_bar(training: Training, now: datetime) -> float | None:
    if training.status is not Status.TRAINING or not training.total_steps or training.started_at is None:
        return None
    share = (training.step or 0) / training.total_steps
    if share < ENOUGH_OF_THE_BAR:
        return None
    return _seconds(training.started_at, now) * (1 - share) / share


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
