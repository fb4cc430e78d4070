"""`/account/prove`: somebody who is signed in proves anew that it is them, and goes on with what they were doing.

What was being done stands in the page itself, but for secrets, and is sent again by a button; passkeys and the
provider need the browser's script (`static/passkeys.js`).
"""

from typing import Annotated, Any

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import words
from portraitist.studio.accounts.domain import csrf_token
from portraitist.studio.accounts.endpoints_sign_in import set_session
from portraitist.studio.accounts.passkeys.service import Beside
from portraitist.studio.accounts.sign_in import Proof, SignIn
from portraitist.studio.accounts.signed_in import SignInDep
from portraitist.studio.errors import StudioError
from portraitist.studio.web import rendering
from portraitist.studio.web.account.visiting import AccountVisit
from portraitist.studio.web.proof import LONGEST_KEPT, Pending, shown_of
from portraitist.studio.web.visits import MemberVisit, page_router

router = page_router()
Address = Annotated[str, Form(max_length=500)]
Kept = Annotated[str, Form(max_length=LONGEST_KEPT)]


@router.get("/account/prove")
async def prove_page(visit: AccountVisit, after: str = "/account") -> Response:
    """The ways to prove it."""
    return await _page(visit, Pending(rendering.own_path(after), "", rendering.own_path(after)))


@router.post("/account/prove")
async def prove(
    visit: AccountVisit,
    doors: SignInDep,
    *,
    password: Annotated[str, Form(max_length=4 * words.LONGEST)] = "",
    recovery_code: Annotated[str, Form(max_length=100)] = "",
    address: Address = "/account",
    kept: Kept = "",
    back: Address = "/account",
) -> Response:
    """By password or recovery code; without either, as the page's script has just done it by another way."""
    pending = Pending(rendering.own_path(address), kept, rendering.own_path(back))
    try:
        another = await _proved(visit, doors, password, recovery_code)
    except StudioError as exc:
        return await _page(visit, pending, exc)
    answer = _on(visit, pending, another)
    if another is not None:
        set_session(answer, visit.core.settings, another, doors.lives.absolute)
    return answer


@router.post("/account/prove/mail")
async def mail_link(
    visit: AccountVisit,
    doors: SignInDep,
    *,
    address: Address = "/account",
    kept: Kept = "",
    back: Address = "/account",
) -> Response:
    """A link to the member's own mailbox, which proves it in this session."""
    pending = Pending(rendering.own_path(address), kept, rendering.own_path(back))
    try:
        await doors.mail_proof(visit.user_id, visit.now)
    except StudioError as exc:
        return await _page(visit, pending, exc)
    return await _page(visit, pending, mailed=True)


async def _proved(visit: MemberVisit, doors: SignIn, password: str, recovery_code: str) -> str | None:
    """The session's next secret; None where it had been proved already. Raises StudioError."""
    if recovery_code:
        return await doors.prove(visit.who, Proof(None, None, None, Beside(None, recovery_code)), visit.now)
    if password:
        return await doors.prove(visit.who, Proof(password, None, None, Beside()), visit.now)
    await doors.require_fresh(visit.who, visit.now)
    return None


def _on(visit: MemberVisit, pending: Pending, another: str | None) -> Response:
    if not pending.kept:
        return rendering.seen(pending.address)
    shown: dict[str, Any] = {"pending": pending}
    if another is not None:
        shown["csrf"] = csrf_token(another)  # the session has another secret from now on
    return visit.page("account/proved.html", shown, here="account")


async def _page(
    visit: MemberVisit, pending: Pending, problem: StudioError | None = None, *, mailed: bool = False
) -> Response:
    shown = await shown_of(visit.request, visit.user_id, pending)
    shown |= {"problem": problem.message if problem else "", "mailed": mailed}
    return visit.page("account/prove.html", shown, here="account", status=problem.status if problem else 200)
