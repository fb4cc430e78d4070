"""Wiring: settings in, the process's parts out. The only place where parts meet; decides nothing else."""

import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit.clock import Clock, SystemClock
from portraitist.kit.database import Database
from portraitist.kit.http import GuardedClient
from portraitist.kit.limits import Bucket, LimitedClient, SharedLimits
from portraitist.kit.objects import ObjectStore
from portraitist.studio import architecture
from portraitist.studio.config import CLOUD_URL, StudioSettings
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import domain as generation_domain
from portraitist.studio.generation.service import JOB as GENERATION
from portraitist.studio.generation.tasks import GenerationTasks
from portraitist.studio.generation.twins import GenerationTwins
from portraitist.studio.http import Core
from portraitist.studio.links import LinkSigner
from portraitist.studio.provider.accounts import CLOUD_MODELS, Account, checked, read_file, register
from portraitist.studio.provider.port import Provider
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import CREATE_DEADLINE_S, Limits, Pauses
from portraitist.studio.sweeper import Sweeper, TwinSweep
from portraitist.studio.training import domain as training_domain
from portraitist.studio.training.admission import Room
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.extraction import Extraction
from portraitist.studio.training.photos import PhotoCourier
from portraitist.studio.training.service import JOB as TRAINING
from portraitist.studio.training.tasks import TrainingTasks
from portraitist.studio.training.twins import TrainingTwins
from portraitist.studio.training.verification import Verification
from portraitist.studio.training.weights import Insurance


@dataclass(frozen=True)
class WorkerParts:
    """What the worker process runs."""

    core: Core
    training: TrainingTasks
    generation: GenerationTasks
    insurance: Insurance
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


def provider_accounts(settings: StudioSettings) -> tuple[Account, ...]:
    """The account of the environment, then those of PROVIDER_ACCOUNTS_FILE. Raises AccountsInvalid."""
    first = Account(
        settings.account_id,
        settings.replicate_base_url,
        settings.replicate_username,
        settings.replicate_api_token,
        CLOUD_MODELS if settings.is_cloud else None,
    )
    more = settings.provider_accounts_file
    return checked([first, *(read_file(more, CLOUD_URL) if more else [])])


def providers(
    settings: StudioSettings, accounts: Sequence[Account], limits: SharedLimits | None = None
) -> dict[str, ReplicateProvider]:
    """A provider for each account; with `limits`, their rates are kept to by the whole fleet."""
    return {account.id: _provider(settings, account, limits) for account in accounts}


def _provider(settings: StudioSettings, account: Account, limits: SharedLimits | None) -> ReplicateProvider:
    rates = _rates(settings, account) if limits is not None else None
    allowed = [account.base_url]
    client = (
        LimitedClient(limits, rates, allowed=allowed) if limits and rates else GuardedClient(allowed=allowed)
    )
    return ReplicateProvider(
        client,
        base_url=account.base_url,
        token=account.token.get_secret_value(),
        pauses=Pauses(jitter=random.random),
        limits=Limits(download_s=settings.download_seconds),
    )


def _rates(settings: StudioSettings, account: Account) -> Callable[[str, str], Bucket | None] | None:
    """The cloud's published limits per account; an engine of our own has none unless they are set."""
    cloud = account.base_url == CLOUD_URL
    creates = settings.provider_creates_per_minute or (600.0 if cloud else None)
    others = settings.provider_others_per_minute or (3000.0 if cloud else None)

    def bucket_of(method: str, url: str) -> Bucket | None:
        if not url.startswith(f"{account.base_url}/v1/"):
            return None  # a picture's file
        create = method == "POST" and url.rsplit("/", 1)[1] in ("predictions", "trainings", "models")
        rate = creates if create else others
        return Bucket(f"{account.id} {'creates' if create else 'others'}", rate) if rate else None

    return bucket_of if creates or others else None


@asynccontextmanager
async def worker(settings: StudioSettings, clock: Clock | None = None) -> AsyncIterator[WorkerParts]:
    """Everything that moves trainings and generations on; `clock` is the system's unless given."""
    connections = settings.worker_concurrency + 4
    async with core(settings, name="portraitist-worker", connections=connections, clock=clock) as parts:
        reached = providers(settings, provider_accounts(settings), SharedLimits(parts.db.pool))
        try:
            yield _worker_parts(settings, parts, reached)
        finally:
            for each in reached.values():
                await each.close()


def _worker_parts(settings: StudioSettings, parts: Core, providers: Mapping[str, Provider]) -> WorkerParts:
    post_deadline = timedelta(seconds=CREATE_DEADLINE_S)
    training_timing = training_domain.Timing(settings.poll_every, post_deadline, settings.list_lag)
    generation_timing = generation_domain.Timing(settings.poll_every / 2, post_deadline, settings.list_lag)
    callbacks = Callbacks(settings.webhooks_base)
    insurance = Insurance(parts.db, parts.objects, providers, parts.clock)
    links = LinkSigner(settings.secret_key.get_secret_value(), settings.public_url)
    training = TrainingTasks(
        db=parts.db,
        providers=providers,
        photos=PhotoCourier(parts.db, parts.objects, links),
        extraction=Extraction(parts.db, parts.clock, training_timing),
        verification=Verification(parts.db, parts.clock, training_timing, new_seed, callbacks),
        clock=parts.clock,
        timing=training_timing,
        callbacks=callbacks,
        insurance=insurance if settings.keep_weights else None,
    )
    generation = GenerationTasks(
        db=parts.db,
        providers=providers,
        objects=parts.objects,
        clock=parts.clock,
        timing=generation_timing,
        callbacks=callbacks,
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
    return WorkerParts(parts, training, generation, insurance, sweeper, twins)


def rooms(settings: StudioSettings) -> dict[str, Room]:
    """How much of each kind may be at one account at once."""
    return {TRAINING: Room(*settings.room_for_trainings), GENERATION: Room(settings.room_for_generations)}


def new_seed() -> int:
    """A random seed of those that a prediction may have."""
    return secrets.choice(architecture.SEEDS)


async def register_accounts(parts: Core, configured: Sequence[Account]) -> None:
    """Each configured provider account gets its row, which trainings and versions point to."""
    async with parts.db.nobody() as tx:
        for account in configured:
            await register(tx, account, parts.clock.now())
