"""What a stored picture is, how long it can be had back, and what its file is called. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

UNDO_FOR = timedelta(days=7)
"""How long a deleted picture can be had back; then its file and its row are removed for good."""
NAME_CHARS = 60
_NOT_IN_NAMES = re.compile(r"[^\w\-' ]+")


@dataclass(frozen=True)
class Image:
    """One row of `ai_images`: a picture file that we hold. `words`: asked for with, or the look's title."""

    user_id: str
    id: UUID
    generation_id: UUID
    index: int
    object_key: str
    sha256: bytes
    width: int
    height: int
    bytes: int
    saved: bool
    favourite: bool
    words: str
    deleted_at: datetime | None
    created_at: datetime
    look: str | None = None
    tint: int | None = None
    small_bytes: int | None = None

    @property
    def small_key(self) -> str:
        """Where its small copy lies, once there is one (`small_bytes`)."""
        return small_key(self.object_key)

    @property
    def colour(self) -> str | None:
        """Its main colour as #rrggbb; None where it was stored before colours were."""
        return None if self.tint is None else f"#{self.tint:06x}"

    @property
    def undo_until(self) -> datetime | None:
        """Until when a deleted picture can be had back."""
        return None if self.deleted_at is None else self.deleted_at + UNDO_FOR

    @property
    def file_name(self) -> str:
        """What a person would call the file: its day, the words, which of the three it is."""
        return f"{self.created_at:%Y-%m-%d} {_short(self.words)} {self.index + 1}.png"


@dataclass(frozen=True)
class Marks:
    """What a member says of a picture; None leaves a mark as it is."""

    saved: bool | None = None
    favourite: bool | None = None

    def on(self, image: Image) -> tuple[bool, bool]:
        """Saved and favourite as they become: a favourite is kept, and what is not kept is no favourite."""
        favourite = image.favourite if self.favourite is None else self.favourite
        if self.saved is None:
            return (image.saved or favourite), favourite
        return (self.saved or self.favourite is True), favourite and (self.saved or self.favourite is True)


def small_key(object_key: str) -> str:
    """Where the small copy of a picture lies: beside it."""
    return f"{object_key.removesuffix('.png')}-small.webp"


def _short(words: str) -> str:
    """The words as part of a file name that every system takes."""
    plain = _NOT_IN_NAMES.sub(" ", unicodedata.normalize("NFC", words)).replace("_", " ")
    short = " ".join(plain.split())
    if len(short) > NAME_CHARS:
        short = short[: NAME_CHARS + 1].rsplit(" ", 1)[0][:NAME_CHARS]
    return short.strip(" -'") or "picture"
