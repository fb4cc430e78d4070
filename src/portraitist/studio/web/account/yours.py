"""What the studio holds of a member, as a page: how long it stays, taking it away in one file, taking it back.

An erasure begins with a receipt's token that was shown before the button was pressed: whatever becomes of the answer,
the member has the address under which everybody who knows it, signed in or not, reads what became of everything.
"""

from typing import Annotated, Any

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts import words
from portraitist.studio.accounts.endpoints_sign_in import forget_session
from portraitist.studio.accounts.signed_in import SignInDep
from portraitist.studio.db import UserTx
from portraitist.studio.errors import Forbidden, StudioError
from portraitist.studio.oversight import holds
from portraitist.studio.privacy import keeping, previews, service
from portraitist.studio.privacy.domain import Scope
from portraitist.studio.privacy.endpoints_keeping import RetentionOut
from portraitist.studio.web import rendering
from portraitist.studio.web.account.visiting import AccountVisit, FreshVisit
from portraitist.studio.web.visits import MemberVisit, page_router

router = page_router()
PAGE = "/account/data"
EXPORT = "/api/v1/account/export"
LEAVING = {Scope.ACCOUNT: "/account/erase", Scope.CONSENT: "/account/withdraw"}
"""What can be taken back whole, and at which address."""
ReceiptToken = Annotated[str, Form(min_length=32, max_length=200)]


@router.get(PAGE)
async def data_page(visit: AccountVisit) -> Response:
    """How long what is kept, what is about to go, the file with everything, and the ways to take it back."""
    async with visit.core.db.member(visit.user_id) as tx:
        kept = RetentionOut.of(await keeping.see(tx), await previews.see(tx), visit.core.settings)
        consents = await accounts.consents(tx)
        held = await holds.is_held(tx)
    shown = {"kept": kept, "consents": consents, "held": held}
    return visit.page("account/data.html", shown, here="account")


@router.post("/account/keep")
async def keep_photos(visit: AccountVisit, keep: Annotated[bool, Form()] = False) -> Response:
    """Photos stay after trainings, or their timer runs."""
    async with visit.core.db.member(visit.user_id) as tx:
        await keeping.keep_photos(tx, keep)
    return visit.done(PAGE, "photos-kept" if keep else "photos-timed")


@router.post("/account/export")
async def take_export(visit: FreshVisit) -> Response:
    """On to the file with everything, for who has just proved to be the member."""
    return rendering.seen(EXPORT)


@router.get(LEAVING[Scope.CONSENT])
async def withdraw_page(visit: AccountVisit) -> Response:
    """What goes when the consent is taken back, and what stays."""
    return await _page(visit, Scope.CONSENT)


@router.post(LEAVING[Scope.CONSENT])
async def withdraw(
    visit: AccountVisit, receipt: ReceiptToken, sure: Annotated[bool, Form()] = False
) -> Response:
    """Photos, models and pictures go; the account stays. As easy as giving it: nothing has to be proved."""
    if not sure:
        return await _page(visit, Scope.CONSENT, receipt, unsure=True)
    async with visit.core.db.member(visit.user_id) as tx:
        await service.withdraw_consent(tx, receipt, visit.now)
    return _to_receipt(receipt)


@router.get(LEAVING[Scope.ACCOUNT])
async def erase_page(visit: AccountVisit) -> Response:
    """What goes with the account, and what it wants to be sure of."""
    return await _page(visit, Scope.ACCOUNT)


@router.post(LEAVING[Scope.ACCOUNT])
async def erase(
    visit: AccountVisit,
    doors: SignInDep,
    receipt: ReceiptToken,
    *,
    sure: Annotated[bool, Form()] = False,
    password: Annotated[str, Form(max_length=4 * words.LONGEST)] = "",
) -> Response:
    """Everything goes, and the account; nobody is signed in to it from here on."""
    if not sure:
        return await _page(visit, Scope.ACCOUNT, receipt, unsure=True)
    try:
        if await doors.confirm(visit.user_id, password, visit.now) is None:
            await doors.require_fresh(visit.who, visit.now)
        async with visit.core.db.member(visit.user_id) as tx:
            await service.erase_account(tx, receipt, visit.now)
    except Forbidden:
        raise  # to be proved first
    except StudioError as exc:
        return await _page(visit, Scope.ACCOUNT, receipt, problem=exc)
    answer = _to_receipt(receipt)
    forget_session(answer, visit.core.settings)
    return answer


async def _page(
    visit: MemberVisit,
    scope: Scope,
    receipt: str | None = None,
    *,
    unsure: bool = False,
    problem: StudioError | None = None,
) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        asked = await _asked(tx, scope)
    token = receipt or service.new_token()
    shown = {
        **asked,
        "scope": scope.value,
        "action": LEAVING[scope],
        "receipt": token,
        "address": f"{visit.core.settings.address}{_address(token)}",
        "unsure": unsure,
        "problem": problem.message if problem else "",
    }
    status = 422 if unsure else problem.status if problem else 200
    return visit.page("account/leave.html", shown, here="account", status=status)


async def _asked(tx: UserTx, scope: Scope) -> dict[str, Any]:
    """Whether the password is asked for, and whether an operator holds everything for now."""
    return {
        "asks_password": scope is Scope.ACCOUNT and await accounts.has_password(tx),
        "held": await holds.is_held(tx),
    }


def _to_receipt(token: str) -> Response:
    return rendering.seen(_address(token))


def _address(token: str) -> str:
    """Behind the #, which browsers keep to themselves."""
    return f"/receipt#{token}"
