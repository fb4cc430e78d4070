"""Albums, and what a member wants to see of their pictures. Pure."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

ALBUM_NAME_CHARS = 80


@dataclass(frozen=True)
class Album:
    """One row of `albums`, with how many pictures are in it and the newest of them."""

    id: UUID
    name: str
    created_at: datetime
    pictures: int
    cover_id: UUID | None


@dataclass(frozen=True)
class Named:
    """An album as it is chosen from a list."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Look:
    """A look that the member has pictures of: its name in addresses, and what people call it."""

    slug: str
    title: str


@dataclass(frozen=True)
class Filter:
    """Which pictures: all that hold. None (or "" of words) leaves a condition out; `ids` are those asked for by name.

    `since` is inclusive, `until` is not. Deleted pictures show only where `deleted` asks for them.
    """

    words: str = ""
    saved: bool | None = None
    favourite: bool | None = None
    album_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    deleted: bool = False
    ids: tuple[UUID, ...] | None = None
    look: str | None = None


def album_name(given: str) -> str | None:
    """The name as it is kept: one line without spaces around it; None where nothing is left or it is too long."""
    name = " ".join(
        "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", given)).split()
    )
    return name if 0 < len(name) <= ALBUM_NAME_CHARS else None
