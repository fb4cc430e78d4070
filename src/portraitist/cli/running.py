"""What the operator's commands do: run one part in this process, or all of them under supervision."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from portraitist.cli import parts
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.cli.output import Output
from portraitist.kit.homes import Home, HomeBusy
from portraitist.kit.logging import configure
from portraitist.kit.ports import free_port
from portraitist.studio.config import StudioSettings

# Event streams never end by themselves; at a stop they get this long.
GRACE_S = 3

Settings = TypeVar("Settings", bound=BaseSettings)


async def up(port: int, output: Output) -> None:
    """All parts until a stop signal, which ends this without an error."""
    home = Home()
    try:
        with home.lock(parts.LOCK):
            async with parts.started(home, port or free_port(), output.say) as studio:
                _welcome(studio, home, output)
                await asyncio.Event().wait()
    except HomeBusy as busy:
        where = parts.running_at(home)
        raise PartAway(
            f"A studio runs on {home.path} already"
            + (f", at {where}" if where else "")
            + f" (process {busy.pid}).",
            next_step="Use that one, stop it first, or set PORTRAITIST_HOME to another folder. Nothing was changed.",
            code="already_up",
        ) from busy
    except asyncio.CancelledError:
        output.say("Stopped. `portraitist up` goes on where this stopped.")


def _welcome(studio: parts.Studio, home: Home, output: Output) -> None:
    url = studio.url.replace("127.0.0.1", "localhost")
    output.say(f"Portraitist is up at {url} (this machine only; Ctrl-C stops it)")
    output.say(f"  API            {url}/docs")
    output.say(f"  instance token {studio.token}")
    output.say(f"  data and logs  {home.path}")
    output.emit("up", url=studio.url, token=studio.token, home=str(home.path))


def web(_output: Output) -> None:
    """The web process, until a stop signal."""
    import uvicorn  # noqa: PLC0415 - only this part needs it

    from portraitist.studio.app import create  # noqa: PLC0415 - only this part needs it

    settings = _studio_settings()
    configure()
    server = uvicorn.Config(
        create(settings),
        host=settings.studio_host,
        port=settings.studio_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(server).run()


def worker(_output: Output) -> None:
    """The worker process, until a stop signal."""
    from portraitist.studio.worker import run  # noqa: PLC0415 - only this part needs it

    settings = _studio_settings()
    configure()
    asyncio.run(run(settings))


def engine(_output: Output) -> None:
    """The engine's server and its worker, until a stop signal."""
    from portraitist.engine import main  # noqa: PLC0415 - only this part needs it
    from portraitist.engine.config import Settings as EngineSettings  # noqa: PLC0415 - only this part needs it

    settings = _read(EngineSettings)
    configure()
    main.serve(settings)


def engine_init(out: Path, minutes: float, resume: bool, output: Output) -> None:
    """The base checkpoint from its recipe."""
    try:
        from portraitist.engine.tiny import recipe  # noqa: PLC0415 - torch is heavy, and absent on web hosts
    except ModuleNotFoundError as error:
        raise BadUsage(
            f"The engine's libraries are not installed ({error.name}).",
            next_step='Install them: pip install "portraitist[engine]" torch',
        ) from error
    recipe.run(out, minutes, resume, output.say)
    output.emit("checkpoint", folder=str(out.resolve()))


async def migrate(output: Output) -> None:
    """Roles and tables, of the configured database or of the embedded one."""
    home = Home()
    try:
        with home.lock(parts.LOCK):
            await parts.migrated(home, output.say)
    except HomeBusy as busy:
        raise PartAway(
            f"A studio runs on {home.path} (process {busy.pid}) and migrates by itself.",
            next_step="Stop it first.",
            code="already_up",
        ) from busy
    output.say("The database is up to date.")
    output.emit("migrated")


def _studio_settings() -> StudioSettings:
    home = Home()
    return _read(lambda: StudioSettings(portraitist_home=home.path))


def _read(make: Callable[[], Settings]) -> Settings:
    """Settings from the environment; raises BadUsage that names each wrong or missing variable."""
    try:
        return make()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].lower()}" for e in error.errors()
        )
        raise BadUsage(
            f"The configuration of this part is not complete: {wrong}.",
            next_step="Set these variables (docs/operating.md), or let `portraitist up` start all parts by itself.",
            code="configuration",
        ) from error
