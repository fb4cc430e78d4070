"""What a member signs in with, as a page: password, sessions, passkeys, recovery codes, the sign-in provider.

Registering a passkey and going to the provider need the browser's script (`static/passkeys.js`), which calls the API.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts import sign_in, words
from portraitist.studio.accounts.endpoints_sign_in import BrowserDep, set_session
from portraitist.studio.accounts.oidc import service as oidc
from portraitist.studio.accounts.passkeys import service as passkeys
from portraitist.studio.accounts.passkeys.domain import LONGEST_NAME
from portraitist.studio.accounts.signed_in import SignInDep
from portraitist.studio.errors import Forbidden, StudioError
from portraitist.studio.web.account.devices import browser_of, system_of
from portraitist.studio.web.account.visiting import AccountVisit, FreshVisit
from portraitist.studio.web.visits import MemberVisit, page_router

router = page_router()
PAGE = "/account/sign-in"
UNNAMED = "passkey"
Typed = Annotated[str, Form(max_length=4 * words.LONGEST)]
Name = Annotated[str, Form(max_length=LONGEST_NAME)]


@router.get(PAGE)
async def sign_in_settings_page(visit: AccountVisit, doors: SignInDep) -> Response:
    """Everything that opens this account, and where it is open now."""
    return await _page(visit, doors)


@router.post("/account/password")
async def change_password(
    visit: AccountVisit,
    browser: BrowserDep,
    doors: SignInDep,
    *,
    current: Typed = "",
    new: Typed = "",
    keep_tokens: Annotated[bool, Form()] = False,
) -> Response:
    """Another password: every other session ends, and this browser gets a new one."""
    try:
        opened = await doors.change_password(
            visit.who, current or None, new, browser, now=visit.now, keep_tokens=keep_tokens
        )
    except Forbidden:
        raise  # to be proved first
    except StudioError as exc:
        return await _page(visit, doors, problem=exc)
    answer = visit.done(PAGE, "password-changed")
    set_session(answer, visit.core.settings, opened.secret, doors.lives.absolute)
    return answer


@router.post("/account/sessions/{session_id}/end")
async def end_session(session_id: UUID, visit: FreshVisit) -> Response:
    """Sign out there."""
    async with visit.core.db.member(visit.user_id) as tx:
        await sign_in.end_session(tx, session_id)
    return visit.done(PAGE, "session-ended")


@router.post("/account/sessions/end-others")
async def end_other_sessions(visit: FreshVisit) -> Response:
    """Sign out everywhere but here."""
    async with visit.core.db.member(visit.user_id) as tx:
        await sign_in.end_other_sessions(tx, visit.who.session_id)
    return visit.done(PAGE, "sessions-ended")


@router.post("/account/passkeys/{passkey_id}/name")
async def rename_passkey(passkey_id: UUID, visit: AccountVisit, name: Name = "") -> Response:
    """Call a passkey something else."""
    async with visit.core.db.member(visit.user_id) as tx:
        await passkeys.rename(tx, passkey_id, name.strip() or UNNAMED)
    return visit.done(PAGE, "passkey-renamed")


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(passkey_id: UUID, visit: FreshVisit) -> Response:
    """The passkey opens nothing any more."""
    async with visit.core.db.member(visit.user_id) as tx:
        await passkeys.remove(tx, passkey_id, visit.now)
    return visit.done(PAGE, "passkey-removed")


@router.post("/account/recovery-codes")
async def new_recovery_codes(visit: FreshVisit) -> Response:
    """Ten fresh codes, on a page that is shown this once."""
    async with visit.core.db.member(visit.user_id) as tx:
        codes = await passkeys.new_codes(tx, visit.now)
    return visit.page("account/codes.html", {"codes": codes}, here="account")


@router.post("/account/second-factor")
async def set_second_factor(visit: FreshVisit, needed: Annotated[bool, Form()] = False) -> Response:
    """Whether the password needs a passkey beside it from now on."""
    async with visit.core.db.member(visit.user_id) as tx:
        await passkeys.need_passkey(tx, needed, visit.now)
    return visit.done(PAGE, "passkey-needed" if needed else "password-enough")


@router.post("/account/identities/{identity_id}/remove")
async def unlink(identity_id: UUID, visit: FreshVisit) -> Response:
    """The sign-in provider opens this account no more."""
    async with visit.core.db.member(visit.user_id) as tx:
        await oidc.unlink(tx, identity_id, visit.now)
    return visit.done(PAGE, "provider-unlinked")


async def _page(visit: MemberVisit, doors: sign_in.SignIn, problem: StudioError | None = None) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        shown: dict[str, Any] = {
            "member": await accounts.me(tx),
            "has_password": await accounts.has_password(tx),
            "sessions": [
                (each, browser_of(each.label), system_of(each.label))
                for each in await sign_in.sessions(tx, doors.lives, visit.now)
            ],
            "passkeys": await passkeys.passkeys(tx),
            "codes": await passkeys.codes(tx),
            "passkey_needed": await passkeys.is_passkey_needed(tx),
            "identities": await oidc.linked(tx),
        }
    shown |= {
        "current": visit.who.session_id,
        "passkeys_offered": doors.passkeys.offered,
        "provider": doors.oidc.name,
        "shortest": words.SHORTEST,
        "problem": problem.message if problem else "",
    }
    return visit.page(
        "account/sign_in.html", shown, here="account", status=problem.status if problem else 200
    )
