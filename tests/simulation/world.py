"""One schedule from its plan to its evidence: members, two worker processes, a provider, and what befalls them."""

import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from portraitist.kit.errors import KitError
from portraitist.studio import bootstrap
from portraitist.studio.generation.domain import ENDED as GENERATION_ENDED
from portraitist.studio.http import Core
from portraitist.studio.provider.accounts import Account
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Pauses
from portraitist.studio.sweeper import TwinSweep
from portraitist.studio.training.domain import ENDED, PARKED, Status
from portraitist.studio.webhooks.keys import Keys
from portraitist.studio.webhooks.service import Intake
from tests.fakes.simulated_cloud import Run, SimulatedCloud
from tests.simulation import tidying
from tests.simulation.configured import ACCOUNTS, CLOUD, settings
from tests.simulation.evidence import Evidence
from tests.simulation.faults import Faults
from tests.simulation.hooks import WEB, Hooks
from tests.simulation.installing import CHANCE
from tests.simulation.marks import RandomMark
from tests.simulation.members import Life, enrolled
from tests.simulation.plans import Plan
from tests.simulation.rates import MemoryLimits, RatedHttp, Record
from tests.simulation.remote import MemoryObjects, SimulatedHttp
from tests.simulation.rows import LONG_AGO, waits_its_turn
from tests.simulation.scheduler import Killed, Scheduler, VirtualClock
from tests.simulation.store import Job, MemoryStore, Tables
from tests.simulation.tidying import Tidying
from tests.simulation.watching import Watch

WORKERS = ("worker-0", "worker-1")
PROCESSES = (*WORKERS, WEB)
LONGEST = timedelta(days=4)
MOST_STEPS = 30_000
RESCUED_AFTER_S = 12.0
TWINS_EVERY_S = 300.0
SWEEP_EVERY_S = 10.0
LATEST_TWIN = timedelta(seconds=60)
ADMISSION_HEALS_AFTER = timedelta(seconds=10)
ENOUGH_RETRIES = 5
Handler = Callable[[str, str], Awaitable[None]]


@dataclass
class Process:
    """A worker that lives: its handlers, its sweep, and the jobs it holds."""

    handlers: Mapping[str, Handler]
    sweep: Callable[[], Awaitable[object]]
    tidy: Sequence[tidying.Sweep]
    jobs: list[Job] = field(default_factory=list)


