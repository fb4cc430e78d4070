"""`/api/v1/local-members`, `/me` and `/consents`: JSON in, JSON out; the rules are the service's.

Signing in and sessions are `endpoints_sign_in.py`, tokens `endpoints_tokens.py`.
"""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio import architecture
from portraitist.studio.accounts import domain, service
from portraitist.studio.accounts.signed_in import HostOnly, MemberId
from portraitist.studio.db import UserTx
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems
from portraitist.studio.trail.domain import HOST

router = APIRouter(prefix="/api/v1", tags=["account"])


class LocalMemberIn(BaseModel):
    """Which local member: a handle chosen by the client, such as a folder's path."""

    model_config = ConfigDict(extra="forbid")
    handle: str = Field(min_length=1, max_length=4096, examples=["name:anna"])
    subject_word: str | None = Field(default=None, max_length=40, examples=["woman"])


class MemberOut(BaseModel):
    """The member who is asking."""

    id: str = Field(examples=["k3v9x0q7m2ab"])
    handle: str = Field(examples=["name:anna"])
    email: str | None = Field(default=None, examples=["anna@example.org"])
    role: domain.Role = "member"
    subject_word: str = Field(examples=["woman"])
    trigger_word: str = Field(examples=["userk3v9x0q7m2ab"])


class NewTokenOut(MemberOut):
    """A member with a fresh token, shown this once."""

    token: str = Field(examples=["pst_Zb0u4Vv5d2s0m7x1c9Kq3w8e6r4t2y0uIoPaSdFgHjk"])


class MemberIn(BaseModel):
    """What a member may change."""

    model_config = ConfigDict(extra="forbid")
    subject_word: str = Field(max_length=40, examples=["person"])


class WordingOut(BaseModel):
    """What a member agrees to."""

    version: str = Field(examples=[domain.CONSENT_VERSION])
    text: str = Field(examples=["These are photos of a face, so the studio asks first. …"])


class ConsentIn(BaseModel):
    """Which wording the member agrees to."""

    model_config = ConfigDict(extra="forbid")
    version: str = Field(examples=[domain.CONSENT_VERSION])


class ConsentOut(BaseModel):
    """A consent that was given."""

    id: UUID
    version: str = Field(examples=[domain.CONSENT_VERSION])
    given_at: datetime
    withdrawn_at: datetime | None


class ConsentsOut(BaseModel):
    """Everything the member agreed to, newest first."""

    items: list[ConsentOut]


@router.post(
    "/local-members", dependencies=[HostOnly], responses=problems("handle_invalid", "subject_word_invalid")
)
async def enrol_local_member(body: LocalMemberIn, core: CoreDep, now: NowDep) -> NewTokenOut:
    """Find or make a local member, and mint a token for it."""
    async with core.db.nobody() as tx:
        user_id = await service.enrol_local(tx, body.handle, body.subject_word or "person", now())
    async with core.db.member(user_id) as tx:
        if body.subject_word is not None:
            await service.set_subject_word(tx, body.subject_word)
        token, _ = await service.mint_token(tx, "local", now(), by=HOST)
        return NewTokenOut(**(await member_out(tx)).model_dump(), token=token)


@router.get("/me")
async def me(user_id: MemberId, core: CoreDep) -> MemberOut:
    """The member who is asking."""
    async with core.db.member(user_id) as tx:
        return await member_out(tx)


@router.patch("/me", responses=problems("subject_word_invalid"))
async def change_me(body: MemberIn, user_id: MemberId, core: CoreDep) -> MemberOut:
    """Change the word that prompts use for the member."""
    async with core.db.member(user_id) as tx:
        await service.set_subject_word(tx, body.subject_word)
        return await member_out(tx)


@router.get("/consents/wording")
async def wording(user_id: MemberId) -> WordingOut:
    """Today's wording."""
    return WordingOut(version=domain.CONSENT_VERSION, text=domain.CONSENT_TEXT)


@router.post("/consents", status_code=201, responses=problems("consent_outdated"))
async def give_consent(body: ConsentIn, user_id: MemberId, core: CoreDep, now: NowDep) -> ConsentsOut:
    """Agree to today's wording."""
    async with core.db.member(user_id) as tx:
        await service.give_consent(tx, body.version, now())
        return await _consents(tx)


@router.get("/consents")
async def list_consents(user_id: MemberId, core: CoreDep) -> ConsentsOut:
    """What the member agreed to, and when."""
    async with core.db.member(user_id) as tx:
        return await _consents(tx)


async def member_out(tx: UserTx) -> MemberOut:
    """The member of this transaction, as the API shows them."""
    member = await service.me(tx)
    return MemberOut(
        id=member.id,
        handle=member.handle,
        email=member.email,
        role=member.role,
        subject_word=member.subject_word,
        trigger_word=architecture.trigger_word(member.id),
    )


async def _consents(tx: UserTx) -> ConsentsOut:
    given = await service.consents(tx)
    return ConsentsOut(
        items=[
            ConsentOut(id=c.id, version=c.wording_version, given_at=c.given_at, withdrawn_at=c.withdrawn_at)
            for c in given
        ]
    )
