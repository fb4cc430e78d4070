"""Wiring: settings in, the process's parts out. The only place where parts meet; decides nothing else."""

import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit.clock import Clock, SystemClock
from portraitist.kit.database import Database
from portraitist.kit.http import GuardedClient
from portraitist.kit.limits import SharedLimits
from portraitist.kit.objects import ObjectStore
from portraitist.studio import architecture
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import domain as generation_domain
from portraitist.studio.generation.service import JOB as GENERATION
from portraitist.studio.generation.tasks import GenerationTasks
from portraitist.studio.generation.twins import GenerationTwins
from portraitist.studio.http import Core
from portraitist.studio.links import LinkSigner
from portraitist.studio.provider import accounts
from portraitist.studio.provider.port import Provider
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import CREATE_DEADLINE_S, Pauses
from portraitist.studio.sweeper import Sweeper, TwinSweep
from portraitist.studio.training import domain as training_domain
from portraitist.studio.training.admission import Room
from portraitist.studio.training.extraction import Extraction
from portraitist.studio.training.photos import PhotoCourier
from portraitist.studio.training.service import JOB as TRAINING
from portraitist.studio.training.tasks import TrainingTasks
from portraitist.studio.training.twins import TrainingTwins
from portraitist.studio.training.verification import Verification


@dataclass(frozen=True)
class WorkerParts:
    """What the worker process runs."""

    core: Core
    provider: Provider
    training: TrainingTasks
    generation: GenerationTasks
    sweeper: Sweeper
    twins: TwinSweep


@asynccontextmanager
async def core(
    settings: StudioSettings, *, name: str, connections: int, clock: Clock | None = None
) -> AsyncIterator[Core]:
    """Clock, database and storage of one process, open until the end."""
    async with Database(settings.database_url.get_secret_value(), max_size=connections, name=name) as pool:
        objects = ObjectStore.from_url(settings.objects_url)
        yield Core(settings, clock or SystemClock(), StudioDatabase(pool), objects)


def provider(settings: StudioSettings) -> ReplicateProvider:
    """The configured provider account."""
    return ReplicateProvider(
        GuardedClient(allowed=[settings.replicate_base_url]),
        base_url=settings.replicate_base_url,
        token=settings.replicate_api_token.get_secret_value(),
        pauses=Pauses(jitter=random.random),
    )


@asynccontextmanager
async def worker(settings: StudioSettings, clock: Clock | None = None) -> AsyncIterator[WorkerParts]:
    """Everything that moves trainings and generations on; `clock` is the system's unless given."""
    connections = settings.worker_concurrency + 4
    async with core(settings, name="portraitist-worker", connections=connections, clock=clock) as parts:
        account = provider(settings)
        try:
            yield _worker_parts(settings, parts, account)
        finally:
            await account.close()


def _worker_parts(settings: StudioSettings, parts: Core, account: Provider) -> WorkerParts:
    post_deadline = timedelta(seconds=CREATE_DEADLINE_S)
    training_timing = training_domain.Timing(settings.poll_every, post_deadline, settings.list_lag)
    generation_timing = generation_domain.Timing(settings.poll_every / 2, post_deadline, settings.list_lag)
    providers = {settings.account_id: account}
    links = LinkSigner(settings.secret_key.get_secret_value(), settings.public_url)
    training = TrainingTasks(
        db=parts.db,
        providers=providers,
        photos=PhotoCourier(parts.db, parts.objects, links),
        extraction=Extraction(parts.db, parts.clock, training_timing),
        verification=Verification(parts.db, parts.clock, training_timing, new_seed),
        clock=parts.clock,
        timing=training_timing,
    )
    generation = GenerationTasks(
        db=parts.db, providers=providers, objects=parts.objects, clock=parts.clock, timing=generation_timing
    )
    sweeper = Sweeper(parts.db, parts.clock, providers, rooms(settings))
    twins = TwinSweep(
        TrainingTwins(parts.db, parts.clock),
        GenerationTwins(parts.db, parts.clock),
        parts.clock,
        providers,
        SharedLimits(parts.db.pool),
        timedelta(seconds=settings.twins_seconds),
    )
    return WorkerParts(parts, account, training, generation, sweeper, twins)


def rooms(settings: StudioSettings) -> dict[str, Room]:
    """How much of each kind may be at one account at once."""
    return {TRAINING: Room(*settings.room_for_trainings), GENERATION: Room(settings.room_for_generations)}


def new_seed() -> int:
    """A random seed of those that a prediction may have."""
    return secrets.choice(architecture.SEEDS)


async def register_account(parts: Core) -> None:
    """The configured provider account gets its row, which trainings and versions point to."""
    settings = parts.settings
    async with parts.db.nobody() as tx:
        await accounts.register(
            tx,
            settings.account_id,
            settings.replicate_base_url,
            settings.replicate_username,
            parts.clock.now(),
        )
