"""The notices' page: what a member was told, newest first, and by which ways; the badge in the menu; words for pushes.

What is told, and once only, is `notices`'; a browser subscribes by `static/push.js`.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse
from starlette.responses import Response

from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.notices import service, words
from portraitist.studio.notices.domain import Kind
from portraitist.studio.notices.endpoints import VapidDep
from portraitist.studio.web.visits import OwnVisit, page_router

router = page_router()
public = APIRouter(include_in_schema=False)


@router.get("/notices")
async def notices_page(visit: OwnVisit, vapid: VapidDep) -> Response:
    """All of them; looking at the page is reading them."""
    async with visit.core.db.member(visit.user_id) as tx:
        found, ways = await service.newest(tx), await service.ways(tx)
        await service.read_all(tx, visit.now)
        session = visit.who.session_id
        pushed = session is not None and await service.is_subscribed(tx, session)
    shown = {
        "notices": [(each, words.of(each)) for each in found],
        "ways": ways,
        "mail_is_sent": MAILING.on,
        "push_key": vapid.public_key,
        "pushed": pushed,
    }
    return visit.page("notices.html", shown, here="notices")


@router.get("/notices/badge")
async def badge(visit: OwnVisit) -> Response:
    """The bell in the menu, with how many are new."""
    async with visit.core.db.member(visit.user_id, once=True) as tx:
        unread = await service.unread(tx)
    return visit.page("bell.html", {"unread": unread})


@router.post("/notices/ways")
async def choose_ways(
    visit: OwnVisit, mail: Annotated[bool, Form()] = False, push: Annotated[bool, Form()] = False
) -> Response:
    """Hear of them by these ways from now on."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.choose_ways(tx, mail=mail, push=push)
    return visit.done("/notices", "ways-chosen")


@public.get("/notices/words")
async def push_words() -> JSONResponse:
    """What the service worker shows for each kind of push, in the browser's language; nothing of anybody's."""
    each = {kind: words.of_kind(kind) for kind in Kind}
    return JSONResponse({kind: {"title": said.title, "body": said.text} for kind, said in each.items()})
