"""The clock. Nothing else asks the machine for the time of day; decisions get `now` handed in.

Durations of waiting (deadlines, backoff) use the event loop's monotonic clock, not this one.
"""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; a test hands in one that stands still."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)
