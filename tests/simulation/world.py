"""One schedule from its plan to its evidence: members, two worker processes, a provider, and what befalls them."""

import contextlib
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from portraitist.kit.errors import KitError
from portraitist.studio import bootstrap
from portraitist.studio.accounts.domain import Member
from portraitist.studio.config import StudioSettings
from portraitist.studio.generation.domain import ENDED as GENERATION_ENDED
from portraitist.studio.http import Core
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Pauses
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.sweeper import TwinSweep
from portraitist.studio.training.domain import ENDED, PARKED, Status
from tests.fakes.simulated_cloud import Run, SimulatedCloud
from tests.simulation.evidence import Evidence
from tests.simulation.installing import CHANCE
from tests.simulation.members import Life
from tests.simulation.plans import Plan
from tests.simulation.remote import MemoryObjects, SimulatedHttp
from tests.simulation.rows import LONG_AGO, PAID_FOR, waits_its_turn
from tests.simulation.scheduler import Killed, Scheduler, VirtualClock
from tests.simulation.store import Job, MemoryStore, Tables

CLOUD = "http://cloud.invalid"
WORKERS = ("worker-0", "worker-1")
LONGEST = timedelta(days=4)
MOST_STEPS = 30_000
RESCUED_AFTER_S = 12.0
TWINS_EVERY_S = 300.0
SWEEP_EVERY_S = 10.0
LATEST_TWIN = timedelta(seconds=60)
ADMISSION_HEALS_AFTER = timedelta(seconds=10)
ENOUGH_RETRIES = 5
Handler = Callable[[str, str], Awaitable[None]]


@cache
def settings() -> StudioSettings:
    """Looks every 30 seconds, lists that may lag a minute; whatever the environment says."""
    return StudioSettings(
        portraitist_home=Path("/nowhere"),
        database_url="postgresql://simulated",
        replicate_base_url=CLOUD,
        replicate_api_token="r8_token",
        replicate_username="studio",
        instance_token="instance",
        secret_key="secret",
        poll_seconds=30,
        list_lag_seconds=60,
        keep_weights=False,  # a job of its own, on rows of its own
    )


@dataclass
class Process:
    """A worker that lives: its handlers, its sweep, and the jobs it holds."""

    handlers: Mapping[str, Handler]
    sweep: Callable[[], Awaitable[object]]
    jobs: list[Job] = field(default_factory=list)


