"""What happens by itself: deadlines, lost workers, data whose time is over, erased versions."""

from dataclasses import dataclass
from datetime import timedelta

from portraitist.engine import lifecycle
from portraitist.engine.packages import Packages
from portraitist.engine.store import files, models, runs
from portraitist.kit.database import Database
from portraitist.kit.objects import ObjectStore

BATCH = 100
UNFINISHED_GRACE = timedelta(minutes=1)
"""So long after its training ended otherwise, nobody stores files of a version any more."""


@dataclass(frozen=True)
class Housekeeper:
    """One round of it is `tidy`; every step can be done twice."""

    database: Database
    objects: ObjectStore
    packages: Packages
    retention_s: float

    async def tidy(self) -> None:
        """End what is overdue, remove what has expired. Files go before the rows that name them."""
        async with self.database.transaction() as tx:
            await lifecycle.sweep(tx)
            old = await runs.to_forget(tx, timedelta(seconds=self.retention_s), BATCH)
            expired = await files.expired(tx, BATCH)
            erased = await models.to_erase(tx, UNFINISHED_GRACE)
            cached = await models.missing(tx, self.packages.cached())
        for run_id in old:
            await self._forget(run_id)
        for file in expired:
            await self.objects.delete(file.key)
            async with self.database.transaction() as tx:
                await files.delete(tx, file.id)
        for version_id in cached:
            self.packages.drop_cached(version_id)
        for version_id in erased:
            await self.packages.erase(version_id)
            async with self.database.transaction() as tx:
                await models.erase(tx, version_id)

    async def _forget(self, run_id: str) -> None:
        async with self.database.transaction() as tx:
            outputs = await files.outputs_of(tx, run_id)
        for output in outputs:
            await self.objects.delete(output.key)
        async with self.database.transaction() as tx:
            await files.delete_outputs(tx, run_id)
            await runs.forget(tx, run_id)
