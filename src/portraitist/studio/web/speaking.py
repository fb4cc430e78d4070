"""Each request in its language, the one that was chosen (a cookie), else the one that the browser likes best, and by
the clock of its browser (a cookie that `static/zone.js` sets).

What is said is `locale`'s; here is only whose language and zone it is, and the way to choose another language.
"""

from typing import Annotated

from fastapi import Form
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from portraitist.studio.accounts.signed_in import FromHere
from portraitist.studio.locale import figures
from portraitist.studio.locale.catalogs import languages
from portraitist.studio.locale.choosing import chosen
from portraitist.studio.locale.words import speaking
from portraitist.studio.notices import service as notices
from portraitist.studio.web import rendering
from portraitist.studio.web.visits import AnyVisit, page_router

router = page_router()
COOKIE = "language"
ZONE = "zone"
A_YEAR = 365 * 24 * 3600


class Speaking:
    """ASGI middleware: everything that is said while a request is answered is said in its language and zone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, in the language and the zone of this request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        wish, liked = asked.cookies.get(COOKIE), asked.headers.get("accept-language")
        with speaking(chosen(wish, liked, languages())), figures.placed(asked.cookies.get(ZONE)):
            await self._app(scope, receive, send)


@router.post("/language", dependencies=[FromHere])
async def choose(
    visit: AnyVisit,
    to: Annotated[str, Form(max_length=20)],
    after: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Pages in this language from now on, in this browser, and a member's letters; an unknown one changes nothing."""
    answer = rendering.seen(rendering.own_path(after))
    if to not in languages():
        return answer
    if visit.who is not None:
        async with visit.core.db.member(visit.who.user_id) as tx:
            await notices.choose_language(tx, to)
    https = visit.core.settings.https
    answer.set_cookie(COOKIE, to, max_age=A_YEAR, secure=https, httponly=True, samesite="lax")
    return answer
