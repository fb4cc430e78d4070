"""Argon2id off the event loop, by a fixed number of threads: so many hashes at once, so much memory, and no more.

An unknown account costs the same time as a known one, since a hash is compared for it all the same.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import Self

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from portraitist.studio.accounts.words import prepared
from portraitist.studio.errors import Unavailable

MEMORY_KIB, TIME_COST, PARALLELISM = 47_104, 2, 1
"""Twice what OWASP's cheat sheet asks for at this memory (46 MiB, one pass); about 60 ms of one core."""
AT_ONCE = 2
MOST_WAITING = 50


class Hasher:
    """Hashes and compares passwords; open it with `async with`."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB) -> None:
        self._hash = PasswordHash((Argon2Hasher(TIME_COST, memory_kib, PARALLELISM),))
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hashed(self, password: str) -> str:
        """What is stored of a password. Raises Unavailable where too many are waiting."""
        with self._place():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._hash.hash, prepared(password))

    async def holds(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether this is the password, and a better hash where the stored one is weaker than today's.

        `stored` is None for an account that is not there: it takes as long, and never holds.
        """
        with self._place():
            loop = asyncio.get_running_loop()
            plain = prepared(password)
            ok, better = await loop.run_in_executor(
                self._threads, lambda: self._hash.verify_and_update(plain, stored or self._nobodys)
            )
        return (ok, better) if stored is not None else (False, None)

    @cached_property
    def _nobodys(self) -> str:
        return self._hash.hash("nobody has this password")

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place in the short queue for the threads."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable("busy", "Too many people sign in at once.", next_step="Try again in a moment.")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
