"""`/api/v1/mail` and `/session/link`: links to one's own mailbox. JSON in, JSON out; the rules are `sign_in`'s.

Whoever asks is told the same for every address, and as fast: who has it is looked up by the worker.
"""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.endpoints_sign_in import (
    BrowserDep,
    Email,
    Secret,
    SignedInOut,
    ceremony_secret,
    opened,
)
from portraitist.studio.accounts.passkeys.bodies import CodeIn, CredentialIn
from portraitist.studio.accounts.passkeys.service import Beside, Given
from portraitist.studio.accounts.signed_in import FromHere, SignInDep, WhoDep
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems

router = APIRouter(prefix="/api/v1", tags=["account"])


class AddressIn(BaseModel):
    """Where the link shall go."""

    model_config = ConfigDict(extra="forbid")
    email: Email


class WishedOut(BaseModel):
    """A link is on its way, if somebody has this address."""

    next_step: str = "Look into your mailbox; it may take a minute."


class LinkIn(BaseModel):
    """A mailed link (the part behind the #), and what the account wants beside."""

    model_config = ConfigDict(extra="forbid")
    link: Secret
    passkey: CredentialIn | None = Field(default=None, description="Where the account needs one.")
    recovery_code: CodeIn | None = Field(default=None, description="In place of the passkey, once.")


@router.post(
    "/mail/sign-in",
    status_code=202,
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("mail_unavailable", "foreign_origin", "too_many_tries"),
)
async def mail_sign_in(body: AddressIn, browser: BrowserDep, doors: SignInDep, now: NowDep) -> WishedOut:
    """Have a link mailed that signs in."""
    await doors.wish_for_link("sign_in", body.email, browser.source, now())
    return WishedOut()


@router.post(
    "/mail/reset",
    status_code=202,
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("mail_unavailable", "foreign_origin", "too_many_tries"),
)
async def mail_reset(body: AddressIn, browser: BrowserDep, doors: SignInDep, now: NowDep) -> WishedOut:
    """Have a link mailed with which a new password is set."""
    await doors.wish_for_link("mailed_reset", body.email, browser.source, now())
    return WishedOut()


@router.post("/mail/proof", status_code=202, responses=problems("mail_unavailable", "too_many_tries"))
async def mail_proof(who: WhoDep, doors: SignInDep, now: NowDep) -> WishedOut:
    """Have a link mailed that proves, in this session, that it is you."""
    await doors.mail_proof(who.user_id, now())
    return WishedOut()


@router.post(
    "/session/link",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems(
        "link_not_found",
        "sign_in_refused",
        "passkey_needed",
        "passkey_refused",
        "passkeys_unavailable",
        "foreign_origin",
        "too_many_tries",
    ),
)
async def enter_by_link(
    body: LinkIn,
    *,
    request: Request,
    browser: BrowserDep,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> SignedInOut:
    """Sign in by a link that was mailed; it is good once."""
    passkey = None if body.passkey is None else Given(body.passkey.plain(), ceremony_secret(request))
    beside = Beside(passkey, body.recovery_code)
    return await opened(core, response, await doors.enter_by_link(body.link, beside, browser, now()))
