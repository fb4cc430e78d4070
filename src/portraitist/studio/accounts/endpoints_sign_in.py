"""`/api/v1/accounts`, `/session`, `/sessions`, `/password`: JSON in, JSON and one cookie out.

The rules are `sign_in.py`'s. The session's secret travels in the cookie only.
"""

import secrets
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts import domain, sign_in, words
from portraitist.studio.accounts.endpoints import MemberOut, member_out
from portraitist.studio.accounts.opening import Browser, NewSession
from portraitist.studio.accounts.passkeys.bodies import CodeIn, CredentialIn
from portraitist.studio.accounts.passkeys.service import Beside, Given
from portraitist.studio.accounts.sign_in import SignUp
from portraitist.studio.accounts.signed_in import Fresh, FromHere, SessionOnly, SignInDep, WhoDep, cookie_name
from portraitist.studio.config import StudioSettings
from portraitist.studio.http import Core, CoreDep, NowDep, core_of
from portraitist.studio.openapi import problems
from portraitist.studio.settings import service as settings
from portraitist.studio.settings.domain import SignUp as SignUpMode

router = APIRouter(prefix="/api/v1", tags=["account"])
Email = Annotated[str, Field(max_length=domain.LONGEST_EMAIL, examples=["anna@example.org"])]
Password = Annotated[
    str, Field(min_length=1, max_length=4 * words.LONGEST, examples=["violet harbour seven lamps"])
]
Secret = Annotated[
    str, Field(min_length=20, max_length=100, examples=["Zb0u4Vv5d2s0m7x1c9Kq3w8e6r4t2y0uIoPaSdFgHjk"])
]


def ceremony_cookie(settings: StudioSettings) -> str:
    """What a browser without a session is known by between a challenge and its answer."""
    return "__Host-ceremony" if settings.https else "ceremony"


def ceremony_secret(request: Request) -> str:
    """The secret of this browser's ceremony cookie; empty where there is none, which no challenge was given to."""
    return request.cookies.get(ceremony_cookie(core_of(request).settings), "")


def begun_secret(request: Request, response: Response) -> str:
    """The same; made, and set in the answer, where there is none."""
    settings = core_of(request).settings
    secret = ceremony_secret(request) or secrets.token_urlsafe(32)
    response.set_cookie(
        ceremony_cookie(settings),
        secret,
        max_age=600,
        path="/",
        secure=settings.https,
        httponly=True,
        samesite="strict",
    )
    return secret


async def browser_of(request: Request) -> Browser:
    """Where a request comes from; behind a proxy, what uvicorn trusts it to say."""
    told = request.headers.get("user-agent", "")
    return Browser(
        source=request.client.host if request.client else "",
        label="".join(each for each in told if each.isprintable())[: domain.LONGEST_LABEL],
        secret=request.cookies.get(cookie_name(core_of(request).settings)),
    )


BrowserDep = Annotated[Browser, Depends(browser_of)]


class SignUpIn(BaseModel):
    """A new account. `link` is the part of a one-time link behind the #."""

    model_config = ConfigDict(extra="forbid")
    email: Email
    password: Password
    subject_word: str = Field(default="person", max_length=40, examples=["woman"])
    link: Secret | None = None


class SignUpOut(BaseModel):
    """The account's address; sign in with it. Says nothing about whether it was there before."""

    email: str = Field(examples=["anna@example.org"])
    next_step: str = "Sign in."


class JoiningOut(BaseModel):
    """Who may make an account here."""

    sign_up: SignUpMode = Field(examples=["invitation"])


class SignInIn(BaseModel):
    """Address and password, and what the account wants beside; the answer sets the session's cookie."""

    model_config = ConfigDict(extra="forbid")
    email: Email
    password: Password
    passkey: CredentialIn | None = Field(default=None, description="Where the account needs one.")
    recovery_code: CodeIn | None = Field(default=None, description="In place of the passkey, once.")


class SessionOut(BaseModel):
    """One place where the member is signed in."""

    id: UUID
    label: str = Field(description="What the browser called itself.", examples=["Firefox on Linux"])
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    current: bool


class SignedInOut(BaseModel):
    """The member, this session, and the token that its changes need as X-CSRF-Token."""

    member: MemberOut
    session: SessionOut
    csrf_token: str = Field(examples=["6f1d8c0b2a9e4f7d"])


class SessionsOut(BaseModel):
    """Where the member is signed in, the last used first."""

    items: list[SessionOut]


class EndedOut(BaseModel):
    """How many sessions have ended."""

    ended: int = Field(examples=[2])


class PasswordIn(BaseModel):
    """Another password. It ends every session and, unless kept, every token."""

    model_config = ConfigDict(extra="forbid")
    current: Password | None = Field(default=None, description="The present one, where there is one.")
    new: Password
    keep_tokens: bool = False


class ResetIn(BaseModel):
    """Another password by a link that an admin has handed out."""

    model_config = ConfigDict(extra="forbid")
    link: Secret
    new: Password


@router.get("/accounts/joining", tags=["public"])
async def joining(core: CoreDep) -> JoiningOut:
    """Who may make an account here: nobody, holders of an invitation, or everybody."""
    async with core.db.nobody() as tx:
        return JoiningOut(sign_up=await settings.sign_up(tx, core.settings))


