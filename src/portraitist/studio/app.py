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
from portraitist.kit import failpoints
from portraitist.kit.clock import Clock
from portraitist.kit.http import GuardedClient
from portraitist.kit.limits import SharedLimits
from portraitist.studio import bootstrap, http, openapi
from portraitist.studio.accounts import endpoints as accounts
from portraitist.studio.accounts import endpoints_proof, endpoints_sign_in, endpoints_tokens
from portraitist.studio.accounts.hashing import Hasher
from portraitist.studio.accounts.mail import endpoints as mail
from portraitist.studio.accounts.oidc import endpoints as oidc
from portraitist.studio.accounts.passkeys import endpoints as passkeys
from portraitist.studio.accounts.sign_in import SignIn
from portraitist.studio.admin import endpoints as admin
from portraitist.studio.admin import endpoints_work, events, members, oversight
from portraitist.studio.config import StudioSettings
from portraitist.studio.events.service import Hub
from portraitist.studio.gallery import endpoints as gallery
from portraitist.studio.generation import endpoints as generation
from portraitist.studio.images import endpoints as images
from portraitist.studio.maya import endpoints as maya
from portraitist.studio.notices import endpoints as notices
from portraitist.studio.photoshoot import endpoints as photoshoot
from portraitist.studio.privacy import endpoints as privacy
from portraitist.studio.privacy import endpoints_export, endpoints_keeping, endpoints_trail
from portraitist.studio.rates import Rates
from portraitist.studio.selfies import domain as photos
from portraitist.studio.selfies import endpoints as selfies
from portraitist.studio.selfies import endpoints_uploads as uploads
from portraitist.studio.selfies.judging import Judge
from portraitist.studio.selfies.service import SelfieService
from portraitist.studio.training import endpoints as training
from portraitist.studio.web import (
    album_pages,
    chosen,
    components,
    drawing,
    entering,
    home,
    installing,
    live,
    lost,
    notice_pages,
    pages,
    photo_pages,
    safety,
    speaking,
    trainings,
    transfer,
    versions,
    wall,
)
from portraitist.studio.web.account import routers as account_pages
from portraitist.studio.web.admin_pages import routers as admin_pages
from portraitist.studio.web.bodies import RefusedBodies
from portraitist.studio.web.engine_look import EngineLook
from portraitist.studio.web.headers import SecurityHeaders
from portraitist.studio.web.maya import ALL as MAYA_PAGES
from portraitist.studio.web.photoshoot import ALL as PHOTOSHOOT_PAGES
from portraitist.studio.web.static_files import STATIC
from portraitist.studio.webhooks import endpoints as webhooks
from portraitist.studio.webhooks.keys import Keys
from portraitist.studio.webhooks.service import Intake

CONNECTIONS = 10
HTMX = "htmx.org/dist/htmx.min.js"
MAX_BODY = 2**20  # bytes; routes that take files or whole runs state their own


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
    lost.install(app)
    openapi.install(app)
    for router in (
        admin.router,
        members.router,
        endpoints_work.router,
        events.router,
        oversight.router,
        accounts.router,
        endpoints_sign_in.router,
        endpoints_tokens.router,
        endpoints_proof.router,
        passkeys.router,
        mail.router,
        oidc.router,
        selfies.router,
        uploads.router,
        training.router,
        training.operator_router,
        generation.router,
        photoshoot.router,
        maya.router,
        gallery.router,  # before images: /images/zip is no id
        images.router,
        privacy.router,
        endpoints_export.router,
        endpoints_keeping.router,
        endpoints_trail.router,
        safety.router,
        notices.router,
        live.router,
        transfer.router,
        webhooks.router,
        pages.router,
        home.router,
        entering.router,
        photo_pages.router,
        trainings.router,
        versions.router,
        drawing.router,
        album_pages.router,  # before the wall: /gallery/albums is no picture
        chosen.router,
        wall.router,
        *account_pages.ALL,
        *admin_pages.ALL,
        *PHOTOSHOOT_PAGES,
        *MAYA_PAGES,
        components.router,
        speaking.router,
        notice_pages.router,
        notice_pages.public,
        installing.router,
    ):
        app.include_router(router, max_body_size=MAX_BODY)
    app.mount("/static", StaticFiles(directory=STATIC))
    _mount_assets(app)
    app.add_middleware(RefusedBodies)
    app.add_middleware(speaking.Speaking)
    app.add_middleware(SecurityHeaders, https=settings.https)
    return app


def _lifespan(settings: StudioSettings, clock: Clock | None):  # type: ignore[no-untyped-def]  # FastAPI's own type is a union of callables
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        failpoints.arm(settings.portraitist_failpoints, testing=settings.portraitist_testing)
        async with (
            bootstrap.core(settings, name="portraitist-web", connections=CONNECTIONS, clock=clock) as core,
            Judge() as judge,
            Hasher() as hasher,
            bootstrap.face_counter(settings) as faces,
        ):
            min_side = photos.CLOUD_MIN_SIDE if settings.is_cloud else photos.EMBEDDED_MIN_SIDE
            app.state.core = core
            asking = GuardedClient(allowed=[settings.oidc_issuer] if settings.oidc_issuer else [])
            app.state.sign_in = SignIn(
                core.db, hasher, settings, bootstrap.sign_in_provider(settings, asking)
            )
            app.state.selfies = SelfieService(core.db, core.objects, judge, min_side, faces)
            accounts = bootstrap.provider_accounts(settings)
            reached = bootstrap.providers(settings, accounts)
            app.state.accounts = accounts
            app.state.provider = reached[settings.account_id]
            app.state.webhooks = Intake(core.db, core.clock, Keys(reached))
            app.state.rates = Rates(
                SharedLimits(core.db.pool),
                reads_per_minute=settings.member_reads_per_minute,
                writes_per_minute=settings.member_writes_per_minute,
            )
            app.state.refusals = bootstrap.refusals(settings)
            app.state.looks = await asyncio.to_thread(bootstrap.looks, settings)
            app.state.maya = bootstrap.maya(settings, core, app.state.looks, app.state.refusals)
            app.state.maya.prepare()
            app.state.hub = Hub()
            app.state.vapid = bootstrap.vapid(settings)
            app.state.engine_look = EngineLook()
            await bootstrap.register_accounts(core, accounts)
            listening = asyncio.create_task(app.state.hub.run(core.db.pool))
            try:
                yield
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
                await app.state.maya.close()
                await asking.close()
                for each in reached.values():
                    await each.close()

    return lifespan


def _mount_assets(app: FastAPI) -> None:
    """The front-end's packages; without htmx pages are plain forms, and without Swagger UI /docs says what to do."""
    given = os.environ.get("PORTRAITIST_ASSETS")
    folder = Path(given) if given else Path(__file__).parents[3] / "frontend" / "node_modules"
    if (folder / "swagger-ui-dist").is_dir():
        app.mount("/assets/swagger-ui", StaticFiles(directory=folder / "swagger-ui-dist"))
    if (folder / HTMX).is_file():
        app.mount("/assets/htmx", StaticFiles(directory=(folder / HTMX).parent))
        app.state.htmx = f"/assets/htmx/{Path(HTMX).name}"
