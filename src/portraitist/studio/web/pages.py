"""Pages that know nothing of who looks: what links lead to, the status, the API's documentation.

The latter two are plain files of the package. No third-party file is among them.
"""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from portraitist.kit.errors import DatabaseUnavailable
from portraitist.studio.http import CoreDep
from portraitist.studio.web import rendering
from portraitist.studio.web.static_files import STATIC

router = APIRouter(include_in_schema=False)


def _page(name: str) -> HTMLResponse:
    return HTMLResponse((STATIC / name).read_text(encoding="utf-8"))


def _of_link(request: Request, template: str) -> HTMLResponse:
    answer = rendering.rendered(template, rendering.base(request))
    # a provider's code stands in the address until a script runs
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@router.get("/status")
async def status_page() -> HTMLResponse:
    """How the studio is; asks for the instance token."""
    return _page("status.html")


@router.get("/join")
@router.get("/reset")
async def link_page(request: Request) -> HTMLResponse:
    """What one-time links lead to; their secret stands behind the #, which is not sent here."""
    return _of_link(request, "link.html")


@router.get("/enter")
@router.get("/prove")
@router.get("/oidc")
async def enter_page(request: Request) -> HTMLResponse:
    """What mailed links lead to, and where a sign-in provider sends back to; what it knows, a button sends."""
    return _of_link(request, "enter.html")


@router.get("/docs")
async def docs_page() -> HTMLResponse:
    """The API, to read and to try."""
    return _page("docs.html")


@router.get("/healthz")
async def healthz(core: CoreDep) -> JSONResponse:
    """Up and able to reach the database?"""
    try:
        async with core.db.nobody() as tx:
            await tx.run("select 1")
    except DatabaseUnavailable:
        return JSONResponse({"status": "database away"}, 503)
    return JSONResponse({"status": "ok"})
