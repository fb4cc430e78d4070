"""Keyset pagination with an opaque cursor, newest first, as Replicate's lists have it. Pure."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from portraitist.engine.errors import Problem

PAGE_SIZE = 100
Item = TypeVar("Item")
Direction = Literal["next", "previous"]


@dataclass(frozen=True)
class Cursor:
    """A place between two items: those older (`next`) or newer (`previous`) than this one are wanted."""

    direction: Direction
    created_at: datetime
    key: str

    def encode(self) -> str:
        """As it stands in a URL."""
        text = json.dumps([self.direction, self.created_at.isoformat(), self.key])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str | None) -> Cursor | None:
    """The cursor of a request; `None` is the first page. Raises `Problem` on anything we did not make."""
    if not text:
        return None
    try:
        direction, created_at, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if direction not in ("next", "previous") or not isinstance(key, str):
            raise ValueError(direction)
        return Cursor(direction, datetime.fromisoformat(created_at), key)
    except (ValueError, TypeError, binascii.Error) as error:
        raise Problem(400, "Invalid cursor", "Bad request") from error


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Up to `PAGE_SIZE` items, newest first, and the cursors of its neighbours."""

    items: Sequence[Item]
    next: Cursor | None
    previous: Cursor | None


def cut(
    rows: Sequence[Item], asked: Cursor | None, place: Callable[[Item], tuple[datetime, str]]
) -> Page[Item]:
    """Make a page of up to `PAGE_SIZE + 1` rows in the order of the question (`previous`: oldest first)."""
    more = len(rows) > PAGE_SIZE
    items = list(rows[:PAGE_SIZE])
    backwards = asked is not None and asked.direction == "previous"
    if backwards:
        items.reverse()
    if not items:
        return Page((), None, None)
    older = more if not backwards else True
    newer = more if backwards else asked is not None
    return Page(
        items,
        Cursor("next", *place(items[-1])) if older else None,
        Cursor("previous", *place(items[0])) if newer else None,
    )
