"""A member's API tokens as a page: listed, made (the secret is shown once), taken back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import domain
from portraitist.studio.accounts import service as accounts
from portraitist.studio.accounts.signed_in import SignInDep
from portraitist.studio.errors import Forbidden, StudioError
from portraitist.studio.web.account.visiting import AccountVisit
from portraitist.studio.web.visits import MemberVisit, page_router

router = page_router()
PAGE = "/account/tokens"
LIVES = (7, 30, 90, 366)
"""Days, as a member chooses them."""
USUAL_DAYS = 90


@dataclass(frozen=True)
class Wish:
    """What was typed."""

    name: str = ""
    scopes: tuple[str, ...] = ("read",)
    days: int = USUAL_DAYS


@router.get(PAGE)
async def tokens_page(visit: AccountVisit) -> Response:
    """The tokens there are, and the form for a new one."""
    return await _page(visit)


@router.post(PAGE)
async def make_token(
    visit: AccountVisit,
    doors: SignInDep,
    *,
    name: Annotated[str, Form(max_length=100)] = "",
    scopes: Annotated[tuple[str, ...], Form(max_length=20)] = (),
    days: Annotated[int, Form(ge=1, le=accounts.LONGEST_TOKEN_LIFE.days)] = USUAL_DAYS,
) -> Response:
    """A token for a program; its secret stands on the page that answers, and nowhere else."""
    wish = Wish(name.strip(), scopes, days)
    if not wish.name or not scopes:
        return await _page(visit, wish, lacking=True)
    try:
        accounts.check_scopes(visit.who, scopes)
        if domain.WIDE_SCOPES & set(scopes):
            await doors.require_fresh(visit.who, visit.now)
        async with visit.core.db.member(visit.user_id) as tx:
            secret, token = await accounts.issue_token(
                tx, visit.who, wish.name, scopes, life=timedelta(days=days), now=visit.now
            )
    except Forbidden:
        raise  # to be proved first
    except StudioError as exc:
        return await _page(visit, wish, exc)
    return visit.page("account/token.html", {"secret": secret, "token": token}, here="account")


@router.post("/account/tokens/{token_id}/revoke")
async def revoke_token(token_id: UUID, visit: AccountVisit) -> Response:
    """The token is good for nothing any more."""
    async with visit.core.db.member(visit.user_id) as tx:
        await accounts.revoke_token(tx, token_id)
    return visit.done(PAGE, "token-revoked")


async def _page(
    visit: MemberVisit,
    wish: Wish | None = None,
    problem: StudioError | None = None,
    *,
    lacking: bool = False,
) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        tokens = await accounts.tokens(tx)
    shown: dict[str, Any] = {
        "tokens": tokens,
        "now": visit.now,
        "wish": wish or Wish(),
        "scopes": [name for name in domain.SCOPES if name != "admin" or visit.who.is_admin],
        "lives": LIVES,
        "lacking": lacking,
        "problem": problem.message if problem else "",
    }
    status = 422 if lacking else problem.status if problem else 200
    return visit.page("account/tokens.html", shown, here="account", status=status)
