"""Sign in, sign up and sign out as pages: plain forms over the same doors as the API's.

One-time links lead to /join and /reset (`pages`): their secret stands behind the # and needs a script.
"""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from portraitist.studio.accounts import domain, sign_in, words
from portraitist.studio.accounts.endpoints_sign_in import BrowserDep, forget_session, set_session
from portraitist.studio.accounts.mail.letters import WishKind
from portraitist.studio.accounts.opening import Browser
from portraitist.studio.accounts.passkeys.service import NOTHING, Beside
from portraitist.studio.accounts.sign_in import SignUp
from portraitist.studio.accounts.signed_in import FromHere, SignInDep
from portraitist.studio.errors import StudioError, Unprocessable
from portraitist.studio.http import core_of
from portraitist.studio.settings import service as settings
from portraitist.studio.web import rendering
from portraitist.studio.web.visits import AnyVisit, OwnVisit, page_router

router = page_router()
Line = Annotated[str, Form(max_length=domain.LONGEST_EMAIL)]
Typed = Annotated[str, Form(max_length=4 * words.LONGEST)]


@router.get("/sign-in")
async def sign_in_page(visit: AnyVisit, after: str = "/") -> Response:
    """The form; who is signed in already goes on."""
    wanted = rendering.own_path(after)
    if visit.who is not None:
        return rendering.seen(wanted)
    return rendering.rendered("sign_in.html", rendering.sign_in_context(visit.request, after=wanted))


@router.post("/sign-in", dependencies=[FromHere])
async def enter(
    request: Request,
    browser: BrowserDep,
    doors: SignInDep,
    *,
    email: Line = "",
    password: Typed = "",
    recovery_code: Annotated[str, Form(max_length=100)] = "",
    after: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Sign in and go on; where it fails, the form again with the reason and everything but the password."""
    core = core_of(request)
    beside = Beside(None, recovery_code) if recovery_code else NOTHING
    try:
        new = await doors.sign_in(email, password, browser, core.clock.now(), beside)
    except StudioError as exc:
        shown = rendering.sign_in_context(request, rendering.own_path(after), email, exc.message)
        shown["wants_code"] = exc.code == "passkey_needed" or bool(recovery_code)
        return rendering.rendered("sign_in.html", shown, exc.status)
    answer = rendering.seen(rendering.own_path(after))
    set_session(answer, core.settings, new.secret, new.session.expires_at - new.session.created_at)
    return answer


@router.post("/sign-in/mail", dependencies=[FromHere])
async def mail_sign_in(request: Request, browser: BrowserDep, doors: SignInDep, email: Line = "") -> Response:
    """Have a link mailed that signs in; the answer is the same for every address."""
    return await _mailed(request, doors, browser, "sign_in", email)


@router.post("/sign-in/reset", dependencies=[FromHere])
async def mail_reset(request: Request, browser: BrowserDep, doors: SignInDep, email: Line = "") -> Response:
    """Have a link mailed with which a new password is set; the answer is the same for every address."""
    return await _mailed(request, doors, browser, "mailed_reset", email)


async def _mailed(
    request: Request, doors: sign_in.SignIn, browser: Browser, kind: WishKind, email: str
) -> Response:
    try:
        if not domain.normal_email(email):
            raise Unprocessable("email_invalid", "This is no e-mail address.")
        await doors.wish_for_link(kind, email, browser.source, core_of(request).clock.now())
    except StudioError as exc:
        return rendering.rendered(
            "sign_in.html", rendering.sign_in_context(request, "/", email, exc.message), exc.status
        )
    return rendering.seen("/sign-in", "link-mailed")


@router.get("/sign-up")
async def sign_up_page(visit: AnyVisit) -> Response:
    """The form where the studio is open to all, else how one comes in."""
    async with visit.core.db.nobody() as tx:
        mode = await settings.sign_up(tx, visit.core.settings)
    return visit.page("sign_up.html", {"mode": mode, "email": "", "subject_word": "person", "problem": ""})


@router.post("/sign-up", dependencies=[FromHere])
async def join(
    visit: AnyVisit,
    browser: BrowserDep,
    doors: SignInDep,
    *,
    email: Line = "",
    password: Typed = "",
    subject_word: Annotated[str, Form(max_length=40)] = "person",
) -> Response:
    """Make an account; then the member signs in, so that nobody learns whose address has one."""
    try:
        await doors.sign_up(SignUp(email, password, subject_word, None), browser.source, visit.now)
    except StudioError as exc:
        shown = {"mode": "open", "email": email, "subject_word": subject_word, "problem": exc.message}
        if exc.code == "sign_up_closed":
            shown["mode"] = "closed"
        return visit.page("sign_up.html", shown, status=exc.status)
    return rendering.seen("/sign-in", "account")


@router.post("/sign-out")
async def leave(visit: OwnVisit) -> Response:
    """Sign out here."""
    if visit.who.session_id is not None:
        async with visit.core.db.member(visit.user_id) as tx:
            await sign_in.end_session(tx, visit.who.session_id)
    answer = rendering.seen("/sign-in", "signed-out")
    forget_session(answer, visit.core.settings)
    return answer
