"""A legal hold and a break-glass, as they are told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

SHORTEST_REASON, LONGEST_REASON = 10, 1000
ThingKind = Literal["photo", "picture"]


@dataclass(frozen=True)
class Hold:
    """A legal hold on a member. The reason is the operator's alone."""

    user_id: str
    id: UUID
    reason: str
    placed_at: datetime
    released_at: datetime | None


@dataclass(frozen=True)
class Glass:
    """An admin's look at one member's photos and pictures. `admin` is that admin's audit subject."""

    user_id: str
    id: UUID
    admin: UUID
    reason: str
    opened_at: datetime
    ends_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class View:
    """What was looked at through a glass: its list (no thing), a photo or a picture."""

    glass_id: UUID
    kind: str
    thing_id: UUID | None
    at: datetime


@dataclass(frozen=True)
class Opening:
    """A glass, and everything that was looked at through it: what the member is shown."""

    glass: Glass
    views: Sequence[View]


@dataclass(frozen=True)
class Thing:
    """A photo or a picture as it is listed through a glass."""

    kind: ThingKind
    id: UUID
    width: int
    height: int
    created_at: datetime
