"""Audit events as the API shows them, to members and to admins alike."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from portraitist.studio.paging import Position, Wanted, cut
from portraitist.studio.trail.domain import Event


class EventOut(BaseModel):
    """One audit event. `actor_id` and `subject` are members' audit subjects: random, and gone with the member."""

    id: UUID
    at: datetime
    action: str = Field(examples=["session.opened"])
    actor: str = Field(description="member, admin, host, studio or nobody.", examples=["member"])
    actor_id: UUID | None
    subject: UUID | None
    detail: dict[str, Any] = Field(examples=[{"session": "3f0c2c1e-8a52-4a6e-9d3c-6f1f6f2b7a10"}])


class EventsOut(BaseModel):
    """A page of audit events, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[EventOut]
    next: str | None = Field(examples=[None])

    @classmethod
    def of(cls, found: Sequence[Event], page: Wanted) -> "EventsOut":
        """From one row more than the page has."""
        shown, following = cut(found, page, lambda event: Position(event.at, event.id))
        return cls(items=[EventOut(**vars(event)) for event in shown], next=following)
