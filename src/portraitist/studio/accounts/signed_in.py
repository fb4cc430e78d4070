"""Who is asking, for endpoints: a member by session or token, an admin, or the host by the instance token.

A request with an Authorization header is judged by that alone; cookies count only where there is none.
"""

from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from portraitist.studio.accounts import service, sign_in
from portraitist.studio.accounts.domain import Who
from portraitist.studio.accounts.same_origin import CSRF_FIELD, is_foreign, lacks_token
from portraitist.studio.accounts.sign_in import SignIn
from portraitist.studio.config import StudioSettings
from portraitist.studio.errors import Forbidden, NotSignedIn
from portraitist.studio.http import core_of
from portraitist.studio.rates import rates_of

BEARER = HTTPBearer(
    auto_error=False, description="A member's API token, or the instance token for the host's part."
)
COOKIE = APIKeyCookie(
    name="session",
    auto_error=False,
    description="A session (`__Host-session` over https), with X-CSRF-Token on changes.",
)
PLAIN_FORM, MOST_FIELDS = "application/x-www-form-urlencoded", 50
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
Cookie = Annotated[str | None, Security(COOKIE)]


def cookie_name(settings: StudioSettings) -> str:
    """Over https a name that only this host over https can set."""
    return "__Host-session" if settings.https else "session"


async def sign_in_of(request: Request) -> SignIn:
    """The process's doors."""
    return cast(SignIn, request.app.state.sign_in)


async def from_here(request: Request) -> None:
    """Lets pass what no other site has made a browser send. Raises Forbidden."""
    if is_foreign(request.method, request.headers, core_of(request).settings.public_url):
        raise Forbidden("foreign_origin", "Another site has sent this request; nothing was done.")


async def signed_in(request: Request, credentials: Credentials, _cookie: Cookie) -> Who:
    """Who is asking. Raises NotSignedIn, the same for a missing and a wrong secret, Forbidden, and TooMany."""
    if credentials is not None:
        who = await _by_token(request, credentials.credentials)
    else:
        who = await _by_session(request)
    await rates_of(request).spend(who.user_id, request.method)
    return who


async def _by_token(request: Request, token: str) -> Who:
    core = core_of(request)
    now = core.clock.now()
    async with core.db.nobody(once=True) as tx:
        found = await service.holder_of(tx, token, now)
    if found is None:
        raise _refusal()
    who, touch = found
    if not who.may(request.method, request.url.path):
        raise Forbidden(
            "scope_missing", "This token is not good for that.", next_step="Use one with the scope it needs."
        )
    if touch and who.token_id is not None:
        async with core.db.member(who.user_id) as member:
            await service.token_used(member, who.token_id, now)
    return who


async def _by_session(request: Request) -> Who:
    core = core_of(request)
    now = core.clock.now()
    secret = request.cookies.get(cookie_name(core.settings))
    if not secret:
        raise _refusal()
    async with core.db.nobody(once=True) as tx:
        found = await sign_in.holder_of(tx, secret, (await sign_in_of(request)).lives, now)
    if found is None:
        raise _refusal()
    await from_here(request)
    if lacks_token(request.method, request.headers, secret, await _field_of_form(request)):
        raise Forbidden(
            "csrf_token_missing",
            "A change by cookie needs the session's token.",
            next_step="Send X-CSRF-Token as GET /api/v1/session gives it.",
        )
    who, touch = found
    if touch and who.session_id is not None:
        async with core.db.member(who.user_id) as member:
            await sign_in.session_seen(member, who.session_id, now)
    return who


async def _field_of_form(request: Request) -> str:
    """The token as a field of a page's form; read only once the session is known and the request is from here."""
    if not request.headers.get("content-type", "").startswith(PLAIN_FORM):
        return ""
    try:
        given = (await request.form(max_fields=MOST_FIELDS)).get(CSRF_FIELD)
    except HTTPException:  # the parser's: no form that could be one of ours
        return ""
    return given if isinstance(given, str) else ""


WhoDep = Annotated[Who, Depends(signed_in)]


async def signed_in_member(who: WhoDep) -> str:
    """The member's id."""
    return who.user_id


async def own_session(who: WhoDep) -> Who:
    """A member who has signed in, not a token: for what a token must never do. Raises Forbidden."""
    if who.session_id is None:
        raise Forbidden("session_needed", "A token can't do this.", next_step="Sign in and do it there.")
    return who


async def fresh_member(who: WhoDep, request: Request) -> Who:
    """A member who has proved in the last minutes that it is them. Raises Forbidden."""
    await (await sign_in_of(request)).require_fresh(who, core_of(request).clock.now())
    return who


async def fresh_session(
    who: Annotated[Who, Depends(own_session)], fresh: Annotated[Who, Depends(fresh_member)]
) -> Who:
    """The same, signed in and not by a token: for what a token must never do. Raises Forbidden."""
    assert who == fresh, "one request is one member's"
    return who


async def own_secret(request: Request, credentials: Credentials, who: WhoDep) -> str:
    """The secret by which this member asks: challenges are bound to it."""
    assert who.user_id
    if credentials is not None:
        return credentials.credentials
    return request.cookies[cookie_name(core_of(request).settings)]


async def host(request: Request, credentials: Credentials) -> None:
    """Lets pass whoever runs this studio's machine. Raises NotSignedIn for everybody else, admins included."""
    expected = core_of(request).settings.instance_token.get_secret_value()
    if credentials is None or not service.is_instance_token(credentials.credentials, expected):
        raise _refusal()


async def operator(request: Request, credentials: Credentials, cookie: Cookie) -> str | None:
    """Lets pass the host (None) and admins (their id). Raises NotSignedIn, and Forbidden for other members."""
    expected = core_of(request).settings.instance_token.get_secret_value()
    if credentials is not None and service.is_instance_token(credentials.credentials, expected):
        return None
    who = await signed_in(request, credentials, cookie)
    if not who.is_admin:
        raise Forbidden("admins_only", "Only an admin may do this.")
    return who.user_id


async def fresh_operator(request: Request, credentials: Credentials, cookie: Cookie) -> str | None:
    """The same, and an admin has proved in the last minutes that it is them. Raises as `operator`, and Forbidden."""
    admin = await operator(request, credentials, cookie)
    if admin is not None:
        await fresh_member(await signed_in(request, credentials, cookie), request)
    return admin


async def present_operator(request: Request, credentials: Credentials, cookie: Cookie) -> str | None:
    """The same for a session only: an admin's token and the host's are for programs. Raises as `fresh_operator`."""
    if credentials is not None:
        return await operator(request, credentials, cookie)
    return await fresh_operator(request, credentials, cookie)


def _refusal() -> NotSignedIn:
    return NotSignedIn(
        "not_signed_in",
        "This needs a session or a valid token.",
        next_step="Sign in, or send a token as 'Authorization: Bearer …' (`portraitist up` prints the host's).",
    )


MemberId = Annotated[str, Depends(signed_in_member)]
SessionOnly = Annotated[Who, Depends(own_session)]
Fresh = Annotated[Who, Depends(fresh_member)]
FreshSession = Annotated[Who, Depends(fresh_session)]
OwnSecret = Annotated[str, Depends(own_secret)]
SignInDep = Annotated[SignIn, Depends(sign_in_of)]
FromHere = Depends(from_here)
HostOnly = Depends(host)
OperatorOnly = Depends(operator)
OperatorId = Annotated[str | None, Depends(operator)]
PresentOperatorId = Annotated[str | None, Depends(present_operator)]
FreshOperatorId = Annotated[str | None, Depends(fresh_operator)]
