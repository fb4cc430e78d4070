"""Keeps a few processes of this machine running: starts them in order, restarts the dead, stops them all.

It gets command lines and knows nothing of what they do. How a child is tied to its supervisor is in `leash`.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from portraitist.kit import leash
from portraitist.kit.errors import KitError
from portraitist.kit.http import ForbiddenAddress, GuardedClient, HttpError, ResponseTooLarge
from portraitist.kit.processes import birth

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0  # before a dead part is started again
STEADY_S = 10.0  # a part that ran so long starts again at once
STOP_GRACE_S = 10.0
PROBE_EVERY_S, PROBE_TIMEOUT_S = 0.1, 2.0
LARGEST_LOG = 10 * 2**20  # bytes; a larger one is put aside when the part starts


class NotReady(KitError):
    """A part did not become ready in time."""


class Stop(Protocol):
    """An event of asyncio or anyio."""

    def wait(self) -> Awaitable[object]:
        """Returns when it is time to stop."""
        ...


@dataclass(frozen=True)
class Part:
    """One process: `env` is added to this process's environment; ready when `ready_url` answers 200."""

    name: str
    argv: list[str]
    env: dict[str, str]
    ready_url: str | None
    log: Path


@dataclass
class _Running:
    """A part and the process that runs it now, if one does."""

    part: Part
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None


class Supervisor:
    """Runs some parts; one supervisor at a time per `run_dir` (the caller holds a lock)."""

    def __init__(self, parts: list[Part], *, run_dir: Path, on_event: Callable[[str, str], None]) -> None:
        """`on_event(part's name, what happened)` is called for the operator's eyes."""
        self._running = [_Running(part) for part in parts]
        self._run_dir = run_dir
        self._on_event = on_event

    async def run(self, stop: Stop) -> None:
        """Start the parts in order, each when the one before it is ready, and keep them until `stop`."""
        for running in self._running:
            await self._end_stray(running.part)
        keepers: list[asyncio.Task[None]] = []
        stopping = asyncio.ensure_future(stop.wait())
        try:
            for running in self._running:
                keepers.append(asyncio.create_task(self._keep(running), name=running.part.name))
                ready = asyncio.create_task(running.ready.wait())
                await self._first(ready, stopping, *keepers)
                ready.cancel()
            await self._first(stopping, *keepers)
        finally:
            stopping.cancel()
            for task in keepers:
                task.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop_all()

    async def ready(self, timeout_s: float) -> None:
        """Wait until every part is ready. Raises NotReady, with the part's last words, after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                for running in self._running:
                    await running.ready.wait()
        except TimeoutError as exc:
            part = running.part
            raise NotReady(
                f"{part.name} was not ready within {timeout_s:.0f} s: {_last_words(part.log)} (log: {part.log})"
            ) from exc

    async def _first(
        self, *awaited: "asyncio.Future[object] | asyncio.Task[None] | asyncio.Task[bool]"
    ) -> None:
        done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a keeper ends only by an error of our own

    async def _keep(self, running: _Running) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE_S
        while True:
            began = clock()
            status = await self._run_once(running)
            if clock() - began > STEADY_S:
                pause = FIRST_PAUSE_S
            self._on_event(running.part.name, f"ended ({_ending(status)}), starts again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self, running: _Running) -> int:
        """From start to end of one process; returns its exit status."""
        part = running.part
        running.process = process = await _start(part)
        self._pid_file(part).write_text(f"{process.pid} {birth(process.pid)}")
        self._on_event(part.name, f"started, process {process.pid}")
        probing = asyncio.create_task(self._probe(running))
        try:
            return await process.wait()
        finally:
            probing.cancel()
            if process.returncode is not None:
                _signal_group(process.pid, signal.SIGKILL)  # what it left behind
                self._pid_file(part).unlink(missing_ok=True)

    async def _probe(self, running: _Running) -> None:
        url = running.part.ready_url
        client = GuardedClient(allowed=[url] if url else [], timeout_s=PROBE_TIMEOUT_S)
        try:
            while url and not await _answers(client, url):  # noqa: ASYNC110  # another process's event
                await asyncio.sleep(PROBE_EVERY_S)
        finally:
            await client.close()
        if not running.ready.is_set():
            running.ready.set()
            self._on_event(running.part.name, "ready")

    async def _stop_all(self) -> None:
        """Ask all to end, the last started first; force those that don't."""
        alive = [
            (running.part, running.process)
            for running in reversed(self._running)
            if running.process and running.process.returncode is None
        ]
        for _, process in alive:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                for _, process in alive:
                    await process.wait()
        for part, process in alive:
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()
            self._pid_file(part).unlink(missing_ok=True)
            self._on_event(part.name, "stopped")

    async def _end_stray(self, part: Part) -> None:
        """End what an earlier supervisor left of this part, if it was killed and could not."""
        try:
            pid_text, born = self._pid_file(part).read_text().split(" ", 1)
        except (FileNotFoundError, ValueError):
            return
        pid = int(pid_text)
        if born and birth(pid) == born:
            self._on_event(part.name, f"ends process {pid} of an earlier run")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            for _ in range(int(STOP_GRACE_S / PROBE_EVERY_S)):
                if birth(pid) != born:
                    break
                await asyncio.sleep(PROBE_EVERY_S)
            _signal_group(pid, signal.SIGKILL)
        self._pid_file(part).unlink(missing_ok=True)

    def _pid_file(self, part: Part) -> Path:
        return self._run_dir / f"{part.name}.pid"


async def _start(part: Part) -> asyncio.subprocess.Process:
    """Start a part in a process group of its own, tied to this process."""
    with _open_log(part.log) as log:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", leash.__file__, str(os.getpid()), *part.argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **part.env},
            start_new_session=True,
        )


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


async def _answers(client: GuardedClient, url: str) -> bool:
    with contextlib.suppress(HttpError, ResponseTooLarge, ForbiddenAddress):
        return (await client.request("GET", url)).status == 200
    return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a part's process group; nobody left in it is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: not permitted means zombies only
        os.killpg(pid, number)


def _ending(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError), log.open(errors="replace") as lines:
        for line in reversed(deque(lines, maxlen=20)):
            if line.strip():
                return line.strip()
    return "it said nothing"
