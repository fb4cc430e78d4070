"""Starting the engine: its database prepared, the API in this process, the worker in another.

The worker is restarted when it dies and ends with the server. Which command calls this is the CLI's business.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import uvicorn

from portraitist.engine import app
from portraitist.engine.config import Settings
from portraitist.kit.homes import Home
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


class _Server(uvicorn.Server):
    """uvicorn raises a signal again when it has stopped, which would end us before the worker is stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings) -> None:
    home = Home(settings.work_dir)
    with home.lock("engine"):
        await prepare(settings)
        server = _Server(
            uvicorn.Config(
                app.create(settings),
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await _run(server, _supervisor(settings, home), stop)


async def _run(server: _Server, supervisor: Supervisor, stop: asyncio.Event) -> None:
    """Both until `stop`; the end of either ends the other."""
    serving = asyncio.create_task(server.serve())
    supervising = asyncio.create_task(supervisor.run(stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, supervising, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        server.should_exit = True
        await asyncio.gather(serving, supervising, stopping)


def _supervisor(settings: Settings, home: Home) -> Supervisor:
    worker = Part(
        name="engine-worker",
        argv=[sys.executable, "-m", "portraitist.engine.worker"],
        env=settings.environment(),
        ready_url=None,
        log=home.logs_dir / "worker.log",
    )
    return Supervisor(
        [worker], run_dir=home.run_dir, on_event=lambda name, what: log.info("part", part=name, state=what)
    )
