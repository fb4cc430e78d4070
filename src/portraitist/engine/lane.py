"""One lane of work: claim a run, do it under a hold, record how it ended; one run at a time.

What is done is handed in (`training`, `prediction`); here is what both have in common.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from portraitist.engine import ids, lifecycle
from portraitist.engine.domain import MAX_ATTEMPTS, Kind, Run
from portraitist.engine.errors import RunFailed
from portraitist.engine.hold import Hold, kept
from portraitist.engine.store.runs import Outcome
from portraitist.kit.database import Database
from portraitist.kit.errors import KitError
from portraitist.kit.logging import logger

Work = Callable[[Hold], Awaitable[None]]
"""Does a run and finishes its hold; raises `RunFailed` for a failure that the caller should read."""

log = logger("engine.lane")


class Lane:
    """Runs of one kind, one after the other."""

    def __init__(self, kind: Kind, database: Database, lease_s: float, work: Work) -> None:
        self._kind: Kind = kind
        self._database = database
        self._lease_s = lease_s
        self._work = work
        self.hold: Hold | None = None
        """The run that is being worked on."""

    async def next(self) -> bool:
        """Do one run, if one waits."""
        claim = ids.claim_id()
        async with self._database.transaction() as tx:
            run = await lifecycle.claim(tx, self._kind, claim, timedelta(seconds=self._lease_s))
        if run is None:
            return False
        self.hold = Hold(self._database, run, claim, self._lease_s)
        try:
            await self._do(self.hold)
        except asyncio.CancelledError:
            await asyncio.shield(self.hold.give_back())
            raise
        finally:
            self.hold = None
        return True

    async def _do(self, hold: Hold) -> None:
        _greet(hold, hold.run)
        async with kept(hold):
            work = asyncio.ensure_future(self._guarded(hold))
            lost = asyncio.create_task(hold.lost.wait())
            try:
                await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                lost.cancel()
                if not work.done():
                    work.cancel()
                await asyncio.gather(work, lost, return_exceptions=True)

    async def _guarded(self, hold: Hold) -> None:
        """The rim: whatever goes wrong ends the run with a text, and the worker goes on."""
        try:
            await self._work(hold)
        except RunFailed as error:
            await hold.finish(Outcome("failed", error=str(error)))
        except KitError as error:
            log.warning("run_broken", run=hold.run.id, reason=str(error))
            await hold.finish(Outcome("failed", error=f"{lifecycle.INTERRUPTED}: {error}"))
        except Exception:
            log.exception("run_broken", run=hold.run.id)
            await hold.finish(Outcome("failed", error=lifecycle.BROKEN))


def _greet(hold: Hold, run: Run) -> None:
    if run.attempts > 1:
        hold.log(f"The worker of this run was lost: started again (attempt {run.attempts} of {MAX_ATTEMPTS})")
