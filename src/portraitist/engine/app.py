"""The HTTP application: parts opened and closed with it, routers and error answers put together.

Light on purpose: no torch, no diffusers. The worker process does the work.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from portraitist.engine import ids
from portraitist.engine.api import account, files, models, predictions, trainings
from portraitist.engine.api.context import HANDLERS, Context
from portraitist.engine.api.envelope import Envelope
from portraitist.engine.config import Settings
from portraitist.engine.store import state
from portraitist.kit.clock import SystemClock
from portraitist.kit.database import Database
from portraitist.kit.objects import ObjectStore


def create(settings: Settings) -> FastAPI:
    """The application; its database must be migrated (see `main.prepare`)."""
    database = Database(settings.database_url.get_secret_value(), name="portraitist engine api")
    context = Context(settings, database, ObjectStore.from_url(settings.objects_url), SystemClock())
    app = FastAPI(
        title="Portraitist engine",
        lifespan=_opened(context),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.add_middleware(Envelope)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    for router in (
        account.router,
        account.health,
        files.public,
        models.router,
        trainings.router,
        predictions.router,
        files.router,
    ):
        app.include_router(router)
    return app


def _opened(context: Context) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with context.database:
            async with context.database.transaction() as tx:
                context.webhook_secret = await state.secret(tx, state.WEBHOOK_SECRET, ids.webhook_secret())
                context.link_key = await state.secret(tx, state.LINK_KEY, ids.signing_key())
            yield

    return lifespan
