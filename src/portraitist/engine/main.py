"""Starting the engine: its database prepared, the API in this process, the worker in another.

The worker is restarted when it dies and ends with the server. Which command calls this is the CLI's business.
"""

import asyncio
import logging as standard_logging
import sys
from importlib import resources

import uvicorn

from portraitist.engine import app
from portraitist.engine.config import Settings
from portraitist.kit.logging import logger
from portraitist.kit.migrate import migrate
from portraitist.kit.supervise import Part, Supervisor

SHUTDOWN_S = 5

log = logger("engine.main")


async def prepare(settings: Settings) -> list[str]:
    """Bring the engine's own database up to date; returns the migrations applied now."""
    folder = resources.files("portraitist.engine") / "migrations"
    return await migrate(settings.database_url.get_secret_value(), folder)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises KitError if the database or the work folder cannot be used."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    await prepare(settings)
    settings.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    standard_logging.getLogger("uvicorn.access").disabled = True
    config = uvicorn.Config(
        app.create(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    stop = asyncio.Event()
    supervision = asyncio.create_task(_supervisor(settings).run(stop))
    try:
        # uvicorn takes SIGTERM and SIGINT; when it returns, the server has ended.
        await uvicorn.Server(config).serve()
    finally:
        stop.set()
        await supervision


def _supervisor(settings: Settings) -> Supervisor:
    worker = Part(
        name="engine-worker",
        argv=[sys.executable, "-m", "portraitist.engine.worker"],
        env=settings.environment(),
        ready_url=None,
        log=settings.work_dir / "worker.log",
    )
    run_dir = settings.work_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Supervisor(
        [worker], run_dir=run_dir, on_event=lambda name, what: log.info("part", part=name, state=what)
    )
