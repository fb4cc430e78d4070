"""The account's first page: whose it is, and the word by which prompts call the member."""

from typing import Annotated

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import service as accounts
from portraitist.studio.errors import StudioError
from portraitist.studio.web.account.visiting import AccountVisit
from portraitist.studio.web.home import has_consented
from portraitist.studio.web.visits import MemberVisit, page_router

router = page_router()


@router.get("/account")
async def account_page(visit: AccountVisit) -> Response:
    """Who is signed in, and where the rest of the account is."""
    return await _page(visit)


@router.post("/account/word")
async def set_word(visit: AccountVisit, subject_word: Annotated[str, Form(max_length=200)] = "") -> Response:
    """Another word for prompts; one that can't be used stays in its field, with the reason."""
    try:
        async with visit.core.db.member(visit.user_id) as tx:
            await accounts.set_subject_word(tx, subject_word.strip())
    except StudioError as exc:
        return await _page(visit, subject_word, exc)
    return visit.done("/account", "word-changed")


async def _page(visit: MemberVisit, typed: str | None = None, problem: StudioError | None = None) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        member = await accounts.me(tx)
        consented = await has_consented(tx)
    shown = {
        "member": member,
        "consented": consented,
        "subject_word": member.subject_word if typed is None else typed,
        "problem": problem.message if problem else "",
    }
    return visit.page(
        "account/overview.html", shown, here="account", status=problem.status if problem else 200
    )
