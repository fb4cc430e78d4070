"""The sweep: rows whose time has come get a job. Polling, retry timer and self-healing are this one thing."""

from dataclasses import dataclass

from portraitist.kit import jobs
from portraitist.kit.clock import Clock
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service as generation
from portraitist.studio.leases import LEASE
from portraitist.studio.training import service as training

AT_ONCE = 500


@dataclass(frozen=True)
class Sweeper:
    """Safe to run in every worker at the same time."""

    db: StudioDatabase
    clock: Clock

    async def sweep(self) -> int:
        """Enqueue a job for each due row; returns how many."""
        now = self.clock.now()
        async with self.db.system() as tx:
            trainings = await training.claim_due(tx, now, now + LEASE, AT_ONCE)
            generations = await generation.claim_due(tx, now, now + LEASE, AT_ONCE)
            await tx.run("reset role")  # the job tables are app's
            for row in trainings:
                await jobs.enqueue(tx.conn, training.JOB, str(row.id), user_id=row.user_id)
            for row in generations:
                await jobs.enqueue(tx.conn, generation.JOB, str(row.id), user_id=row.user_id, priority=1)
        return len(trainings) + len(generations)
