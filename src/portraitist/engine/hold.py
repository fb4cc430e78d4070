"""A claimed run while a worker has it: the lease kept up, the logs written in flushes, the end recorded.

Survives a database that goes away and comes back; notices within a moment that the run was canceled.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from portraitist.engine import lifecycle
from portraitist.engine.domain import Run
from portraitist.engine.store import Tx, runs
from portraitist.engine.store.runs import Outcome
from portraitist.kit.database import Database, DatabaseUnavailable

FLUSH_S = 0.5
"""At most one logs event per 500 ms, as the cloud throttles them."""
RETRY_S = 1.0
T = TypeVar("T")


async def patiently(database: Database, action: Callable[[Tx], Awaitable[T]]) -> T:
    """Do something in a transaction; a database that is away is waited for, not failed on."""
    while True:
        try:
            async with database.transaction() as tx:
                return await action(tx)
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY_S)


class Hold:
    """One attempt of one run."""

    def __init__(self, database: Database, run: Run, claim: str, lease_s: float) -> None:
        self.run = run
        self.lost = asyncio.Event()
        """Set when the run is no longer ours: canceled, timed out or taken over."""
        self._database = database
        self._claim = claim
        self._lease_s = lease_s
        self._lines: list[str] = list(run.notes) if run.attempts == 1 else []
        self._bar: str | None = None
        self._look = asyncio.Event()
        self._writing = asyncio.Lock()
        """Log lines are written in order, and all of them before the end."""

    def log(self, text: str) -> None:
        """Add lines to the logs; a bar that was not written yet goes before them."""
        self._settle_bar()
        self._lines.append(text)

    def bar(self, text: str) -> None:
        """A line that replaces the bar before it, unless that one was written already."""
        self._bar = text

    def look(self) -> None:
        """Somebody says that the run has changed: check now whether it is still ours."""
        self._look.set()

    def _settle_bar(self) -> None:
        if self._bar is not None:
            self._lines.append(self._bar)
            self._bar = None

    def _take_lines(self) -> str:
        self._settle_bar()
        text = "".join(line + "\n" for line in self._lines)
        self._lines.clear()
        return text

    async def keep(self) -> None:
        """Renew the lease three times within its length, and whenever told to look."""
        lease = timedelta(seconds=self._lease_s)
        while not self.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / 3):
                    await self._look.wait()
            self._look.clear()
            with contextlib.suppress(DatabaseUnavailable):
                async with self._database.transaction() as tx:
                    if not await runs.renew(tx, self.run.id, self._claim, lease):
                        self.lost.set()

    async def flush(self) -> None:
        """Write new log lines, at most one write per `FLUSH_S`. What could not be written comes with the next."""
        while not self.lost.is_set():
            await asyncio.sleep(FLUSH_S)
            async with self._writing:
                await self._write(self._take_lines())

    async def _write(self, text: str) -> None:
        if not text:
            return
        try:
            async with self._database.transaction() as tx:
                if not await lifecycle.log(tx, self.run.id, self._claim, text):
                    self.lost.set()
        except DatabaseUnavailable:
            self._lines.insert(0, text.removesuffix("\n"))

    async def finish(self, outcome: Outcome, also: Callable[[Tx], Awaitable[None]] | None = None) -> bool:
        """End the run, with `also` in the same transaction; waits for a database that is away.

        `False` if the run is not ours any more: lost before, or ended by an earlier try whose answer was lost.
        So nothing may be undone on `False`; what belongs to no success is the housekeeper's to remove.
        """
        async with self._writing:
            ended = replace(outcome, logs=self._take_lines())

            async def record(tx: Tx) -> bool:
                ours = await lifecycle.finish(tx, self.run.id, self._claim, ended)
                if ours and also is not None:
                    await also(tx)
                return ours

            return await patiently(self._database, record)

    async def give_back(self) -> None:
        """The worker stops: the next one may start this run at once."""
        with contextlib.suppress(DatabaseUnavailable):
            async with self._database.transaction() as tx:
                await runs.release(tx, self.run.id, self._claim)


@asynccontextmanager
async def kept(hold: Hold) -> AsyncIterator[Hold]:
    """The hold with its lease and logs looked after, until the block is left."""
    tasks = [asyncio.create_task(hold.keep()), asyncio.create_task(hold.flush())]
    try:
        yield hold
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
