"""`/api/v1/passkeys`, `/recovery-codes`, `/second-factor`, `/session/passkey`: JSON in, JSON out.

The rules are `service`'s; sign-in by password and passkey together is `endpoints_sign_in`'s.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.endpoints_sign_in import (
    BrowserDep,
    SignedInOut,
    begun_secret,
    ceremony_secret,
    opened,
)
from portraitist.studio.accounts.passkeys import domain, service
from portraitist.studio.accounts.passkeys.bodies import CredentialIn
from portraitist.studio.accounts.passkeys.service import Given
from portraitist.studio.accounts.signed_in import FreshSession, FromHere, OwnSecret, SessionOnly, SignInDep
from portraitist.studio.db import UserTx
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1", tags=["account"])
Name = Annotated[str, Field(min_length=1, max_length=domain.LONGEST_NAME, examples=["phone"])]
EXAMPLE = {"rpId": "studio.example.org", "challenge": "Zb0u4Vv5d2s0m7x1c9Kq3w8e6r4t2y0u"}


class OptionsOut(BaseModel):
    """What the browser's `navigator.credentials` is called with, as `parse…FromJSON` takes it. For five minutes."""

    options: dict[str, Any] = Field(examples=[EXAMPLE])


class PasskeyIn(BaseModel):
    """A new passkey, and what to call it."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    passkey: CredentialIn


class EnterIn(BaseModel):
    """The answer of whoever signs in."""

    model_config = ConfigDict(extra="forbid")
    passkey: CredentialIn


class NameIn(BaseModel):
    """What to call a passkey."""

    model_config = ConfigDict(extra="forbid")
    name: Name


class PasskeyOut(BaseModel):
    """One passkey. `backed_up`: other devices of its owner may have it too."""

    id: UUID
    name: str = Field(examples=["phone"])
    backed_up: bool
    created_at: datetime
    used_at: datetime | None

    @classmethod
    def of(cls, passkey: domain.Passkey) -> "PasskeyOut":
        """As the API shows it."""
        return cls(**vars(passkey))


class PasskeysOut(BaseModel):
    """The member's passkeys, the first made first; twenty at most."""

    items: list[PasskeyOut]


class CodesOut(BaseModel):
    """How many recovery codes are left; at none, make new ones while you are signed in."""

    made: int = Field(examples=[10])
    left: int = Field(examples=[9])
    made_at: datetime | None
    next_step: str | None = Field(examples=["Make new ones (POST /api/v1/recovery-codes)."])

    @classmethod
    def of(cls, codes: domain.Codes) -> "CodesOut":
        """As the API shows it."""
        renew = None if codes.left else "Make new ones (POST /api/v1/recovery-codes)."
        return cls(made=codes.made, left=codes.left, made_at=codes.made_at, next_step=renew)


class NewCodesOut(BaseModel):
    """Ten codes, shown this once; earlier ones are good for nothing any more."""

    codes: list[str] = Field(examples=[["abcd-efgh-ijkl-mnop-qrst-uvwx"]])


class SecondFactor(BaseModel):
    """Whether signing in by password, or by a mailed link, needs a passkey too."""

    model_config = ConfigDict(extra="forbid")
    passkey_needed: bool = Field(examples=[True])


@router.post(
    "/session/passkey/options",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("passkeys_unavailable", "foreign_origin"),
)
async def options_to_enter(request: Request, response: Response, doors: SignInDep, now: NowDep) -> OptionsOut:
    """A challenge for whoever signs in with a passkey, bound to this browser by a cookie."""
    secret = begun_secret(request, response)
    return OptionsOut(options=await doors.passkeys.options_to_sign("enter by passkey", secret, now()))


