"""What makes the studio an app on a phone: its manifest, the service worker at the root, and the page without a line.

What the worker keeps, and what it never keeps, stands in `static/sw.js`.
"""

from functools import cache
from io import BytesIO

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from PIL import Image, ImageDraw
from starlette.responses import Response

from portraitist.studio.locale.words import _, language
from portraitist.studio.web import rendering
from portraitist.studio.web.static_files import STATIC

router = APIRouter(include_in_schema=False)
PAPER, INK = "#fbfaf7", "#1d1b18"
"""As in studio.css: what stands there before the first page has come."""


@router.get("/manifest.webmanifest")
async def manifest() -> JSONResponse:
    """The app's name, its icons and where it begins."""
    shown = {
        "id": "/",
        "name": "Portraitist",
        "short_name": "Portraitist",
        "description": _("An AI photo studio"),
        "lang": language(),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": PAPER,
        "icons": [
            {"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
            {"src": "/icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any"},
            {"src": "/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any"},
            {
                "src": "/static/icon-maskable.svg",
                "sizes": "any",
                "type": "image/svg+xml",
                "purpose": "maskable",
            },
        ],
        "shortcuts": [
            {"name": _("Make pictures"), "url": "/pictures"},
            {"name": _("Gallery"), "url": "/gallery"},
        ],
    }
    return JSONResponse(shown, media_type="application/manifest+json")


@router.get("/sw.js")
async def worker() -> Response:
    """The service worker; at the root, so that its scope is every page."""
    return Response((STATIC / "sw.js").read_bytes(), media_type="text/javascript")


@router.get("/offline")
async def offline(request: Request) -> HTMLResponse:
    """What is shown where there is no line; the worker keeps it."""
    return rendering.rendered("offline.html", rendering.base(request))


@router.get("/icon-192.png")
async def icon_192() -> Response:
    """The icon where a phone takes no SVG."""
    return Response(_icon(192), media_type="image/png")


@router.get("/icon-512.png")
async def icon_512() -> Response:
    """The same, large: what is shown while the app starts."""
    return Response(_icon(512), media_type="image/png")


@cache
def _icon(size: int) -> bytes:
    """`static/icon.svg` in pixels: a P with an open stem, drawn four times as large and made small."""
    unit = 4 * size / 32
    image = Image.new("RGBA", (4 * size, 4 * size))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), 6 * unit, fill=INK)
    width = round(2.5 * unit)
    left, top, middle, bottom = 11 * unit, 8 * unit, 18 * unit, 25 * unit
    draw.line((left, top - width / 2, left, bottom), fill=PAPER, width=width)
    draw.line((left, top, 17.5 * unit, top), fill=PAPER, width=width)
    draw.line((left, middle, 17.5 * unit, middle), fill=PAPER, width=width)
    half = width / 2
    draw.arc(
        (12.5 * unit - half, top - half, 22.5 * unit + half, middle + half), -90, 90, fill=PAPER, width=width
    )
    file = BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()
