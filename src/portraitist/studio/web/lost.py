"""An address that there is not, asked for by a browser, is answered with a page; programs get their problem.

The API's own absences (a picture, a training) are answered where they come up.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from portraitist.studio.http import TITLES
from portraitist.studio.web import rendering
from portraitist.studio.web.wording import Step

ABSENT, OTHER_WAY = 404, 405
MESSAGES = {
    ABSENT: "There is no page at this address.",
    OTHER_WAY: "This address is not one to look at.",
}


def install(app: FastAPI) -> None:
    """Have pages for what no route answers; after `http.install`, whose handler stays the programs' one."""
    as_problem = cast(
        "Callable[[Request, HTTPException], Awaitable[Response]]", app.exception_handlers[HTTPException]
    )

    @app.exception_handler(HTTPException)
    async def lost(request: Request, exc: HTTPException) -> Response:
        if exc.status_code not in MESSAGES or not _is_a_persons(request):
            return await as_problem(request, exc)
        shown = {
            **rendering.base(request),
            "title": TITLES[exc.status_code],
            "message": MESSAGES[exc.status_code],
            "step": Step("Go to the first page", "/"),
        }
        answer = rendering.rendered("error.html", shown, exc.status_code)
        answer.headers.update(exc.headers or {})
        return answer


def _is_a_persons(request: Request) -> bool:
    """Browsers ask for HTML when somebody goes somewhere; the API is for programs whoever asks."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
