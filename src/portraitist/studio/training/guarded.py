"""What a guarded update gives back: the row as it stands now, without reading it again. For both repositories.

A start that was woken while its answer was on the way (`wake` leaves it a lease, which nobody else does there) is
looked at as soon as that answer is recorded.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

Row = TypeVar("Row", bound=Any)
NEXT_CHECK = """case when status = 'submitting' and %(status)s = 'submitted' and leased_until is not null
    then %(submitted_at)s else %(next_check_at)s end"""
RETURNED = "revision, next_check_at, admitted_at, cancel_requested_at"


@dataclass(frozen=True)
class Stored:
    """The columns that others may have written since the row was read."""

    revision: int
    next_check_at: datetime
    admitted_at: datetime | None
    cancel_requested_at: datetime | None


def stored(after: Row, now: Stored | None) -> Row | None:
    """The row as it was saved, with what others wrote meanwhile; None where the update did not hold."""
    return None if now is None else replace(after, **vars(now))
