"""Which runs need a look, and the one thing that helps each. Pure; what is done is the slices' own `helping`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from portraitist.studio.training.overview import Run

Kind = Literal["training", "generation"]
OVERDUE = timedelta(minutes=5)
"""So long after its time a row was looked at by nobody: sweeps come every second."""
LONG = {"training": timedelta(hours=1), "generation": timedelta(minutes=10)}
"""Longer than this a run is worth a look; the studio itself ends it at its deadline, later."""
PARKED = frozenset({"extraction_failed", "verification_failed"})


class Trouble(StrEnum):
    """What is wrong with a run. In the order in which they are shown."""

    UNATTENDED = "unattended"
    """Nobody looks at it: there is no worker, or none that comes through."""
    NOT_IN_USE = "not_in_use"
    """Trained and paid for, and its version could not be taken into use."""
    FAILED = "failed"
    """It failed, and its member has begun no other."""
    TRIED_AGAIN = "tried_again"
    """Something went wrong on the way, and the studio tries again by itself."""
    LONG = "long"
    """It takes longer than it should."""


class Help(StrEnum):
    """The one thing that helps."""

    RETRY = "retry"
    CANCEL = "cancel"
    AGAIN = "again"


@dataclass(frozen=True)
class Judged:
    """A run with what is wrong with it, and what helps; neither where all is well."""

    kind: Kind
    run: Run
    trouble: Trouble | None
    help: Help | None

    @property
    def percent(self) -> int | None:
        """How far it is, where steps are known and it is at work."""
        if self.run.status != "training" or self.run.step is None or not self.run.total_steps:
            return None
        return min(99, 100 * self.run.step // self.run.total_steps)


def judged(kind: Kind, run: Run, now: datetime) -> Judged:
    """What is wrong with this run, if anything."""
    trouble = _trouble(kind, run, now)
    return Judged(kind, run, trouble, _help(kind, run, trouble))


def in_order(found: Iterable[Judged]) -> list[Judged]:
    """Those that need a look first, worst and oldest first; then the others, oldest first."""
    order = list(Trouble)
    return sorted(
        found,
        key=lambda each: (
            len(order) if each.trouble is None else order.index(each.trouble),
            each.run.created_at,
        ),
    )


def _trouble(kind: Kind, run: Run, now: datetime) -> Trouble | None:
    if run.status == "failed":
        return Trouble.FAILED
    if run.finished_at is not None or (run.status == "queued" and not run.admitted):
        return None
    if run.next_check_at < now - OVERDUE:
        return Trouble.UNATTENDED
    if run.status in PARKED:
        return Trouble.NOT_IN_USE
    if run.error_code is not None:
        return Trouble.TRIED_AGAIN
    if run.submitted_at is not None and run.submitted_at < now - LONG[kind]:
        return Trouble.LONG
    return None


def _help(kind: Kind, run: Run, trouble: Trouble | None) -> Help | None:
    if run.canceling:
        return None
    match trouble:
        case Trouble.NOT_IN_USE:
            return Help.RETRY
        case Trouble.FAILED:
            return Help.AGAIN if kind == "training" else None
        case Trouble.TRIED_AGAIN | Trouble.LONG:
            return Help.CANCEL
        case _:
            return None
