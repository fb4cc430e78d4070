"""The judge: opens members' photos in a small pool of sandboxes, and survives whatever happens in there.

Its own process never decodes a picture. What a decoded photo is worth is `domain.judge`'s to say.
"""

import asyncio
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from portraitist.studio.selfies.domain import Code, Decoded, Limits, Rejected, refusal
from portraitist.studio.selfies.frames import (
    LENGTH,
    MAX_ANSWER,
    READY,
    AnswerError,
    frame,
    pack_limits,
    parse_answer,
)

SANDBOXES = 2
"""Processes at a time: enough for an upload of twenty, few enough for a machine that trains besides."""
PHOTOS_PER_SANDBOX = 50
"""Then a new one takes over, so that a decoder's leak stays small."""
START_SECONDS = 30.0
"""For Python and its decoders to load; under a second unless the machine is very busy."""


class SandboxUnavailableError(RuntimeError):
    """No sandbox could be started: the installation's or the machine's fault, never the photo's."""


class SandboxDiedError(Exception):
    """The sandbox ended, hung or talked nonsense while it had a photo."""


class Judge:
    """Decodes photos out of process. One for each event loop; close it, or use it as a context."""

    def __init__(self, *, sandboxes: int = SANDBOXES, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._turns = asyncio.Semaphore(sandboxes)
        self._idle: list[_Sandbox] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def decode(self, data: bytes) -> Decoded | Rejected:
        """The photo as it is kept, or why it cannot be opened. Raises `SandboxUnavailableError` alone."""
        if not data:
            return refusal(Code.NOT_A_PICTURE)
        if len(data) > self._limits.max_bytes:
            return refusal(Code.TOO_LARGE)
        async with self._turns:
            return await self._decode_in(await self._sandbox(), data)

    async def close(self) -> None:
        """End the idle sandboxes; those at work end with their photo."""
        self._closed = True
        while self._idle:
            await self._idle.pop().kill()

    async def _sandbox(self) -> "_Sandbox":
        while self._idle:
            sandbox = self._idle.pop()
            if sandbox.fit:
                return sandbox
            await sandbox.kill()
        return await _Sandbox.start(self._limits)

    async def _decode_in(self, sandbox: "_Sandbox", data: bytes) -> Decoded | Rejected:
        answer: Decoded | Code = Code.UNREADABLE
        try:
            answer = await sandbox.ask(data)
        except SandboxDiedError:
            pass  # one photo refused; the next gets another sandbox
        finally:
            # Whatever a refused photo did to its decoder, no other photo shall meet it.
            if isinstance(answer, Decoded) and not self._closed:
                self._idle.append(sandbox)
            else:
                await sandbox.kill()
        return answer if isinstance(answer, Decoded) else refusal(answer)


class _Sandbox:
    """One child process, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        assert process.stdin and process.stdout
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._limits = limits
        self._photos = 0

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """A sandbox that is ready for its first photo."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "portraitist.studio.selfies.sandbox", pack_limits(limits)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
            )
        except OSError as exc:
            raise SandboxUnavailableError(f"no process for opening photos can be started: {exc}") from exc
        sandbox = cls(process, limits)
        try:
            async with asyncio.timeout(START_SECONDS):
                if await sandbox._receive() != READY:
                    raise SandboxDiedError
        except (TimeoutError, SandboxDiedError) as exc:
            await sandbox.kill()
            raise SandboxUnavailableError(
                f"the process for opening photos does not start (exit status {process.returncode})"
            ) from exc
        except BaseException:
            await sandbox.kill()
            raise
        return sandbox

    @property
    def fit(self) -> bool:
        """Whether it lives and may open another photo."""
        return self._process.returncode is None and self._photos < PHOTOS_PER_SANDBOX

    async def ask(self, data: bytes) -> Decoded | Code:
        """What the sandbox makes of the photo; raises `SandboxDiedError`."""
        self._photos += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                self._stdin.write(frame(data))
                await self._stdin.drain()
                return parse_answer(await self._receive())
        except (TimeoutError, OSError, AnswerError) as exc:
            raise SandboxDiedError from exc

    async def kill(self) -> None:
        """End the process and wait for its end, even when the caller is being cancelled."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._stdin.close()
        await asyncio.shield(self._process.wait())

    async def _receive(self) -> bytes:
        try:
            (length,) = LENGTH.unpack(await self._stdout.readexactly(LENGTH.size))
            if length > MAX_ANSWER:
                raise SandboxDiedError
            return await self._stdout.readexactly(length)
        except asyncio.IncompleteReadError as exc:
            raise SandboxDiedError from exc
