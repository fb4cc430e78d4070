"""Pages of a list: an opaque cursor that stands for the last row seen, and the query parameters that lists share.

Rows are ordered by time and id, newest first, and a page begins behind a row rather than at a number, so rows that
arrive or leave between two pages neither repeat nor hide others. Which rows there are is the repositories' to say.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from portraitist.studio.errors import BadInput

T = TypeVar("T")
USUAL, MOST = 50, 100


@dataclass(frozen=True, order=True)
class Position:
    """A place in a list: the time and the id of the last row seen."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        """The cursor: meant to be handed back, not to be read."""
        packed = ((self.at - _EPOCH) // _MICRO).to_bytes(8, "big", signed=True) + self.id.bytes
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_BYTES = 24  # of the time, 8; of the id, 16


@dataclass(frozen=True)
class Wanted:
    """Which page: what comes after `after` (None: from the start), at most `limit` rows."""

    after: Position | None
    limit: int


def wanted(cursor: str | None = None, limit: int = USUAL) -> Wanted:
    """The page that a request asks for; raises BadInput for a cursor that we never gave."""
    return Wanted(None if cursor is None else _position(cursor), limit)


def cut(
    rows: Sequence[T], page: Wanted, position: Callable[[T], Position | str]
) -> tuple[list[T], str | None]:
    """Of at most `limit + 1` rows: those of this page, and the cursor of the next one (None: this was the last)."""
    shown = list(rows[: page.limit])
    return shown, str(position(shown[-1])) if len(rows) > page.limit else None


def _position(cursor: str) -> Position:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if len(packed) != _BYTES:
            raise ValueError("another length")
        at = _EPOCH + int.from_bytes(packed[:8], "big", signed=True) * _MICRO
        return Position(at, UUID(bytes=packed[8:]))
    except (ValueError, OverflowError, binascii.Error) as exc:
        raise BadInput(
            "cursor_invalid", "That cursor is not one of ours.", next_step="Start without one."
        ) from exc


Cursor = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before; leave it out for the first page."),
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
