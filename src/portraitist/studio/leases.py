"""How long a row is left to the job that works on it, before the sweep gives it another one. Pure."""

from datetime import datetime, timedelta

LEASE = timedelta(seconds=10)
"""A job that was lost (a killed worker, a dropped message) costs this much at most. A step that takes longer may
meet a second one on the same row: the revision decides which of them counts."""


def lease_until(next_check_at: datetime, now: datetime) -> datetime | None:
    """The lease of a row that goes on at once; None for one that waits for its time."""
    return now + LEASE if next_check_at <= now else None
