"""`/api/v1/session/provider` and `/identities`: to the operator's provider and back. JSON in, JSON out.

The browser comes back to a page, whose button sends what the provider has said: nothing changes on GET.
"""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from portraitist.studio.accounts.endpoints_sign_in import (
    BrowserDep,
    Secret,
    SignedInOut,
    begun_secret,
    ceremony_secret,
    opened,
)
from portraitist.studio.accounts.oidc import service
from portraitist.studio.accounts.oidc.bodies import BackIn
from portraitist.studio.accounts.oidc.repository import Identity
from portraitist.studio.accounts.signed_in import FreshSession, FromHere, OwnSecret, SessionOnly, SignInDep
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1", tags=["account"])
ANSWERS = ("provider_unavailable", "provider_refused", "provider_away")


class ProviderOut(BaseModel):
    """What the sign-in provider is called here; null: there is none."""

    name: str | None = Field(examples=["Our school"])


class AddressOut(BaseModel):
    """Where the browser goes. It comes back within ten minutes, to this studio's page."""

    url: str = Field(examples=["https://id.example.org/authorize?response_type=code&…"])


class EnterIn(BackIn):
    """What the provider has sent back, and a one-time link where an invitation is needed."""

    link: Secret | None = None


class IdentityOut(BaseModel):
    """Whom the provider says that the member is."""

    id: UUID
    issuer: str = Field(examples=["https://id.example.org"])
    subject: str = Field(examples=["248289761001"])
    created_at: datetime
    used_at: datetime | None

    @classmethod
    def of(cls, identity: Identity) -> "IdentityOut":
        """As the API shows it."""
        return cls(**vars(identity))


class IdentitiesOut(BaseModel):
    """The member's links, the first one first."""

    items: list[IdentityOut]


@router.get("/session/provider", tags=["public"])
async def provider(doors: SignInDep) -> ProviderOut:
    """Whether one can sign in with a provider, and what it is called."""
    return ProviderOut(name=doors.oidc.name)


@router.post(
    "/session/provider/options",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("provider_unavailable", "provider_away", "foreign_origin"),
)
async def begin_to_enter(request: Request, response: Response, doors: SignInDep, now: NowDep) -> AddressOut:
    """Where to sign in with the provider, bound to this browser by a cookie."""
    return AddressOut(url=await doors.oidc.begin("enter", begun_secret(request, response), now()))


@router.post(
    "/session/provider",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems(
        *ANSWERS,
        "identity_email_unverified",
        "identity_not_linked",
        "sign_up_closed",
        "link_not_found",
        "foreign_origin",
        "too_many_tries",
    ),
)
async def enter_by_provider(
    body: EnterIn,
    *,
    request: Request,
    browser: BrowserDep,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> SignedInOut:
    """Sign in with what the provider has sent back; a new account where the studio takes new members."""
    back = body.back(ceremony_secret(request))
    return await opened(core, response, await doors.oidc.enter(back, body.link, browser, now()))


@router.get("/identities", responses=problems("session_needed"))
async def list_identities(who: SessionOnly, core: CoreDep) -> IdentitiesOut:
    """Which people of the provider open this account."""
    async with core.db.member(who.user_id) as tx:
        return IdentitiesOut(items=[IdentityOut.of(each) for each in await service.linked(tx)])


@router.post(
    "/identities/options",
    responses=problems("session_needed", "fresh_sign_in_needed", "provider_unavailable", "provider_away"),
)
async def begin_to_link(who: FreshSession, secret: OwnSecret, doors: SignInDep, now: NowDep) -> AddressOut:
    """Where to say who you are at the provider, to link it with this account."""
    assert who.user_id
    return AddressOut(url=await doors.oidc.begin("link", secret, now()))


@router.post(
    "/identities",
    status_code=201,
    responses=problems("session_needed", "fresh_sign_in_needed", *ANSWERS, "identity_taken"),
)
async def link(
    body: BackIn, who: FreshSession, secret: OwnSecret, doors: SignInDep, now: NowDep
) -> IdentityOut:
    """Let the provider open this account from now on."""
    return IdentityOut.of(await doors.oidc.link(who.user_id, body.back(secret), now()))


@router.delete(
    "/identities/{identity_id}",
    status_code=204,
    responses=problems("session_needed", "fresh_sign_in_needed", "identity_not_found", "last_way_in"),
)
async def unlink(identity_id: UUID, who: FreshSession, core: CoreDep, now: NowDep) -> None:
    """The provider opens this account no more."""
    async with core.db.member(who.user_id) as tx:
        await service.unlink(tx, identity_id, now())


@router.post(
    "/proof/provider/options",
    responses=problems("session_needed", "provider_unavailable", "provider_away"),
)
async def begin_to_prove(who: SessionOnly, secret: OwnSecret, doors: SignInDep, now: NowDep) -> AddressOut:
    """Where to prove that it is you: the provider is asked to recognise you anew."""
    assert who.user_id
    return AddressOut(url=await doors.oidc.begin("prove", secret, now()))
