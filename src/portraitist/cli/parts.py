"""Start the parts of a studio on this machine, or attach to the one that runs.

Whoever holds the home's lock `studio` runs the parts; `HOME/run/studio.json` says where. A dead holder frees the
lock, its parts die with it, and PostgreSQL is attached to again. Which environment a part gets: `environment.py`.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portraitist.cli import api, databases, disk, environment
from portraitist.cli.environment import Choices, Databases, Ports, Secrets
from portraitist.cli.errors import PartAway
from portraitist.kit.embedded_postgres import EmbeddedPostgres, Server
from portraitist.kit.errors import KitError
from portraitist.kit.homes import Home, HomeBusy
from portraitist.kit.ports import free_port, port_in_use
from portraitist.kit.supervise import Part, Supervisor

LOCK = "studio"
START_TIMEOUT_S = 120.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Studio:
    """A studio that answers."""

    url: str
    token: str
    pid: int  # of the process that runs its parts

    @property
    def own(self) -> bool:
        """Whether this process started it, and stops it at the end."""
        return self.pid == os.getpid()

    def gone(self) -> bool:
        """Whether nobody is left who would start a dead part again."""
        return not _alive(self.pid)


@asynccontextmanager
async def studio(home: Home, say: Say) -> AsyncIterator[Studio]:
    """The studio of this home: the running one, or one of our own for the time of the block."""
    try:
        with home.lock(LOCK):
            async with started(home, free_port(), say) as own:
                yield own
            return
    except HomeBusy as busy:
        holder = busy.pid
    yield await attached(home, holder)


async def attached(home: Home, holder: int, *, timeout_s: float = START_TIMEOUT_S) -> Studio:
    """The studio that process `holder` runs; waits while it starts."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        where = running_at(home)
        if where is not None and await api.healthy(where):
            return Studio(where, home.secret("instance-token"), holder)
        if not _alive(holder):
            raise PartAway("The studio that ran here has just stopped.", next_step="Run the command again.")
        await asyncio.sleep(0.3)
    raise PartAway(
        f"Process {holder} holds this studio's data but does not answer.",
        next_step=f"Look into {home.logs_dir}, end that process, then run the command again.",
    )


def running_at(home: Home) -> str | None:
    """The address that the running studio noted, if one did."""
    try:
        address: str = json.loads((home.run_dir / "studio.json").read_text())["url"]
    except (OSError, ValueError, KeyError):
        return None
    return address


@asynccontextmanager
async def started(home: Home, web_port: int, say: Say) -> AsyncIterator[Studio]:
    """All parts, running and ready, watched and restarted for the time of the block. The caller holds the lock."""
    chosen = _chosen(home)
    _check_machine(home, web_port)
    ports = Ports(web=web_port, engine=_engine_port(home))
    secrets = Secrets(home.secret("instance-token"), home.secret("secret-key"), home.secret("engine-token"))
    note = home.run_dir / "studio.json"
    note.unlink(missing_ok=True)
    async with _postgres(home, chosen, say) as server:
        where = await databases.prepare(home, chosen, server)
        if where.engine is not None and not chosen.embedded_engine:
            say(
                "The embedded engine runs too, for the models that were trained on it; it trains no new ones."
            )
        url = f"http://127.0.0.1:{web_port}"
        async with _supervised(home, _parts(home, where, secrets, ports, chosen), say):
            note.write_text(json.dumps({"url": url, "pid": os.getpid()}))
            try:
                yield Studio(url, secrets.instance_token, os.getpid())
            finally:
                note.unlink(missing_ok=True)


async def migrated(home: Home, say: Say) -> None:
    """Roles and tables made or brought up to date; nothing else is started. The caller holds the lock."""
    chosen = _chosen(home)
    async with _postgres(home, chosen, say) as server:
        await databases.prepare(home, chosen, server)


def _chosen(home: Home) -> Choices:
    return environment.choices(os.environ, engine_was_here=(home.path / "engine").is_dir())


