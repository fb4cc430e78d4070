"""`/api/v1/notices`: what a member was told, and the ways it takes. JSON in, JSON out; the rules are the service's."""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.accounts.signed_in import MemberId, SessionOnly
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.notices import service, words
from portraitist.studio.notices.domain import Kind, Notice, Ways
from portraitist.studio.notices.pushing import Vapid
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1/notices", tags=["notices"])


async def vapid_of(request: Request) -> Vapid:
    """This studio as push services know it."""
    return cast(Vapid, request.app.state.vapid)


VapidDep = Annotated[Vapid, Depends(vapid_of)]


class NoticeOut(BaseModel):
    """Something that a member is told without having asked; `path` is the page where it is gone on with."""

    id: UUID
    kind: Kind
    title: str = Field(examples=["Your model is ready"])
    text: str = Field(examples=["Say where you would like to be seen."])
    path: str = Field(examples=["/pictures"])
    created_at: datetime
    read_at: datetime | None = Field(examples=[None])

    @classmethod
    def of(cls, notice: Notice) -> "NoticeOut":
        """From the row, in the reader's language."""
        said = words.of(notice)
        return cls(
            id=notice.id,
            kind=notice.kind,
            title=said.title,
            text=said.text,
            path=said.path,
            created_at=notice.created_at,
            read_at=notice.read_at,
        )


class NoticesOut(BaseModel):
    """The newest hundred, of the last 90 days; `unread` counts those that were not looked at."""

    items: list[NoticeOut]
    unread: int = Field(examples=[1])


class WaysIn(BaseModel):
    """By which ways, besides in the app."""

    model_config = ConfigDict(extra="forbid")
    mail: bool
    push: bool


class WaysOut(BaseModel):
    """By which ways. `mail_is_sent`: whether this studio sends mail; `push_key`: what a browser subscribes with."""

    mail: bool = Field(examples=[True])
    push: bool = Field(examples=[True])
    mail_is_sent: bool = Field(examples=[False])
    push_key: str = Field(
        examples=["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"]
    )


class KeysIn(BaseModel):
    """A subscription's keys, in base64url, as `PushSubscription.toJSON` gives them."""

    model_config = ConfigDict(extra="ignore")
    p256dh: str = Field(
        min_length=80,
        max_length=100,
        examples=["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"],
    )
    auth: str = Field(min_length=20, max_length=30, examples=["BTBZMqHH6r4Tts7J_aSIgg"])


class SubscriptionIn(BaseModel):
    """What `PushManager.subscribe` gave, as JSON."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    endpoint: str = Field(
        min_length=10,
        max_length=service.LONGEST_ENDPOINT,
        examples=["https://push.example.org/send/JzLQ3raZJfFBR0"],
    )
    keys: KeysIn
    expiration_time: float | None = Field(
        default=None, alias="expirationTime", description="Taken, not used."
    )


@router.get("")
async def see_notices(user_id: MemberId, core: CoreDep) -> NoticesOut:
    """What you were told, newest first."""
    async with core.db.member(user_id) as tx:
        found, unread = await service.newest(tx), await service.unread(tx)
    return NoticesOut(items=[NoticeOut.of(each) for each in found], unread=unread)


@router.post("/read", status_code=204)
async def mark_read(user_id: MemberId, core: CoreDep, now: NowDep) -> None:
    """You have seen them all."""
    async with core.db.member(user_id) as tx:
        await service.read_all(tx, now())


@router.get("/ways")
async def see_ways(user_id: MemberId, core: CoreDep, vapid: VapidDep) -> WaysOut:
    """How you hear of notices besides in the app."""
    async with core.db.member(user_id) as tx:
        return _out(await service.ways(tx), vapid)


@router.put("/ways")
async def choose_ways(body: WaysIn, user_id: MemberId, core: CoreDep, vapid: VapidDep) -> WaysOut:
    """Hear of them by these ways from now on."""
    async with core.db.member(user_id) as tx:
        return _out(await service.choose_ways(tx, mail=body.mail, push=body.push), vapid)


@router.put("/push", status_code=204, responses=problems("session_needed", "push_invalid"))
async def subscribe(body: SubscriptionIn, who: SessionOnly, core: CoreDep, now: NowDep) -> None:
    """Push to this browser, for as long as it is signed in."""
    assert who.session_id is not None
    given = (body.endpoint, body.keys.p256dh, body.keys.auth)
    async with core.db.member(who.user_id) as tx:
        await service.subscribe(tx, who.session_id, given, now())


@router.delete("/push", status_code=204, responses=problems("session_needed"))
async def unsubscribe(who: SessionOnly, core: CoreDep) -> None:
    """Push to this browser no more."""
    assert who.session_id is not None
    async with core.db.member(who.user_id) as tx:
        await service.unsubscribe(tx, who.session_id)


def _out(ways: Ways, vapid: Vapid) -> WaysOut:
    return WaysOut(mail=ways.mail, push=ways.push, mail_is_sent=MAILING.on, push_key=vapid.public_key)