@dataclass
class World:
    """Everything of one schedule."""

    plan: Plan
    clock: VirtualClock = field(default_factory=VirtualClock)
    at_once: Counter[str] = field(default_factory=Counter)
    cleared: list[str] = field(default_factory=list)
    alive: dict[str, Process] = field(default_factory=dict)
    backlog: list[Job] = field(default_factory=list)
    waiting: set[tuple[str, str]] = field(default_factory=set)
    hits: Counter[str] = field(default_factory=Counter)
    next_fault: str | None = None
    next_sweep: datetime | None = None
    dirty: bool = True
    twins_seen: datetime = LONG_AGO
    """When the last complete look for double starts began."""

    def __post_init__(self) -> None:
        seed, self.rng, self.began = self.plan.seed, random.Random(self.plan.seed), self.clock.now()
        self.scheduler = Scheduler(self.rng, self.clock, self._died, self.plan.deaths_at_steps)
        self.cloud = SimulatedCloud(
            self.clock.now, random.Random(seed + 1), self.plan.behaviour, base_url=CLOUD
        )
        self.http = SimulatedHttp(self.scheduler, self.cloud, self._request_fault)
        self.objects = MemoryObjects(self.scheduler, lambda: self._one_of(self.plan.storage_faulty))
        self.store = MemoryStore(
            self.scheduler, self._jobs_came, self._committed, lambda: self._one_of(self.plan.database_faulty)
        )
        self.lives = [self._member(number) for number in range(len(self.plan.members))]
        CHANCE.rng, CHANCE.hit = random.Random(seed + 2), self._hit
        CHANCE.time = lambda: self.clock.now().timestamp()

    def run(self) -> Evidence:
        """Until everything is at rest, or too long; then the evidence."""
        for process in WORKERS:
            self._begin(process)
        for life, actions in zip(self.lives, self.plan.members, strict=True):
            life.begin(actions)
        if self.plan.outage:
            begin, end = self.plan.outage
            self.scheduler.spawn(self._outage(end - begin), "fate", "outage", after=begin)
        end_of_time = self.began + LONGEST
        at_rest = self.scheduler.run(self._is_at_rest, end=end_of_time, most_steps=MOST_STEPS)
        self.scheduler.on_death = lambda process: None
        for process in (*WORKERS, "members", "fate", "network"):
            self.scheduler.kill(process)
        return self._evidence(at_rest)

    def _evidence(self, at_rest: bool) -> Evidence:
        tables = self.store.tables
        return Evidence(
            trainings=list(tables.trainings.values()),
            versions=list(tables.versions.values()),
            active={member: model.active for member, model in tables.user_models.items()},
            generations=list(tables.generations.values()),
            images=list(tables.images.values()),
            objects=self.objects.files,
            runs=list(self.cloud.runs.values()),
            twins={row: [twin["provider_id"] for twin in twins] for row, twins in tables.twins.items()},
            at_once=self.at_once,
            cleared=self.cleared,
            at_rest=at_rest,
            failures=self.scheduler.failures,
        )

    def _member(self, number: int) -> Life:
        user_id, tables = f"member{number:06d}", self.store.tables
        tables.members[user_id] = Member(user_id, f"name:{number}", "person", self.began)
        for photo in range(10):
            digest = hashlib.sha256(f"{user_id} {photo}".encode()).digest()
            row_id, key = UUID(bytes=digest[:16], version=4), f"members/{user_id}/selfies/{photo}.jpg"
            row = (user_id, row_id, row_id, f"{photo}.jpg", digest, "accepted", None, None, key, digest)
            tables.selfies[row_id] = Selfie(*row, 512, 512, 0, self.began)
            self.objects.files[key] = digest
        rng = random.Random(self.plan.seed + 3 + number)
        return Life(user_id, self.store, self.scheduler, self.clock, rng)

    # worker processes

    def _begin(self, process: str) -> None:
        provider = ReplicateProvider(
            self.http,  # type: ignore[arg-type]
            base_url=CLOUD,
            token=self.cloud.token,
            pauses=Pauses(self.rng.random, self._sleep, lambda: self.clock.now().timestamp()),
        )
        core = Core(settings(), self.clock, self.store, self.objects)  # type: ignore[arg-type]
        parts = bootstrap._worker_parts(settings(), core, {settings().account_id: provider})
        handlers: dict[str, Handler] = {
            "training": parts.training.advance,
            "generation": parts.generation.advance,
            "admission": parts.sweeper.turn,
        }
        self.alive[process] = Process(handlers, parts.sweeper.sweep)
        self.scheduler.spawn(self._end_twins(parts.twins), process, "twins", after=TWINS_EVERY_S)
        self._sweep_at(self.clock.now())
        backlog, self.backlog = self.backlog, []
        self._jobs_came(backlog)

    async def _sleep(self, seconds: float) -> None:
        await self.scheduler.pause("waiting to try again", seconds)

    def _jobs_came(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job[:2] in self.waiting:
                continue
            if not self.alive:
                self.backlog.append(job)
                continue
            self.waiting.add(job[:2])
            process = self.rng.choice(sorted(self.alive))
            self.alive[process].jobs.append(job)
            name = f"{job[0]} {job[1][:8]}"
            after = self.rng.choice((0.001, 0.05))
            self.scheduler.spawn(self._work(self.alive[process], job), process, name, after)

    async def _work(self, process: Process, job: Job) -> None:
        self.waiting.discard(job[:2])
        kind, row_id, user_id = job
        with contextlib.suppress(KitError):  # as the job engine does: dropped, the sweep finds the row again
            await process.handlers[kind](row_id, user_id)
        process.jobs.remove(job)

    def _sweep_at(self, when: datetime) -> None:
        if not self.alive or (self.next_sweep is not None and self.next_sweep <= when):
            return
        self.next_sweep = when
        process = self.rng.choice(sorted(self.alive))
        wait = max(0.0, (when - self.clock.now()).total_seconds()) + self.rng.uniform(0.01, SWEEP_EVERY_S)
        self.scheduler.spawn(self._sweep(self.alive[process], when), process, "sweep", after=wait)

    async def _sweep(self, process: Process, ticket: datetime) -> None:
        """Only sweeps that have something to find are run; an earlier one has made this one needless."""
        if self.next_sweep != ticket:
            return
        self.next_sweep = None
        try:
            await process.sweep()
        except KitError:
            self._sweep_at(self.clock.now() + timedelta(seconds=1))

    async def _end_twins(self, twins: TwinSweep) -> None:
        while True:
            began = self.clock.now()
            try:
                if began >= self.twins_seen + timedelta(
                    seconds=TWINS_EVERY_S
                ):  # one look for the whole fleet
                    await twins.end(settings().account_id)
                    self.twins_seen, self.dirty = began, True
            except KitError:
                pass  # as the job engine does: the next look may work
            await self.scheduler.pause("until the next look for twins", TWINS_EVERY_S)

    def _committed(self, tables: Tables) -> None:
        self.dirty = True
        paid_for = Counter(row.user_id for row in tables.trainings.values() if row.status in PAID_FOR)
        self.at_once |= paid_for
        for member, model in tables.user_models.items():
            if model.active is None and member not in self.cleared:
                self.cleared.append(member)
        rows: list[Any] = [row for row in tables.trainings.values() if row.status not in ENDED]
        rows += [row for row in tables.generations.values() if row.status not in GENERATION_ENDED]
        due = [self._due_at(row, tables.leases.get(row.id) or LONG_AGO) for row in rows]
        if due:
            self._sweep_at(max(min(due), self.clock.now()))

    def _due_at(self, row: Any, leased_until: datetime) -> datetime:
        if waits_its_turn(row):
            return self.clock.now() + ADMISSION_HEALS_AFTER
        at: datetime = max(row.next_check_at, leased_until)
        return at

    def _died(self, process: str) -> None:
        dead = self.alive.pop(process, None)
        for job in dead.jobs if dead else []:
            self.waiting.discard(job[:2])
            if self.rng.random() < 0.5:  # else not even the rescue finds it
                self.scheduler.spawn(self._rescue(job), "fate", "rescue", after=RESCUED_AFTER_S)
        self.next_sweep = None
        self._sweep_at(self.clock.now() + timedelta(seconds=1))
        self.scheduler.spawn(self._restart(process), "fate", "restart", after=self.plan.down_s)

    async def _rescue(self, job: Job) -> None:
        self._jobs_came([job])

    async def _restart(self, process: str) -> None:
        passed, outage = (self.clock.now() - self.began).total_seconds(), self.plan.outage
        in_outage = outage is not None and outage[0] <= passed < outage[1]
        if process not in self.alive and not in_outage:
            self._begin(process)

    async def _outage(self, seconds: float) -> None:
        for process in sorted(self.alive):
            self.scheduler.kill(process)
        await self.scheduler.pause("outage", seconds)
        for process in WORKERS:
            if process not in self.alive:
                self._begin(process)

    # what goes wrong

    def _hit(self, label: str) -> None:
        self.hits[label] += 1
        if self.plan.deaths.get(label) == self.hits[label]:
            raise Killed
        what = self.plan.at_label.get(label)
        if what is None or self.hits[label] != 1:
            return
        if what in ("cancel", "delete"):
            for life in self.lives:
                life.now(f"{what} all")
        else:
            self.next_fault = what

    def _faults_are_over(self) -> bool:
        return (self.clock.now() - self.began).total_seconds() > self.plan.faults_last_s

    def _request_fault(self, method: str, path: str) -> str | None:
        if self.next_fault is not None:
            fault, self.next_fault = self.next_fault, None
            return fault
        if not self.plan.faulty or self._faults_are_over() or self.rng.random() >= self.plan.faulty:
            return None
        fault = self.rng.choice(self.plan.kinds)
        if fault in ("401", "402") and path.startswith("/outputs/") and not self.plan.refuses_downloads:
            return "500"  # an open finding, see test_schedules
        # only a create that comes late does harm
        return "lost" if fault == "late arrival" and not _creates(method, path) else fault

    def _one_of(self, chance: float) -> str | None:
        if not chance or self._faults_are_over() or self.rng.random() >= chance:
            return None
        return self.rng.choice(("away", "reply lost"))

    # the end

    def _is_at_rest(self) -> bool:
        if not self.dirty:
            return False
        self.dirty = False
        if not all(life.is_over for life in self.lives):
            return False
        last = max((run.created_at for run in self.cloud.runs.values()), default=LONG_AGO)
        if self.twins_seen < last + LATEST_TWIN:
            return False
        tables, runs = self.store.tables, self.cloud.runs
        return all(row.status in GENERATION_ENDED for row in tables.generations.values()) and all(
            row.status in ENDED or _given_up(row, runs) for row in tables.trainings.values()
        )


def _creates(method: str, path: str) -> bool:
    return method == "POST" and path.endswith(("/trainings", "/predictions"))


def _given_up(training: Any, runs: dict[str, Run]) -> bool:
    """Parked for good: the provider's answer has no version in it, and asking again changes nothing."""
    if training.status not in PARKED or training.retries < ENOUGH_RETRIES:
        return False
    run = runs.get(training.provider_training_id)
    return training.status is Status.EXTRACTION_FAILED and run is not None and run.odd


def simulated(plan: Plan, look: Callable[[World], None] = lambda world: None) -> Evidence:
    """Run one schedule (inside of `installed`); `look` sees the world afterwards."""
    world = World(plan)
    evidence = world.run()
    look(world)
    return evidence
