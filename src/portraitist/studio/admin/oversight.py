"""`/api/v1/admin/…`: erasing a member, legal holds, and break-glass. The member is told of all but the hold's reason.

Erasing wants a fresh sign-in of an admin's; break-glass a session of an admin's own, signed in freshly: no token, and
not the host's.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.domain import Who
from portraitist.studio.accounts.signed_in import FreshOperatorId, FreshSession, OperatorId, OperatorOnly
from portraitist.studio.admin import acts
from portraitist.studio.errors import Forbidden
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.images.endpoints import PRIVATE
from portraitist.studio.openapi import file_of, problems
from portraitist.studio.oversight import glass, holds
from portraitist.studio.oversight.domain import LONGEST_REASON, SHORTEST_REASON, Glass, Hold, Thing
from portraitist.studio.privacy.endpoints import BegunOut, OwnToken

router = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[OperatorOnly])
Reason = Annotated[
    str,
    Field(
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        examples=["Order 12/26 of the district court: keep everything of this account."],
    ),
]


async def admins_session(who: FreshSession) -> Who:
    """An admin who has signed in lately, by themselves. Raises Forbidden."""
    if who.role != "admin":
        raise Forbidden("admins_only", "Only an admin may do this.")
    return who


AdminHere = Annotated[Who, Depends(admins_session)]


class ReasonIn(BaseModel):
    """Why it is done. Of a break-glass the member reads it; of a hold nobody but the operator."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


class HoldOut(BaseModel):
    """A legal hold on a member."""

    id: UUID
    user_id: str = Field(examples=["k3v9x0q7m2ab"])
    reason: Reason
    placed_at: datetime
    released_at: datetime | None

    @classmethod
    def of(cls, hold: Hold) -> "HoldOut":
        """From the row."""
        return cls(**vars(hold))


class HoldsOut(BaseModel):
    """Every hold, released ones too, newest first."""

    items: list[HoldOut]


class GlassOut(BaseModel):
    """A look at one member's photos and pictures: until `ends_at`, reading only, for the admin who opened it."""

    id: UUID
    user_id: str = Field(examples=["k3v9x0q7m2ab"])
    admin: UUID
    reason: Reason
    opened_at: datetime
    ends_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, opened: Glass) -> "GlassOut":
        """From the row."""
        return cls(**vars(opened))


class GlassesOut(BaseModel):
    """The newest looks of all admins."""

    items: list[GlassOut]


class ThingOut(BaseModel):
    """A photo or a picture that can be opened."""

    kind: Literal["photo", "picture"]
    id: UUID
    width: int = Field(examples=[896])
    height: int = Field(examples=[1152])
    created_at: datetime

    @classmethod
    def of(cls, thing: Thing) -> "ThingOut":
        """As it is listed."""
        return cls(**vars(thing))


class ThingsOut(BaseModel):
    """Everything that can be opened, newest first."""

    items: list[ThingOut]


@router.delete(
    "/members/{user_id}",
    status_code=202,
    responses=problems(
        "member_not_found", "last_admin", "account_erasing", "receipt_token_used", "fresh_sign_in_needed"
    ),
)
async def erase_member(
    user_id: str, by: FreshOperatorId, core: CoreDep, now: NowDep, token: OwnToken = None
) -> BegunOut:
    """Erase a member as they could themselves: the same way, the same receipt. Hand its token over to them."""
    return BegunOut.of(await acts.erase(core.db, by, user_id, token, now()))


@router.get("/holds")
async def list_holds(by: OperatorId, core: CoreDep) -> HoldsOut:
    """Members whose things are held, or were."""
    async with core.db.registrar(by) as tx:
        return HoldsOut(items=[HoldOut.of(each) for each in await holds.all_holds(tx)])


@router.post(
    "/members/{user_id}/hold", status_code=201, responses=problems("member_not_found", "held_already")
)
async def hold_member(user_id: str, body: ReasonIn, by: OperatorId, core: CoreDep) -> HoldOut:
    """Keep this member's things as they are: nothing is removed, erasures wait, the member sees none of them."""
    async with core.db.registrar(by) as tx:
        return HoldOut.of(await holds.place(tx, user_id, body.reason))


@router.delete("/members/{user_id}/hold", responses=problems("hold_not_found"))
async def release_member(user_id: str, by: OperatorId, core: CoreDep, now: NowDep) -> HoldOut:
    """End the hold; an erasure that waited goes on at once."""
    return HoldOut.of(await acts.release(core.db, by, user_id, now()))


GLASS = "/break-glass/{glass_id}"
GLASS_PROBLEMS = ("session_needed", "fresh_sign_in_needed", "admins_only")


@router.post(
    "/members/{user_id}/break-glass", status_code=201, responses=problems("member_not_found", *GLASS_PROBLEMS)
)
async def break_glass(user_id: str, body: ReasonIn, admin: AdminHere, core: CoreDep) -> GlassOut:
    """Open one member's photos and pictures to yourself for fifteen minutes, reading only. They see it, and why."""
    async with core.db.registrar(admin.user_id) as tx:
        return GlassOut.of(await glass.open_for(tx, user_id, body.reason))


@router.get("/break-glass")
async def list_glasses(by: OperatorId, core: CoreDep) -> GlassesOut:
    """The newest hundred looks, of all admins."""
    async with core.db.registrar(by) as tx:
        return GlassesOut(items=[GlassOut.of(each) for each in await glass.newest(tx)])


@router.get(GLASS, responses=problems("glass_not_found", *GLASS_PROBLEMS))
async def list_things(glass_id: UUID, admin: AdminHere, core: CoreDep) -> ThingsOut:
    """What there is to look at, without words. The look is written down."""
    looking = await acts.looking(core, admin.user_id)
    return ThingsOut(items=[ThingOut.of(each) for each in await looking.listed(glass_id)])


@router.get(
    GLASS + "/{thing_kind}/{thing_id}",
    response_class=Response,
    responses=file_of("image/*") | problems("glass_not_found", "thing_not_found", *GLASS_PROBLEMS),
)
async def open_thing(
    glass_id: UUID, thing_kind: Literal["photo", "picture"], thing_id: UUID, admin: AdminHere, core: CoreDep
) -> Response:
    """One photo or picture. The look is written down before anything is sent."""
    looking = await acts.looking(core, admin.user_id)
    data = await looking.opened(glass_id, thing_kind, thing_id)
    kind = "image/jpeg" if thing_kind == "photo" else "image/png"
    return Response(data, media_type=kind, headers=PRIVATE)


@router.delete(GLASS, status_code=204, responses=problems("glass_not_found"))
async def end_glass(glass_id: UUID, by: OperatorId, core: CoreDep) -> None:
    """End a look before its time; any admin may."""
    async with core.db.registrar(by) as tx:
        await glass.end(tx, glass_id)
