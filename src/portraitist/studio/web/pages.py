"""The pages: status and API documentation, as plain files of the package; no third-party file is among them."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from portraitist.kit.errors import DatabaseUnavailable
from portraitist.studio.http import CoreDep

router = APIRouter(include_in_schema=False)
STATIC = Path(str(files("portraitist.studio.web") / "static"))


def _page(name: str) -> HTMLResponse:
    return HTMLResponse((STATIC / name).read_text(encoding="utf-8"))


@router.get("/")
async def status_page() -> HTMLResponse:
    """How the studio is; asks for the instance token."""
    return _page("status.html")


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
