"""Members and invitations as an admin's pages: who there is, who may come, and what is done to one account.

Links and receipts that are shown once stand in the answer to the form that made them, and in no address.
"""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Form, Query
from starlette.responses import Response

from portraitist.studio.accounts import admission
from portraitist.studio.accounts.domain import LONGEST_EMAIL, Role
from portraitist.studio.admin import looking
from portraitist.studio.admin.acts import erase
from portraitist.studio.errors import StudioError
from portraitist.studio.oversight import holds
from portraitist.studio.paging import Wanted, cut
from portraitist.studio.settings import service as settings
from portraitist.studio.training import helping, pins
from portraitist.studio.training.endpoints import AccountsDep
from portraitist.studio.web.admin_pages.visiting import Admin, AdminVisit, FreshAdmin, admin_router
from portraitist.studio.web.visits import query

router = admin_router()
PAGE = "/admin/members"
AT_ONCE = 50
USE_OF = timedelta(days=30)


@router.get(PAGE)
async def members_page(
    visit: Admin,
    q: Annotated[str, Query(max_length=LONGEST_EMAIL)] = "",
    after: Annotated[str, Query(pattern="^[a-z0-9]{0,12}$")] = "",
) -> Response:
    """Accounts page behind page, or those with this part in their address; and invitations that are still out."""
    return await _members(visit, after, q)


@router.post("/admin/invitations")
async def invite(
    visit: Admin,
    email: Annotated[str, Form(max_length=LONGEST_EMAIL)] = "",
    role: Annotated[Role, Form()] = "member",
) -> Response:
    """A link that makes one account, shown this once; what was typed stays where it can't be made."""
    try:
        async with visit.core.db.registrar(visit.user_id) as tx:
            handed = await admission.invite(tx, visit.core.settings, email.strip() or None, role, visit.now)
    except StudioError as exc:
        return await _members(visit, problem=exc, email=email, role=role)
    return visit.show("handed_out.html", {"handed": handed, "email": handed.link.email})


@router.post("/admin/invitations/{link_id}/take-back")
async def take_back(link_id: UUID, visit: Admin) -> Response:
    """An invitation opens nothing any more."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        await admission.take_back(tx, link_id)
    return visit.done(PAGE, "invitation-back")


@router.get(PAGE + "/{user_id}")
async def member_page(user_id: str, visit: Admin, accounts: AccountsDep) -> Response:
    """One account: its state, what it used, and what may be done to it."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        account = await admission.account(tx, user_id)
        hold = await holds.hold_on(tx, user_id)
        everybody = await admission.admins(tx)
    use = await looking.members_use(visit.core.db, visit.now - USE_OF, visit.now, only=user_id)
    async with visit.core.db.member(user_id) as member:
        pinned = await pins.pinned(member)
    shown = {
        "account": account,
        "hold": hold,
        "own": user_id == visit.user_id,
        "last_admin": everybody == [user_id],
        "use": use[0] if use else None,
        "prices": looking.prices_of(visit.core.settings),
        "settings": visit.core.settings,
        "accounts": [each for each in accounts if each.trains],
        "pinned": pinned,
    }
    return visit.show("member.html", shown)


@router.post(PAGE + "/{user_id}/change")
async def change(
    user_id: str,
    visit: FreshAdmin,
    role: Annotated[Role | None, Form()] = None,
    disabled: Annotated[bool | None, Form()] = None,
) -> Response:
    """Another role, or shut, or open again; the member signs in anew."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        await admission.change(tx, user_id, role, disabled, visit.now)
    return visit.done(f"{PAGE}/{user_id}", "account-changed")


@router.post(PAGE + "/{user_id}/reset-link")
async def reset_link(user_id: str, visit: FreshAdmin) -> Response:
    """A link to a new password, shown this once."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        handed = await admission.reset_link(tx, visit.core.settings, user_id, visit.now)
        email = (await admission.account(tx, user_id)).email
    return visit.show("handed_out.html", {"handed": handed, "email": email})


@router.post(PAGE + "/{user_id}/move")
async def move(
    user_id: str, visit: Admin, accounts: AccountsDep, account_id: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Another provider account for the member's next training."""
    await helping.move(visit.core.db, accounts, visit.user_id, user_id, account_id)
    return visit.done(f"{PAGE}/{user_id}", "member-moved")


@router.post(PAGE + "/{user_id}/erase")
async def erase_member(
    user_id: str, visit: FreshAdmin, typed: Annotated[str, Form(max_length=LONGEST_EMAIL)] = ""
) -> Response:
    """Erase the member; the address is typed in once more. The receipt's token is shown this once."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        account = await admission.account(tx, user_id)
    if typed.strip().lower() != account.email:
        return visit.done(f"{PAGE}/{user_id}", "not-typed")
    begun = await erase(visit.core.db, visit.user_id, user_id, None, visit.now)
    shown = {"email": account.email, "token": begun.receipt_token}
    return visit.show("erased.html", shown)


async def _members(
    visit: AdminVisit,
    after: str = "",
    q: str = "",
    *,
    problem: StudioError | None = None,
    email: str = "",
    role: Role = "member",
) -> Response:
    async with visit.core.db.registrar(visit.user_id) as tx:
        found = await admission.accounts(tx, after, AT_ONCE + 1, q)
        out = await admission.invitations(tx, visit.now)
        mode = await settings.sign_up(tx, visit.core.settings)
    accounts, following = cut(found, Wanted(None, AT_ONCE), lambda each: each.id)
    shown = {
        "accounts": accounts,
        "more": PAGE + query(q=q, after=following) if following else "",
        "q": q,
        "invitations": out,
        "mode": mode,
        "problem": problem.message if problem else "",
        "email": email,
        "role": role,
    }
    return visit.show("members.html", shown, problem.status if problem else 200)
