"""`/api/v1/admin/…`: members, invitations, one-time links and settings, for admins and the host.

Addresses, roles and states; never a look at what members made.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts import admission, domain
from portraitist.studio.accounts.admission import HandedOut
from portraitist.studio.accounts.register import Account, Link
from portraitist.studio.accounts.signed_in import HostOnly, OperatorId, OperatorOnly, PresentOperatorId
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems
from portraitist.studio.paging import USUAL, Limit, Wanted, cut
from portraitist.studio.settings import service as settings
from portraitist.studio.settings.domain import Setting

router = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[OperatorOnly])


class AccountOut(BaseModel):
    """An account as an admin sees it."""

    id: str = Field(examples=["k3v9x0q7m2ab"])
    email: str = Field(examples=["anna@example.org"])
    role: domain.Role
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, account: Account) -> "AccountOut":
        """As the API shows it."""
        return cls(
            id=account.id,
            email=account.email,
            role=account.role,
            created_at=account.created_at,
            disabled_at=account.disabled_at,
        )


class AccountsOut(BaseModel):
    """A page of accounts; `next` is the cursor of the next page, null on the last."""

    items: list[AccountOut]
    next: str | None = Field(examples=[None])


class AccountChangeIn(BaseModel):
    """What an admin may change; whoever is changed has to sign in anew."""

    model_config = ConfigDict(extra="forbid")
    role: domain.Role | None = Field(default=None, examples=["admin"])
    disabled: bool | None = Field(default=None, examples=[False])


class LinkOut(BaseModel):
    """A one-time link, without its secret."""

    id: UUID
    kind: domain.LinkKind
    email: str | None = Field(examples=["ben@example.org"])
    role: domain.Role
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, link: Link) -> "LinkOut":
        """As the API shows it."""
        return cls(
            id=link.id,
            kind=link.kind,
            email=link.email,
            role=link.role,
            created_at=link.created_at,
            expires_at=link.expires_at,
        )


class HandedOutOut(LinkOut):
    """A one-time link with its secret, shown this once: as an address, and by itself for programs."""

    url: str = Field(examples=["https://studio.example/join#8f3k…"])
    secret: str = Field(examples=["8f3kQ0w9e8r7t6y5u4i3o2p1a0s9d8f7"])

    @classmethod
    def with_secret(cls, handed: HandedOut) -> "HandedOutOut":
        """As the API shows it, once."""
        return cls(**LinkOut.of(handed.link).model_dump(), url=handed.url, secret=handed.secret)


class LinksOut(BaseModel):
    """Invitations that may still be used, newest first."""

    items: list[LinkOut]


class InvitationIn(BaseModel):
    """Who may come: anybody with the link, or one address; as a member or an admin."""

    model_config = ConfigDict(extra="forbid")
    email: str | None = Field(default=None, max_length=domain.LONGEST_EMAIL, examples=["ben@example.org"])
    role: domain.Role = "member"


class SettingOut(BaseModel):
    """A setting, the value that holds, and whether the environment has decided it."""

    key: str = Field(examples=["sign_up"])
    value: str = Field(examples=["invitation"])
    values: list[str] = Field(examples=[["closed", "invitation", "open"]])
    meaning: str = Field(examples=["Who may join."])
    locked: bool

    @classmethod
    def of(cls, setting: Setting) -> "SettingOut":
        """As the API shows it."""
        return cls(
            key=setting.choice.key,
            value=setting.value,
            values=list(setting.choice.values),
            meaning=setting.choice.meaning,
            locked=setting.locked,
        )


class SettingsOut(BaseModel):
    """Everything that an admin may change while the studio runs."""

    items: list[SettingOut]


class SettingIn(BaseModel):
    """Another value."""

    model_config = ConfigDict(extra="forbid")
    value: str = Field(max_length=100, examples=["open"])


@router.get("/members")
async def members(
    core: CoreDep,
    cursor: Annotated[str, Query(pattern="^[a-z0-9]{0,12}$", description="`next` of the page before.")] = "",
    limit: Limit = USUAL,
    q: Annotated[str, Query(max_length=domain.LONGEST_EMAIL, description="A part of the address.")] = "",
) -> AccountsOut:
    """Accounts in the order of their ids; local members of the command line are not among them."""
    async with core.db.registrar() as tx:
        found = await admission.accounts(tx, cursor, limit + 1, q)
    shown, following = cut(found, Wanted(None, limit), lambda each: each.id)
    return AccountsOut(items=[AccountOut.of(each) for each in shown], next=following)


@router.patch(
    "/members/{user_id}", responses=problems("member_not_found", "last_admin", "fresh_sign_in_needed")
)
async def change_member(
    user_id: str, body: AccountChangeIn, by: PresentOperatorId, core: CoreDep, now: NowDep
) -> AccountOut:
    """Another role, or disabled, or enabled again. All sessions and tokens of that member end."""
    async with core.db.registrar(by) as tx:
        return AccountOut.of(await admission.change(tx, user_id, body.role, body.disabled, now()))


@router.post(
    "/members/{user_id}/reset-link",
    status_code=201,
    responses=problems("member_not_found", "fresh_sign_in_needed"),
)
async def reset_link(user_id: str, by: PresentOperatorId, core: CoreDep, now: NowDep) -> HandedOutOut:
    """A link with which this member sets a new password; hand it over in person. Earlier ones are spent."""
    async with core.db.registrar(by) as tx:
        return HandedOutOut.with_secret(await admission.reset_link(tx, core.settings, user_id, now()))


@router.get("/invitations")
async def invitations(core: CoreDep, now: NowDep) -> LinksOut:
    """Invitations that may still be used."""
    async with core.db.registrar() as tx:
        return LinksOut(items=[LinkOut.of(each) for each in await admission.invitations(tx, now())])


@router.post("/invitations", status_code=201, responses=problems("joining_closed", "email_invalid"))
async def invite(body: InvitationIn, by: OperatorId, core: CoreDep, now: NowDep) -> HandedOutOut:
    """A link that makes one account."""
    async with core.db.registrar(by) as tx:
        handed = await admission.invite(tx, core.settings, body.email, body.role, now())
    return HandedOutOut.with_secret(handed)


@router.delete("/invitations/{link_id}", status_code=204, responses=problems("invitation_not_found"))
async def take_back(link_id: UUID, by: OperatorId, core: CoreDep) -> None:
    """An invitation opens nothing any more."""
    async with core.db.registrar(by) as tx:
        await admission.take_back(tx, link_id)


@router.post("/first-link", status_code=201, dependencies=[HostOnly], responses=problems("has_admin"))
async def first_link(core: CoreDep, now: NowDep) -> HandedOutOut:
    """The link to the first account, an admin's: for the host alone, and only while there is no admin."""
    async with core.db.registrar() as tx:
        return HandedOutOut.with_secret(await admission.first_link(tx, core.settings, now()))


@router.get("/settings")
async def list_settings(core: CoreDep) -> SettingsOut:
    """What an admin may change, what holds, and what the environment has decided."""
    async with core.db.nobody() as tx:
        return SettingsOut(
            items=[SettingOut.of(each) for each in await settings.all_settings(tx, core.settings)]
        )


@router.put("/settings/{key}", responses=problems("setting_not_found", "setting_invalid", "setting_locked"))
async def change_setting(key: str, body: SettingIn, by: OperatorId, core: CoreDep, now: NowDep) -> SettingOut:
    """Another value; a setting that the environment has decided stays as it is."""
    async with core.db.registrar(by) as tx:
        return SettingOut.of(await settings.change(tx, core.settings, key, body.value, now()))
