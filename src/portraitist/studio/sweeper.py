"""The sweep: rows whose time has come get a job, and waiting rows their turn. Polling, retry timer and self-healing
are this one thing. Where many are due at one account, its list is read instead (`training.lookout`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit import failpoints, jobs
from portraitist.kit.clock import Clock
from portraitist.kit.limits import Bucket, SharedLimits
from portraitist.kit.logging import logger
from portraitist.studio.db import DueRow, StudioDatabase, SystemTx
from portraitist.studio.generation import service as generation
from portraitist.studio.generation.twins import GenerationTwins
from portraitist.studio.leases import leased_from
from portraitist.studio.provider.port import Provider, ProviderError
from portraitist.studio.training import looking, weights
from portraitist.studio.training import service as training
from portraitist.studio.training.admission import Room
from portraitist.studio.training.lookout import JOB as LOOKS
from portraitist.studio.training.lookout import Lookout
from portraitist.studio.training.twins import TrainingTwins

log = logger(__name__)
AT_ONCE = 500
TWINS_OF_TRAININGS = timedelta(hours=24)
TWINS_OF_PREDICTIONS = timedelta(hours=1)  # then the provider removes the input by which they are told
PRIORITIES = {weights.JOB: -1, training.JOB: 0, generation.JOB: 1}


@dataclass(frozen=True)
class Sweeper:
    """Safe to run in every worker at the same time. `rooms` has the room at one account by kind of job."""

    db: StudioDatabase
    clock: Clock
    providers: Mapping[str, Provider]
    rooms: Mapping[str, Room]
    lookout: Lookout

    async def sweep(self) -> int:
        """Enqueue a job for each due row, after the turns of those that wait; returns how many."""
        now = self.clock.now()
        async with self.db.system(once=True) as tx:
            found = await looking.agenda(tx, now)
        admitted = [await self.admit(kind) for kind in self.rooms if kind in found.waiting]
        return sum(admitted) + (await self._hand_out() if found.due else 0)

    async def _hand_out(self) -> int:
        """A job for each row whose time has come, or one for many of them; returns how many rows."""
        now = self.clock.now()
        async with self.db.system() as tx:
            lists = await self.lookout.claim(tx, now)
            trainings = await training.claim_due(tx, now, leased_from(now), AT_ONCE)
            generations = await generation.claim_due(tx, now, leased_from(now), AT_ONCE)
            copies = await weights.claim_due(tx, now, AT_ONCE)
            for kind, rows in (
                (training.JOB, trainings),
                (generation.JOB, generations),
                (weights.JOB, copies),
            ):
                await self._enqueue(tx, kind, rows)
            await jobs.enqueue_all(tx.conn, LOOKS, [(each, "") for each in lists], priority=2)
        return len(trainings) + len(generations) + len(copies)

    async def admit(self, kind: str) -> int:
        """Let waiting rows of this kind start, fairly, where their account has room; returns how many."""
        admit = training.admit if kind == training.JOB else generation.admit
        admitted = 0
        for account_id in self.providers:
            now = self.clock.now()
            async with self.db.system() as tx:
                rows = await admit(tx, account_id, self.rooms[kind], now, leased_from(now))
                await self._enqueue(tx, kind, rows)
                if rows:
                    failpoints.hit("admission.admitted")
            if rows:
                failpoints.hit("admission.committed")
            admitted += len(rows)
        return admitted

    async def turn(self, kind: str, _user_id: str) -> None:
        """The job that a new or an ended row leaves behind: see whose turn it is."""
        await self.admit(kind)

    async def _enqueue(self, tx: SystemTx, kind: str, rows: Sequence[DueRow]) -> None:
        jobs_of = [(str(row.id), row.user_id) for row in rows]
        await jobs.enqueue_all(tx.conn, kind, jobs_of, priority=PRIORITIES[kind])


@dataclass(frozen=True)
class TwinSweep:
    """Looks for runs that were started twice, for as long as they can turn up, and ends the second ones."""

    trainings: TrainingTwins
    generations: GenerationTwins
    clock: Clock
    providers: Mapping[str, Provider]
    limits: SharedLimits
    every: timedelta

    async def turn(self) -> int:
        """One look at each account whose turn it is: one worker of the fleet takes it."""
        per_minute = timedelta(minutes=1) / self.every
        ended = 0
        for account_id in self.providers:
            if await self.limits.take(Bucket(f"twins {account_id}", per_minute)) == 0:
                ended += await self.end(account_id)
        return ended

    async def end(self, account_id: str) -> int:
        """End the second runs at this account; returns how many. A provider that is away is asked again later."""
        provider, now = self.providers[account_id], self.clock.now()
        try:
            trainings = await provider.list_trainings(now - TWINS_OF_TRAININGS)
            predictions = await provider.list_predictions(now - TWINS_OF_PREDICTIONS)
        except ProviderError as exc:
            log.warning("twins.not_listed", account=account_id, reason=str(exc))
            return 0
        return await self.trainings.end(trainings, predictions, provider) + await self.generations.end(
            predictions, provider
        )
