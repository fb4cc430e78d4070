"""The worker's side of a child process: start it, send commands, read events, end it.

A child gets no setting of the engine and no secret of its environment.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

Module = Literal["train", "predict", "probe"]
PROGRAMS: dict[Module, str] = {
    "train": "portraitist.engine.children.train",
    "predict": "portraitist.engine.children.predict",
    "probe": "portraitist.engine.children.probe",
}
LINE_LIMIT = 8 * 2**20
PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHON"),
    *("OMP_", "MKL_", "TORCH_", "CUDA_", "NVIDIA_"),
)
"""Beginnings of the environment variables that a child gets: it handles what strangers send."""
_ENDING_S = 5
"""How long a child that says no more may take to end by itself."""
_SAID = 4_000
"""Characters of a child's standard error that are kept for the engine's log."""


def environment() -> dict[str, str]:
    """Little of ours and no secret; no library of the child's may look for anything on the network."""
    known = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
    return {
        **known,
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
    }


class Child:
    """A running child. Its events are read by one reader at a time."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self._process = process
        self._said = said

    @classmethod
    async def start(cls, module: Module, said: Path) -> Self:
        """Start one of the programs; what it prints goes to the file `said`."""
        with said.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                PROGRAMS[module],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
                env=environment(),
                limit=LINE_LIMIT,
            )
        return cls(process, said)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def send(self, command: str, **values: Any) -> None:
        """Send a command; one to a child that has just died is lost, and its end is seen in `events`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **values}).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, until the child ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            yield json.loads(line)

    async def end(self) -> int:
        """Kill it if it still runs; returns its exit status (negative: the signal)."""
        if self.running:
            self._process.kill()
        return await self._process.wait()

    async def how_it_died(self) -> str:
        """The end of a child that broke off, in the cloud's words for such cases."""
        # Killing what has just ended by itself can take its exit status away from the one who waits for it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                await self._process.wait()
        status = await self.end()
        if status == -signal.SIGKILL:
            return (
                "Director: unexpected error handling prediction (E1001): killed, probably for lack of memory"
            )
        return (
            f"Director: unexpected error handling prediction (E1000): the process ended with status {status}"
        )

    async def said(self) -> str:
        """The end of what it printed, for the engine's log."""
        text = await asyncio.to_thread(self._said.read_text, "utf-8", "replace")
        return text[-_SAID:]