@router.post(
    "/accounts",
    status_code=201,
    dependencies=[FromHere],
    tags=["public"],
    responses=problems(
        "sign_up_closed",
        "link_not_found",
        "account_exists",
        "email_invalid",
        "password_weak",
        "subject_word_invalid",
        "foreign_origin",
        "too_many_tries",
        "busy",
    ),
)
async def sign_up(body: SignUpIn, browser: BrowserDep, doors: SignInDep, now: NowDep) -> SignUpOut:
    """Make an account, by the first account's link, by an invitation, or where the studio is open to all."""
    wanted = SignUp(body.email, body.password, body.subject_word, body.link)
    await doors.sign_up(wanted, browser.source, now())
    return SignUpOut(email=domain.normal_email(body.email))


@router.post(
    "/session",
    dependencies=[FromHere],
    tags=["public"],
    responses=problems(
        "sign_in_refused",
        "passkey_needed",
        "passkey_refused",
        "passkeys_unavailable",
        "foreign_origin",
        "too_many_tries",
        "busy",
    ),
)
async def enter(
    body: SignInIn,
    *,
    request: Request,
    browser: BrowserDep,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> SignedInOut:
    """Sign in. The same answer for an address without an account, a wrong password and a disabled account."""
    passkey = None if body.passkey is None else Given(body.passkey.plain(), ceremony_secret(request))
    beside = Beside(passkey, body.recovery_code)
    new = await doors.sign_in(body.email, body.password, browser, now(), beside)
    return await opened(core, response, new)


@router.get("/session", responses=problems("session_needed"))
async def current(
    who: SessionOnly, request: Request, core: CoreDep, doors: SignInDep, now: NowDep
) -> SignedInOut:
    """Who is signed in here, and the token that changes need."""
    secret = request.cookies[cookie_name(core.settings)]
    async with core.db.member(who.user_id) as tx:
        listed = await sign_in.sessions(tx, doors.lives, now())
        here = next(_out(each, who.session_id) for each in listed if each.id == who.session_id)
        return SignedInOut(member=await member_out(tx), session=here, csrf_token=domain.csrf_token(secret))


@router.delete("/session", status_code=204, responses=problems("session_needed"))
async def leave(who: SessionOnly, response: Response, core: CoreDep) -> None:
    """Sign out here."""
    async with core.db.member(who.user_id) as tx:
        if who.session_id is not None:
            await sign_in.end_session(tx, who.session_id)
    forget_session(response, core.settings)


@router.get("/sessions", responses=problems("session_needed"))
async def sessions(who: WhoDep, core: CoreDep, doors: SignInDep, now: NowDep) -> SessionsOut:
    """Where the member is signed in."""
    async with core.db.member(who.user_id) as tx:
        listed = await sign_in.sessions(tx, doors.lives, now())
    return SessionsOut(items=[_out(each, who.session_id) for each in listed])


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    responses=problems("session_needed", "session_not_found", "fresh_sign_in_needed"),
)
async def end_session(session_id: UUID, who: Fresh, core: CoreDep) -> None:
    """Sign out there."""
    async with core.db.member(who.user_id) as tx:
        await sign_in.end_session(tx, session_id)


@router.delete("/sessions", responses=problems("session_needed", "fresh_sign_in_needed"))
async def end_other_sessions(who: Fresh, core: CoreDep) -> EndedOut:
    """Sign out everywhere else."""
    async with core.db.member(who.user_id) as tx:
        return EndedOut(ended=await sign_in.end_other_sessions(tx, who.session_id))


@router.put(
    "/password",
    responses=problems(
        "session_needed",
        "password_wrong",
        "password_weak",
        "password_changed",
        "fresh_sign_in_needed",
        "too_many_tries",
        "busy",
    ),
)
async def change_password(
    body: PasswordIn,
    *,
    who: SessionOnly,
    browser: BrowserDep,
    response: Response,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
) -> SignedInOut:
    """Another password. Every session ends; this browser gets a new one."""
    new = await doors.change_password(
        who, body.current, body.new, browser, now=now(), keep_tokens=body.keep_tokens
    )
    return await opened(core, response, new)


@router.post(
    "/password/reset",
    status_code=204,
    dependencies=[FromHere],
    tags=["public"],
    responses=problems("link_not_found", "password_weak", "foreign_origin", "too_many_tries", "busy"),
)
async def reset_password(body: ResetIn, browser: BrowserDep, doors: SignInDep, now: NowDep) -> None:
    """Another password by a one-time link; every session and token ends."""
    await doors.reset(body.link, body.new, browser.source, now())


def set_session(response: Response, settings: StudioSettings, secret: str, lasts: timedelta) -> None:
    """Hand a session's secret to the browser."""
    response.set_cookie(
        cookie_name(settings),
        secret,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=settings.https,
        httponly=True,
        samesite="lax",
    )


async def opened(core: Core, response: Response, new: NewSession) -> SignedInOut:
    """The answer to whoever has signed in; the session's secret goes into its cookie."""
    lasts = new.session.expires_at - new.session.created_at
    set_session(response, core.settings, new.secret, lasts)
    async with core.db.member(new.user_id) as tx:
        member = await member_out(tx)
    return SignedInOut(
        member=member,
        session=_out(new.session, new.session.id),
        csrf_token=domain.csrf_token(new.secret),
    )


def forget_session(response: Response, settings: StudioSettings) -> None:
    """Have the browser forget a session that has ended, and what it keeps of our pages."""
    response.delete_cookie(
        cookie_name(settings), path="/", secure=settings.https, httponly=True, samesite="lax"
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def _out(session: domain.Session, current: UUID | None) -> SessionOut:
    return SessionOut(
        id=session.id,
        label=session.label,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
        current=session.id == current,
    )
