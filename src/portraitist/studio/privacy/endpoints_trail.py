"""`/api/v1/account/events` and `/openings`: what was recorded about a member, and who looked at their things."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.http import CoreDep
from portraitist.studio.openapi import problems
from portraitist.studio.oversight import glass
from portraitist.studio.oversight.domain import Opening
from portraitist.studio.paging import USUAL, Cursor, Limit, wanted
from portraitist.studio.trail import service
from portraitist.studio.trail.bodies import EventsOut

router = APIRouter(prefix="/api/v1/account", tags=["privacy"])


@router.get("/events", responses=problems("cursor_invalid"))
async def own_events(
    user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL
) -> EventsOut:
    """Audit events about you, newest first: signing in, credentials, consent, erasures, and what an admin did."""
    page = wanted(cursor, limit)
    async with core.db.member(user_id) as tx:
        return EventsOut.of(await service.page(tx, page), page)


class ViewOut(BaseModel):
    """What was looked at: the list of everything (no `thing_id`), a photo or a picture."""

    kind: str = Field(examples=["picture"])
    thing_id: UUID | None
    at: datetime


class OpeningOut(BaseModel):
    """An admin's look at your photos and pictures. `admin` is who, by the number that your events name them with."""

    id: UUID
    admin: UUID
    role: str = "an admin"
    reason: str = Field(examples=["You asked us on the phone why a picture is broken."])
    opened_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    views: list[ViewOut]

    @classmethod
    def of(cls, opening: Opening) -> "OpeningOut":
        """As the member is shown it."""
        glass = opening.glass
        return cls(
            id=glass.id,
            admin=glass.admin,
            reason=glass.reason,
            opened_at=glass.opened_at,
            ends_at=glass.ends_at,
            ended_at=glass.ended_at,
            views=[ViewOut(kind=view.kind, thing_id=view.thing_id, at=view.at) for view in opening.views],
        )


class OpeningsOut(BaseModel):
    """Every look that an admin has taken at your photos and pictures, newest first."""

    items: list[OpeningOut]


@router.get("/openings")
async def own_openings(user_id: MemberId, core: CoreDep) -> OpeningsOut:
    """Who looked at your photos and pictures by break-glass, when, why, and at what. No admin can take it out."""
    async with core.db.member(user_id) as tx:
        return OpeningsOut(items=[OpeningOut.of(each) for each in await glass.openings(tx)])