@dataclass
class World:
    """Everything of one schedule."""

    plan: Plan
    clock: VirtualClock = field(default_factory=VirtualClock)
    watch: Watch = field(default_factory=Watch)
    record: Record = field(default_factory=Record)
    alive: dict[str, Process] = field(default_factory=dict)
    backlog: list[Job] = field(default_factory=list)
    waiting: set[tuple[str, str]] = field(default_factory=set)
    hits: Counter[str] = field(default_factory=Counter)
    next_sweep: datetime | None = None
    dirty: bool = True
    twins_seen: dict[str, datetime] = field(default_factory=dict)
    """When the last complete look for double starts at an account began."""

    def __post_init__(self) -> None:
        seed, self.rng, self.began = self.plan.seed, random.Random(self.plan.seed), self.clock.now()
        self.scheduler = Scheduler(self.rng, self.clock, self._died, self.plan.deaths_at_steps)
        self.accounts = ACCOUNTS[: self.plan.accounts]
        self.clouds = {account: self._cloud(number) for number, (account, _) in enumerate(self.accounts)}
        self.intake: Intake | None = None
        self.hooks = {account: self._hooks(number) for number, (account, _) in enumerate(self.accounts)}
        self.faults = Faults(self.plan, self.rng, self._passed)
        self.limits = MemoryLimits(self.scheduler)
        self.objects = MemoryObjects(self.scheduler, self.faults.of_storage)
        self.store = MemoryStore(self.scheduler, self._jobs_came, self._committed, self.faults.of_database)
        self.tidying = Tidying(self.scheduler, self.rng, lambda: self.store.tables, self.alive)
        self.lives = [self._member(number) for number in range(len(self.plan.members))]
        CHANCE.rng, CHANCE.hit = random.Random(seed + 2), self._hit
        CHANCE.time = lambda: self.clock.now().timestamp()

    def run(self) -> Evidence:
        """Until everything is at rest, or too long; then the evidence."""
        for process in PROCESSES:
            self._begin(process)
        for life, actions in zip(self.lives, self.plan.members, strict=True):
            life.begin(actions)
        if self.plan.outage:
            begin, end = self.plan.outage
            self.scheduler.spawn(self._outage(end - begin), "fate", "outage", after=begin)
        end_of_time = self.began + LONGEST
        at_rest = self.scheduler.run(self._is_at_rest, end=end_of_time, most_steps=MOST_STEPS)
        self.scheduler.on_death = lambda process: None
        for process in (*PROCESSES, "members", "fate", "network"):
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
            runs=self._runs(),
            twins={row: [twin["provider_id"] for twin in twins] for row, twins in tables.twins.items()},
            at_once=self.watch.at_once,
            cleared=self.watch.cleared,
            deleted=self.watch.deleted,
            shown=self.watch.shown,
            sent=self.record.sent,
            per_minute=self.record.per_minute,
            archives=list(tables.archives.values()),
            deliveries=list(tables.deliveries.values()),
            honest={message: run for hooks in self.hooks.values() for message, run in hooks.honest.items()},
            crossed=[message for hooks in self.hooks.values() for message in hooks.crossed],
            owners=dict(self.accounts),
            at_rest=at_rest,
            failures=self.scheduler.failures,
        )

    def _cloud(self, number: int) -> SimulatedCloud:
        chance, name = random.Random(self.plan.seed + 1 + 1_000 * number), self.accounts[number][1]
        return SimulatedCloud(
            self.clock.now,
            chance,
            self.plan.behaviour,
            username=name,
            base_url=CLOUD.replace("cloud", name),
        )

    def _hooks(self, number: int) -> Hooks:
        cloud, chance = (
            self.clouds[self.accounts[number][0]],
            random.Random(self.plan.seed + 2 + 1_000 * number),
        )
        hooks = Hooks(self.scheduler, cloud, chance, lambda: self.intake, self._stirred, self._is_known)
        cloud.heard = hooks.heard
        return hooks

    def _is_known(self, run: Run) -> bool:
        tables = self.store.tables
        known = {row.provider_prediction_id for row in tables.generations.values()}
        known |= {row.provider_training_id for row in tables.trainings.values()}
        known |= {row.verify_prediction_id for row in tables.trainings.values()}
        return run.id in known

    def _runs(self) -> list[Run]:
        return [run for cloud in self.clouds.values() for run in cloud.runs.values()]

    def _member(self, number: int) -> Life:
        user_id = enrolled(number, self.store.tables, self.objects.files, self.began)
        rng = random.Random(self.plan.seed + 3 + number)
        return Life(user_id, self.store, self.scheduler, self.clock, rng, self.accounts, self._stirred)

    # worker processes

    def _provider(self, account_id: str, cloud: SimulatedCloud, *, rated: bool) -> ReplicateProvider:
        http: Any = SimulatedHttp(self.scheduler, cloud, self.faults.of_request, self.faults.late)
        account = Account(account_id, cloud.base_url, cloud.username, SecretStr(cloud.token), None)
        bucket_of = bootstrap._rates(settings(rates=self.plan.rates), account)
        if rated and bucket_of is not None:
            http = RatedHttp(http, self.limits, bucket_of, self.record)
        return ReplicateProvider(
            http,
            base_url=cloud.base_url,
            token=cloud.token,
            pauses=Pauses(self.rng.random, self._sleep, lambda: self.clock.now().timestamp()),
        )

    def _begin(self, process: str) -> None:
        rated = process != WEB
        providers = {each: self._provider(each, cloud, rated=rated) for each, cloud in self.clouds.items()}
        if process == WEB:
            alone: Any = contextlib.nullcontext()  # one at a time: nobody else runs between two pauses
            self.intake = Intake(self.store, self.clock, Keys(providers, _asking=alone))  # type: ignore[arg-type]
            return
        # every other schedule looks at the provider's lists, the others at one run after the other
        least = {"looks_listed_from": 1 if self.plan.seed % 2 == 0 else 5}
        chosen = settings(self.plan.webhooks, self.plan.rates).model_copy(update=least)
        core = Core(chosen, self.clock, self.store, self.objects)  # type: ignore[arg-type]
        parts = bootstrap._worker_parts(chosen, core, providers, RandomMark())
        object.__setattr__(parts.insurance, "_one", contextlib.nullcontext())
        handlers: dict[str, Handler] = {
            "weights": parts.insurance.copy,
            "training": parts.training.advance,
            "generation": parts.generation.advance,
            "admission": parts.sweeper.turn,
            "looks": parts.lookout.turn,
        }
        tidy = tidying.sweeps(self.store, self.objects, self.clock)
        self.alive[process] = Process(handlers, parts.sweeper.sweep, tidy)
        self.tidying.plan()
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
        self._plan_next_sweep()

    async def _end_twins(self, twins: TwinSweep) -> None:
        while True:
            for account in self.clouds:
                began, met = self.clock.now(), self.faults.met + self.limits.refused
                if self._twins_may_be_found(account, began):
                    with contextlib.suppress(KitError):  # as the job engine does: the next look may work
                        await twins.end(account)
                        if self.faults.met + self.limits.refused == met:  # else it may have seen only a part
                            self.twins_seen[account], self.dirty = began, True
            await self.scheduler.pause("until the next look for twins", TWINS_EVERY_S)

    def _twins_may_be_found(self, account: str, now: datetime) -> bool:
        """One look for the whole fleet, and none where everything was listed at the last one."""
        seen, rows = self.twins_seen.get(account, LONG_AGO), self.store.tables
        if now < seen + timedelta(seconds=TWINS_EVERY_S):
            return False
        starting = any(row.status == "submitting" for row in rows.trainings.values())
        starting |= any(row.status == "submitting" for row in rows.generations.values())
        return starting or seen < self._last_start(account) + LATEST_TWIN

    def _last_start(self, account: str) -> datetime:
        runs = self.clouds[account].runs
        return max((run.created_at for run in runs.values()), default=LONG_AGO)

    def _stirred(self) -> None:
        self.dirty = True

    def _committed(self, tables: Tables) -> None:
        self.dirty = True
        self.watch.committed(tables, self.clock.now())
        self._plan_next_sweep()
        self.tidying.plan()

    def _plan_next_sweep(self) -> None:
        tables = self.store.tables
        rows: list[Any] = [row for row in tables.trainings.values() if row.status not in ENDED]
        rows += [row for row in tables.generations.values() if row.status not in GENERATION_ENDED]
        due = [self._due_at(row, tables.leases.get(row.id) or LONG_AGO) for row in rows]
        copies = (row for row in tables.archives.values() if row.status == "wanted")
        due += [max(row.next_check_at, tables.copying.get(row.training_id, LONG_AGO)) for row in copies]
        if due:
            self._sweep_at(max(min(due), self.clock.now()))

    def _due_at(self, row: Any, leased_until: datetime) -> datetime:
        if waits_its_turn(row):
            return self.clock.now() + ADMISSION_HEALS_AFTER
        at: datetime = max(row.next_check_at, leased_until)
        return at

    def _died(self, process: str) -> None:
        if process == WEB:
            self.intake = None
            self.scheduler.spawn(self._restart(process), "fate", "restart", after=self.plan.down_s)
            return
        dead = self.alive.pop(process, None)
        for job in dead.jobs if dead else []:
            self.waiting.discard(job[:2])
            if self.rng.random() < 0.5:  # else not even the rescue finds it
                self.scheduler.spawn(self._rescue(job), "fate", "rescue", after=RESCUED_AFTER_S)
        self.next_sweep = None
        self._sweep_at(self.clock.now() + timedelta(seconds=1))
        self.tidying.died()
        self.scheduler.spawn(self._restart(process), "fate", "restart", after=self.plan.down_s)

    async def _rescue(self, job: Job) -> None:
        self._jobs_came([job])

    async def _restart(self, process: str) -> None:
        outage = self.plan.outage
        in_outage = outage is not None and outage[0] <= self._passed() < outage[1]
        if not self._lives(process) and not in_outage:
            self._begin(process)

    def _lives(self, process: str) -> bool:
        return self.intake is not None if process == WEB else process in self.alive

    def _passed(self) -> float:
        return (self.clock.now() - self.began).total_seconds()

    async def _outage(self, seconds: float) -> None:
        for process in (*sorted(self.alive), WEB):
            self.scheduler.kill(process)
        await self.scheduler.pause("outage", seconds)
        for process in PROCESSES:
            if not self._lives(process):
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
            self.faults.scripted = what

    # the end

    def _is_at_rest(self) -> bool:
        if not self.dirty:
            return False
        self.dirty = False
        if not all(life.is_over for life in self.lives):
            return False
        if any(self.twins_seen.get(a, LONG_AGO) < self._last_start(a) + LATEST_TWIN for a in self.clouds):
            return False
        if self.faults.late.total() or any(hooks.on_the_way for hooks in self.hooks.values()):
            return False
        tables, runs = self.store.tables, {run.id: run for run in self._runs()}
        if not self.tidying.is_over or any(row.status == "wanted" for row in tables.archives.values()):
            return False
        return all(row.status in GENERATION_ENDED for row in tables.generations.values()) and all(
            row.status in ENDED or _given_up(row, runs) for row in tables.trainings.values()
        )


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
