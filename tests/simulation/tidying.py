"""What workers tidy up by the clock: zips of photos that came too late, pictures whose time for undo is over.

In the product a sweep each minute; here one runs when there is something to find.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portraitist.kit.errors import KitError
from portraitist.studio.images.tasks import Purge
from portraitist.studio.training.late_zips import LATEST, LateZips
from portraitist.studio.training.weights import LateParts
from tests.simulation.scheduler import Scheduler
from tests.simulation.store import Tables

UNDO_FOR = timedelta(hours=2)
"""In place of the product's week; longer than any picture is waited for."""
Sweep = Callable[[], Awaitable[object]]


def sweeps(db: Any, objects: Any, clock: Any) -> Sequence[Sweep]:
    """One worker's part."""
    parts = (db, objects, clock)
    return LateZips(*parts).sweep, LateParts(*parts).sweep, Purge(*parts).sweep


@dataclass
class Tidying:
    """The fleet's: one worker of those that live does it."""

    scheduler: Scheduler
    rng: random.Random
    tables: Callable[[], Tables]
    alive: Mapping[str, Any]
    next_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to tidy up."""
        return next(self._due(), None) is None

    def plan(self) -> None:
        """Have it done when the first thing is due; what was planned for later is needless then."""
        due = min(self._due(), default=None)
        if due is None or not self.alive or (self.next_at is not None and self.next_at <= due):
            return
        self.next_at = due
        process = self.rng.choice(sorted(self.alive))
        wait = max(0.0, (due - self.scheduler.clock.now()).total_seconds()) + self.rng.uniform(0.01, 60)
        self.scheduler.spawn(self._turn(process, due), process, "tidying", after=wait)

    def died(self) -> None:
        """A worker has gone; it may have been the one."""
        self.next_at = None
        self.plan()

    async def _turn(self, process: str, ticket: datetime) -> None:
        if self.next_at != ticket:
            return
        for sweep in self.alive[process].tidy:
            try:
                await sweep()
            except KitError:
                continue  # as the job engine does: the next one may work
        self.next_at = None
        self.plan()

    def _due(self) -> Iterator[datetime]:
        tables = self.tables()
        for row in tables.trainings.values():
            over = row.succeeded_at or row.finished_at
            if over is not None and row.id not in tables.cleared:
                yield over + LATEST
        for copy in tables.archives.values():
            if copy.status != "wanted" and copy.training_id not in tables.parts_cleared:
                yield copy.next_check_at + LATEST
        for image in tables.images.values():
            if image.deleted_at is not None:
                yield image.deleted_at + UNDO_FOR
