"""The web process: routes of every slice on one FastAPI app, opened and closed with its parts."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from portraitist import __version__
from portraitist.kit.clock import Clock
from portraitist.studio import bootstrap, http
from portraitist.studio.accounts import endpoints as accounts
from portraitist.studio.admin import endpoints as admin
from portraitist.studio.config import StudioSettings
from portraitist.studio.events.service import Hub
from portraitist.studio.generation import endpoints as generation
from portraitist.studio.images import endpoints as images
from portraitist.studio.selfies import domain as photos
from portraitist.studio.selfies import endpoints as selfies
from portraitist.studio.selfies.judging import Judge
from portraitist.studio.selfies.service import SelfieService
from portraitist.studio.training import endpoints as training
from portraitist.studio.web import live, pages, transfer, webhooks
from portraitist.studio.web.headers import SecurityHeaders

CONNECTIONS = 10
MAX_BODY = 21 * photos.Limits.max_bytes  # twenty photos at once and their wrapping


def create(settings: StudioSettings, clock: Clock | None = None) -> FastAPI:
    """The app; its parts open when it starts serving. `clock` is the system's unless given."""
    app = FastAPI(
        title="Portraitist",
        version=__version__,
        summary="An AI photo studio that anyone can host.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(settings, clock),
    )
    http.install(app)
    for router in (
        admin.router,
        accounts.router,
        selfies.router,
        training.router,
        generation.router,
        images.router,
        live.router,
        transfer.router,
        webhooks.router,
        pages.router,
    ):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=pages.STATIC))
    if assets := _assets():
        app.mount("/assets/swagger-ui", StaticFiles(directory=assets / "swagger-ui-dist"))
    app.add_middleware(SecurityHeaders, https=settings.public_url.startswith("https://"))
    return app


def _lifespan(settings: StudioSettings, clock: Clock | None):  # type: ignore[no-untyped-def]  # FastAPI's own type is a union of callables
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            bootstrap.core(settings, name="portraitist-web", connections=CONNECTIONS, clock=clock) as core,
            Judge() as judge,
        ):
            min_side = photos.CLOUD_MIN_SIDE if settings.is_cloud else photos.EMBEDDED_MIN_SIDE
            app.state.core = core
            app.state.selfies = SelfieService(core.db, core.objects, judge, min_side)
            accounts = bootstrap.provider_accounts(settings)
            reached = bootstrap.providers(settings, accounts)
            app.state.accounts = accounts
            app.state.provider = reached[settings.account_id]
            app.state.webhook_secrets = webhooks.Secrets(reached)
            app.state.hub = Hub()
            await bootstrap.register_accounts(core, accounts)
            listening = asyncio.create_task(app.state.hub.run(core.db.pool))
            try:
                yield
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
                for each in reached.values():
                    await each.close()

    return lifespan


def _assets() -> Path | None:
    """Where the front-end's packages are installed; without them /docs says how to install them."""
    given = os.environ.get("PORTRAITIST_ASSETS")
    folder = Path(given) if given else Path(__file__).parents[3] / "frontend" / "node_modules"
    return folder if (folder / "swagger-ui-dist").is_dir() else None