@router.post(
    "/session/passkey",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("passkey_refused", "passkeys_unavailable", "foreign_origin", "too_many_tries"),
)
async def enter_by_passkey(
    body: EnterIn,
    *,
    request: Request,
    browser: BrowserDep,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> SignedInOut:
    """Sign in with a passkey alone: the device has asked for its owner's finger, face or PIN."""
    given = Given(body.passkey.plain(), ceremony_secret(request))
    return await opened(core, response, await doors.enter_by_passkey(given, browser, now()))


@router.get("/passkeys", responses=problems("session_needed"))
async def list_passkeys(who: SessionOnly, core: CoreDep) -> PasskeysOut:
    """The member's passkeys."""
    async with core.db.member(who.user_id) as tx:
        return PasskeysOut(items=[PasskeyOut.of(each) for each in await service.passkeys(tx)])


@router.post(
    "/passkeys/options",
    responses=problems("session_needed", "fresh_sign_in_needed", "passkeys_unavailable", "too_many_passkeys"),
)
async def options_to_register(
    who: FreshSession, secret: OwnSecret, doors: SignInDep, now: NowDep
) -> OptionsOut:
    """A challenge for a new passkey, bound to this session."""
    return OptionsOut(options=await doors.passkeys.options_to_register(who.user_id, secret, now()))


@router.post(
    "/passkeys",
    status_code=201,
    responses=problems(
        "session_needed",
        "fresh_sign_in_needed",
        "passkey_refused",
        "passkeys_unavailable",
        "too_many_passkeys",
    ),
)
async def register(
    body: PasskeyIn, who: FreshSession, secret: OwnSecret, doors: SignInDep, now: NowDep
) -> PasskeyOut:
    """Keep a new passkey."""
    given = Given(body.passkey.plain(), secret)
    return PasskeyOut.of(await doors.passkeys.register(who.user_id, body.name, given, now()))


@router.patch("/passkeys/{passkey_id}", responses=problems("session_needed", "passkey_not_found"))
async def rename(passkey_id: UUID, body: NameIn, who: SessionOnly, core: CoreDep) -> PasskeysOut:
    """Call a passkey something else."""
    async with core.db.member(who.user_id) as tx:
        await service.rename(tx, passkey_id, body.name)
        return PasskeysOut(items=[PasskeyOut.of(each) for each in await service.passkeys(tx)])


@router.delete(
    "/passkeys/{passkey_id}",
    status_code=204,
    responses=problems("session_needed", "fresh_sign_in_needed", "passkey_not_found", "last_passkey"),
)
async def remove(passkey_id: UUID, who: FreshSession, core: CoreDep, now: NowDep) -> None:
    """The passkey opens nothing any more."""
    async with core.db.member(who.user_id) as tx:
        await service.remove(tx, passkey_id, now())


@router.get("/recovery-codes", responses=problems("session_needed"))
async def see_codes(who: SessionOnly, core: CoreDep) -> CodesOut:
    """How many recovery codes are left."""
    async with core.db.member(who.user_id) as tx:
        return CodesOut.of(await service.codes(tx))


@router.post("/recovery-codes", status_code=201, responses=problems("session_needed", "fresh_sign_in_needed"))
async def new_codes(who: FreshSession, core: CoreDep, now: NowDep) -> NewCodesOut:
    """Ten fresh recovery codes in place of all earlier ones."""
    async with core.db.member(who.user_id) as tx:
        return NewCodesOut(codes=await service.new_codes(tx, now()))


@router.get("/second-factor", responses=problems("session_needed"))
async def see_second_factor(who: SessionOnly, core: CoreDep) -> SecondFactor:
    """Whether the password alone is enough."""
    async with core.db.member(who.user_id) as tx:
        return await _second_factor(tx)


@router.put(
    "/second-factor",
    responses=problems("session_needed", "fresh_sign_in_needed", "no_passkey", "no_password"),
)
async def set_second_factor(
    body: SecondFactor, who: FreshSession, core: CoreDep, now: NowDep
) -> SecondFactor:
    """Ask for password and passkey from now on, or for the password alone. Tokens and sessions stay."""
    async with core.db.member(who.user_id) as tx:
        await service.need_passkey(tx, body.passkey_needed, now())
        return await _second_factor(tx)


async def _second_factor(tx: UserTx) -> SecondFactor:
    return SecondFactor(passkey_needed=await service.is_passkey_needed(tx))