def _check_machine(home: Home, web_port: int) -> None:
    if port_in_use("127.0.0.1", web_port):
        raise PartAway(
            f"Port {web_port} is in use by another program.",
            next_step="Choose another one with --port.",
            code="port_in_use",
        )
    if too_little := disk.full(disk.folders(home.path), disk.LEAST_TO_START):
        raise too_little


def _engine_port(home: Home) -> int:
    """The engine keeps its port, so that addresses it gave out stay true over a restart."""
    note = home.run_dir / "engine.port"
    with suppress(OSError, ValueError):
        port = int(note.read_text())
        if not port_in_use("127.0.0.1", port):
            return port
    port = free_port()
    note.write_text(str(port))
    return port


@asynccontextmanager
async def _postgres(home: Home, chosen: Choices, say: Say) -> AsyncIterator[Server | None]:
    """The embedded PostgreSQL, started again when it dies; None where the user brings a server."""
    if not chosen.embedded_postgres:
        yield None
        return
    postgres = EmbeddedPostgres(home.path)
    server = postgres.start()
    keeper = asyncio.create_task(postgres.watch(say))
    try:
        yield server
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        try:
            postgres.stop()
        except KitError as error:  # why the work ended matters more than how
            say(str(error))


def _parts(home: Home, where: Databases, secrets: Secrets, ports: Ports, chosen: Choices) -> list[Part]:
    def part(name: str, env: dict[str, str], port: int | None) -> Part:
        argv = [sys.executable, "-m", "portraitist.cli", name]
        ready = f"http://127.0.0.1:{port}/healthz" if port else None
        return Part(name, argv, env, ready, home.logs_dir / f"{name}.log")

    studio_env = environment.studio_environment(
        os.environ, str(home.path), where, secrets, ports, chosen=chosen
    )
    parts = [part("web", studio_env, ports.web), part("worker", studio_env, None)]
    if where.engine is not None:
        engine_env = environment.engine_environment(os.environ, str(home.path), where, secrets, ports)
        parts.insert(0, part("engine", engine_env, ports.engine))
    return parts


class Deaths:
    """Hears what the supervisor reports: tells of parts that died, and when one dies too often to ever start."""

    MOST = 4

    def __init__(self, say: Say) -> None:
        self._say = say
        self._count: Counter[str] = Counter()
        self.too_many = asyncio.Event()
        self.last = ""

    def note(self, part: str, event: str) -> None:
        """One event of a part; starting and stopping go without saying."""
        if not event.startswith("ended"):
            return
        self._say(f"The part {part} {event}.")
        self._count[part] += 1
        self.last = part
        if self._count[part] >= self.MOST:
            self.too_many.set()


@asynccontextmanager
async def _supervised(home: Home, parts: list[Part], say: Say) -> AsyncIterator[None]:
    """Run the parts; stop them at the end of the block, however it ends."""
    deaths = Deaths(say)
    supervisor = Supervisor(parts, run_dir=home.run_dir, on_event=deaths.note)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    try:
        await _ready(supervisor, deaths, home.logs_dir)
        yield
    finally:
        stop.set()
        await running


async def _ready(supervisor: Supervisor, deaths: Deaths, logs: Path) -> None:
    """Wait until all parts answer; a part that keeps dying won't, and says why in its log."""
    ready = asyncio.create_task(supervisor.ready(START_TIMEOUT_S))
    failed = asyncio.create_task(deaths.too_many.wait())
    await asyncio.wait((ready, failed), return_when=asyncio.FIRST_COMPLETED)
    failed.cancel()
    if not ready.done():
        ready.cancel()
        log = logs / f"{deaths.last}.log"
        raise PartAway(
            f"The part {deaths.last} does not start: {last_line(log)}",
            next_step=f"`portraitist doctor` checks each part; the whole log is {log}.",
            code="part_does_not_start",
        )
    ready.result()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def last_line(log: Path) -> str:
    """The last line that a part wrote, for an error text."""
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""
