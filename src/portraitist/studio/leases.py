"""How long a row is left to the job that works on it, before the sweep gives it another one. No clock of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class Lease:
    """A job that was lost (a killed worker, a dropped message) costs `length` at most.

    A step that takes longer may meet a second one on the same row: the revision decides which of them counts.
    """

    length: timedelta = timedelta(seconds=10)


LEASE = Lease()
"""Of this process; set once from the settings, when its parts are put together."""


def leased_from(now: datetime) -> datetime:
    """Until when a job has what it takes now."""
    return now + LEASE.length


def lease_until(next_check_at: datetime, now: datetime) -> datetime | None:
    """The lease of a row that goes on at once; None for one that waits for its time."""
    return leased_from(now) if next_check_at <= now else None
