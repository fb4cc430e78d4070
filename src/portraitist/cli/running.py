"""What the operator's commands do: run one part in this process, or all of them under supervision."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from portraitist.cli import disk, parts
from portraitist.cli.api import connect
from portraitist.cli.errors import BadUsage, PartAway
from portraitist.cli.output import Output
from portraitist.kit.garbage import spare_what_is_loaded
from portraitist.kit.homes import Home, HomeBusy
from portraitist.kit.logging import configure
from portraitist.kit.ports import free_port
from portraitist.studio import startup
from portraitist.studio.config import StudioSettings
from portraitist.studio.log_names import pseudonyms_of

# Event streams never end by themselves; at a stop they get this long.
GRACE_S = 3

Settings = TypeVar("Settings", bound=BaseSettings)


async def up(port: int, output: Output) -> None:
    """All parts until a stop signal, which ends this without an error."""
    home = Home()
    try:
        with home.lock(parts.LOCK):
            async with parts.started(home, port or free_port(), output.say) as studio:
                _welcome(studio, home, await _first_link(studio), output)
                await disk.tell(disk.folders(home.path), output.say)
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


async def _first_link(studio: parts.Studio) -> str | None:
    """The one-time link to the first account; None once there is an admin."""
    async with connect(studio.url, studio.token, studio.gone) as operator:
        return await operator.first_link()


def _welcome(studio: parts.Studio, home: Home, first_link: str | None, output: Output) -> None:
    url = studio.url.replace("127.0.0.1", "localhost")
    output.say(f"Portraitist is up at {url} (this machine only; Ctrl-C stops it)")
    output.say(f"  API            {url}/docs")
    output.say(f"  instance token {studio.token}")
    if first_link is not None:
        output.say("  first account  once, within a day: open this link, or portraitist join LINK")
        output.say(f"                 {first_link}")
    output.say(f"  data and logs  {home.path}")
    output.emit("up", url=studio.url, token=studio.token, first_link=first_link, home=str(home.path))


def web(_output: Output) -> None:
    """The web process, until a stop signal."""
    import uvicorn  # noqa: PLC0415 - only this part needs it

    from portraitist.studio.app import create  # noqa: PLC0415 - only this part needs it

    settings = _studio_settings()
    _configure_logs()
    server = uvicorn.Config(
        create(settings),
        host=settings.studio_host,
        port=settings.studio_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    spare_what_is_loaded()
    uvicorn.Server(server).run()


def worker(_output: Output) -> None:
    """The worker process, until a stop signal."""
    from portraitist.studio.worker import run  # noqa: PLC0415 - only this part needs it

    settings = _studio_settings()
    _configure_logs()
    asyncio.run(run(settings))


def engine(_output: Output) -> None:
    """The engine's server and its worker, until a stop signal."""
    from portraitist.engine import main  # noqa: PLC0415 - only this part needs it
    from portraitist.engine.config import Settings as EngineSettings  # noqa: PLC0415 - only this part needs it

    settings = _read(EngineSettings)
    configure()
    main.serve(settings)


def engine_init(out: Path, steps: int | None, resume: bool, output: Output) -> None:
    """The base checkpoint from its recipe."""
    from portraitist.engine.config import packaged_base  # noqa: PLC0415 - only this part needs it

    try:
        from portraitist.engine.tiny import recipe  # noqa: PLC0415 - torch is heavy, and absent on web hosts
    except ModuleNotFoundError as error:
        raise BadUsage(
            f"The engine's libraries are not installed ({error.name}).",
            next_step='Install them: pip install "portraitist[engine]" torch',
        ) from error
    recipe.run(out, steps or recipe.FLOW_STEPS, packaged_base() if resume else None, output.say)
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


def _configure_logs() -> None:
    configure(pseudonyms=pseudonyms_of(Home()))


def _studio_settings() -> StudioSettings:
    return startup.load(os.environ, Home().path)


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
