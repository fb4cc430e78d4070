"""What a notice is, which ways it takes, and what the answer of a push service means. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

KEPT_FOR = timedelta(days=90)
"""Then a notice goes; the next one that is entered takes those away."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=2)
GIVEN_UP_AFTER = timedelta(days=1)
"""Nobody wants to hear of it later; the app has it anyway."""


class Kind(StrEnum):
    """What happened."""

    MODEL_READY = "model_ready"
    TRAINING_FAILED = "training_failed"
    TRAINING_PARKED = "training_parked"
    PHOTOS_ANNOUNCED = "photos_announced"
    PREVIEWS_ANNOUNCED = "previews_announced"


MAILED = frozenset({Kind.MODEL_READY, Kind.TRAINING_FAILED, Kind.TRAINING_PARKED, Kind.PREVIEWS_ANNOUNCED})
"""Of the photos' deletion a letter goes out anyway: it is a promise, not a wish."""


@dataclass(frozen=True)
class Notice:
    """One row of `notices`. `event`: what it is about; of each kind and event a member is told once."""

    id: UUID
    kind: Kind
    event: str
    detail: Mapping[str, str]
    created_at: datetime
    read_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))


@dataclass(frozen=True)
class Ways:
    """How a member wants to hear of notices besides in the app, and in which language."""

    mail: bool = True
    push: bool = True
    language: str = "en"


@dataclass(frozen=True)
class Subscription:
    """A browser's address for pushes (RFC 8030) and its keys (RFC 8291), as it gave them."""

    id: UUID
    endpoint: str
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)


class Outcome(StrEnum):
    """What becomes of a push after an answer."""

    SENT = "sent"
    NOBODY = "nobody"  # there is no such browser any more
    LATER = "later"
    REFUSED = "refused"  # this message; the next one may pass


GONE = frozenset({401, 403, 404, 410})
"""404 and 410: ended by the browser (RFC 8030 §7.3). 401 and 403: subscribed with a key that we no longer have."""


def outcome(status: int) -> Outcome:
    """The meaning of a push service's answer."""
    if 200 <= status < 300:
        return Outcome.SENT
    if status in GONE:
        return Outcome.NOBODY
    return Outcome.LATER if status == 429 or status >= 500 else Outcome.REFUSED


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries."""
    return min(FIRST_PAUSE * (1 << min(tries, 12)), LONGEST_PAUSE)
