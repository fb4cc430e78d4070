"""Wiring: settings in, the process's parts out. The only place where parts meet; decides nothing else."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from portraitist.kit.clock import Clock, SystemClock
from portraitist.kit.database import Database, DatabaseUnavailable
from portraitist.kit.http import GuardedClient
from portraitist.kit.limits import Bucket, LimitedClient, SharedLimits
from portraitist.kit.objects import ObjectStore
from portraitist.studio import architecture
from portraitist.studio.accounts.mail.post import Post
from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.accounts.mail.smtp import Mailer, Server
from portraitist.studio.accounts.oidc.provider import Provider as SignInProvider
from portraitist.studio.config import CLOUD_URL, ENGINE_ACCOUNT, StudioSettings
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import domain as generation_domain
from portraitist.studio.generation.service import JOB as GENERATION
from portraitist.studio.generation.tasks import GenerationTasks
from portraitist.studio.generation.tasks import watched as generation_watch
from portraitist.studio.generation.twins import GenerationTwins
from portraitist.studio.http import Core
from portraitist.studio.images.copies import Copies
from portraitist.studio.leases import LEASE
from portraitist.studio.links import LinkSigner
from portraitist.studio.maya.domain import Budget, Prices
from portraitist.studio.maya.mind import Chosen
from portraitist.studio.maya.model import LanguageModel
from portraitist.studio.maya.open_book import OpenBook
from portraitist.studio.maya.talking import Maya
from portraitist.studio.notices.pushing import Vapid
from portraitist.studio.notices.tasks import Pusher
from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.photoshoot.reading import LooksInvalid
from portraitist.studio.photoshoot.tasks import Photoshoots
from portraitist.studio.privacy.purging import Purging
from portraitist.studio.privacy.tasks import Eraser
from portraitist.studio.privacy.tombstones import Tombstones
from portraitist.studio.prompting.refusing import Refusals, people_of
from portraitist.studio.provenance import credentials, label
from portraitist.studio.provenance.credentials import Credentials, CredentialsInvalid
from portraitist.studio.provenance.signing import SigningStamp, Stamp
from portraitist.studio.provider.accounts import CLOUD_MODELS, Account, checked, read_file, register
from portraitist.studio.provider.port import Provider
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Limits, Pauses
from portraitist.studio.selfies.faces import FaceService
from portraitist.studio.startup import SettingsInvalid
from portraitist.studio.sweeper import Sweeper, TwinSweep
from portraitist.studio.training import domain as training_domain
from portraitist.studio.training.admission import Room
from portraitist.studio.training.callbacks import Callbacks
from portraitist.studio.training.extraction import Extraction
from portraitist.studio.training.lookout import Lookout
from portraitist.studio.training.photos import PhotoCourier
from portraitist.studio.training.service import JOB as TRAINING
from portraitist.studio.training.tasks import TrainingTasks
from portraitist.studio.training.tasks import watched as training_watch
from portraitist.studio.training.twins import TrainingTwins
from portraitist.studio.training.verification import Verification
from portraitist.studio.training.weights import Insurance


@dataclass(frozen=True)
class WorkerParts:
    """What the worker process runs."""

    core: Core
    training: TrainingTasks
    generation: GenerationTasks
    photoshoots: Photoshoots
    insurance: Insurance
    lookout: Lookout
    sweeper: Sweeper
    twins: TwinSweep
    eraser: Eraser
    copies: Copies


@asynccontextmanager
async def core(
    settings: StudioSettings, *, name: str, connections: int, clock: Clock | None = None, works: bool = False
) -> AsyncIterator[Core]:
    """Clock, database and storage of one process, open until the end. `works`: the worker's."""
    LEASE.length = timedelta(seconds=settings.lease_seconds)
    MAILING.on = settings.sends_mail
    async with Database(settings.database_url.get_secret_value(), max_size=connections, name=name) as pool:
        objects = ObjectStore.from_url(settings.objects_url)
        await _refuse_powers(StudioDatabase(pool))
        yield Core(settings, clock or SystemClock(), StudioDatabase(pool, works=works), objects)


def sign_in_provider(settings: StudioSettings, client: GuardedClient) -> SignInProvider | None:
    """The OpenID Connect provider; None where none is configured."""
    if not settings.oidc_issuer:
        return None
    secret = settings.oidc_client_secret.get_secret_value()
    return SignInProvider(client, settings.oidc_issuer, settings.oidc_client_id, secret)


def post(settings: StudioSettings, core: Core) -> Post | None:
    """What sends mail; None where the studio sends none."""
    if not settings.sends_mail:
        return None
    mailer = Mailer(Server.of(settings.smtp_url.get_secret_value()), settings.mail_from)
    return Post(core.db, core.clock, mailer, settings.address)


def vapid(settings: StudioSettings) -> Vapid:
    """This studio as push services know it; they reach its operator at its address."""
    contact = settings.address if settings.https else "mailto:operator@localhost"
    return Vapid(settings.secret_key.get_secret_value(), contact)


@asynccontextmanager
async def pusher(settings: StudioSettings, core: Core) -> AsyncIterator[Pusher]:
    """What sends pushes: to public addresses only, over https."""
    client = GuardedClient()
    try:
        yield Pusher(core.db, core.clock, client, vapid(settings))
    finally:
        await client.close()


START_TRIES, START_RETRY_S = 20, 1.0
"""A database that goes away while a process starts is waited for, but not for ever: the address may be wrong."""
_POWERFUL = """select r.rolsuper or r.rolbypassrls or r.rolcreaterole
        or coalesce(pg_has_role(r.oid, c.relowner, 'member'), false)
    from pg_roles r left join pg_class c on c.oid = to_regclass('public.users')
    where r.rolname = current_user"""


async def _refuse_powers(db: StudioDatabase) -> None:
    """Web and worker don't start as a role that could pass the policies. Raises SettingsInvalid."""
    powerful = None
    for tries_left in reversed(range(START_TRIES)):
        try:
            async with db.nobody() as tx:
                powerful = await tx.value(_POWERFUL)
            break
        except DatabaseUnavailable:
            if not tries_left:
                raise
            await asyncio.sleep(START_RETRY_S)
    if powerful:
        raise SettingsInvalid(["DATABASE_URL logs in as a superuser or owner: use the role app."])


def provider_accounts(settings: StudioSettings) -> tuple[Account, ...]:
    """The account of the environment, those of PROVIDER_ACCOUNTS_FILE, and the engine that is kept for its versions.

    Raises AccountsInvalid.
    """
    first = Account(
        settings.account_id,
        settings.replicate_base_url,
        settings.replicate_username,
        settings.replicate_api_token,
        CLOUD_MODELS if settings.is_cloud else None,
    )
    more = settings.provider_accounts_file
    return checked([first, *(read_file(more, CLOUD_URL) if more else []), *_kept_engine(settings)])


def _kept_engine(settings: StudioSettings) -> list[Account]:
    if not settings.kept_engine_url:
        return []
    url, owner, token = settings.kept_engine_url, settings.kept_engine_username, settings.kept_engine_token
    return [Account(ENGINE_ACCOUNT, url, owner, token, None, trains=False)]


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
        limits=Limits(create_s=settings.start_answer_seconds, download_s=settings.download_seconds),
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
    async with core(
        settings, name="portraitist-worker", connections=connections, clock=clock, works=True
    ) as parts:
        stamp = await asyncio.to_thread(picture_stamp, settings)
        reached = providers(settings, provider_accounts(settings), SharedLimits(parts.db.pool))
        try:
            yield _worker_parts(settings, parts, reached, stamp)
        finally:
            for each in reached.values():
                await each.close()


def picture_stamp(settings: StudioSettings) -> SigningStamp:
    """What signs every picture, tried out once. Raises SettingsInvalid."""
    words, file = settings.picture_label.strip(), settings.provenance_certificates_file
    if words and not label.drawable(words):
        raise SettingsInvalid([f"PICTURE_LABEL has at most {label.MOST_CHARS} letters without accents."])
    home = settings.portraitist_home
    try:
        if file is None:
            own = credentials.kept_or_made(home)
        else:
            own = Credentials(file.read_text("utf-8"), settings.provenance_key.get_secret_value())
        return SigningStamp.ready(home, own, words)
    except (CredentialsInvalid, OSError, UnicodeDecodeError) as exc:
        given = (
            "PROVENANCE_CERTIFICATES_FILE and PROVENANCE_KEY" if file else "secrets/provenance of the home"
        )
        raise SettingsInvalid([f"{given}: {exc}."]) from exc


@asynccontextmanager
async def face_counter(settings: StudioSettings) -> AsyncIterator[FaceService | None]:
    """Who counts faces in photos; None where the operator has configured nobody."""
    if not settings.face_detector_url:
        yield None
        return
    client = GuardedClient(allowed=[settings.face_detector_url])
    try:
        yield FaceService(client, settings.face_detector_url)
    finally:
        await client.close()


def refusals(settings: StudioSettings) -> Refusals:
    """What no picture is made of here: ours, and the people of the operator's list. Raises SettingsInvalid."""
    if settings.people_file is None:
        return Refusals()
    try:
        return Refusals(people_of(settings.people_file.read_text("utf-8")))
    except (OSError, ValueError) as exc:
        raise SettingsInvalid([f"PEOPLE_FILE: {exc}."]) from exc


def maya(settings: StudioSettings, core: Core, looks: Looks, refused: Refusals) -> Maya:
    """Maya on a web process: with a language model where one is configured, else by the look book.

    Raises SettingsInvalid for a model of which nobody says where it is asked.
    """
    seconds = settings.maya_seconds
    if not settings.maya_model:
        return Maya(core.db, core.clock, OpenBook(looks, refused), "look book", refused, seconds=seconds)
    key, most = settings.maya_api_key.get_secret_value(), settings.maya_answer_tokens
    chosen = Chosen(settings.maya_model, key, settings.maya_url, settings.maya_output, most)
    try:
        model = LanguageModel(chosen, refused)
    except ValueError as exc:
        raise SettingsInvalid([str(exc)]) from exc
    return Maya(
        core.db, core.clock, model, "language model", refused, budget=_maya_budget(settings), seconds=seconds
    )


def _maya_budget(settings: StudioSettings) -> Budget:
    """What answers may take; money is counted in millionths, so a price of a million tokens is that of one."""
    a_day = settings.maya_cost_per_member_per_day
    return Budget(
        settings.maya_tokens_per_member_per_day,
        None if a_day is None else round(a_day * 1_000_000),
        settings.maya_answer_tokens,
        Prices(settings.price_per_million_tokens_in, settings.price_per_million_tokens_out),
    )


def looks(settings: StudioSettings) -> Looks:
    """The looks on offer: ours, and the operator's over them. Raises SettingsInvalid with everything that is wrong."""
    try:
        return Looks(settings.looks_dir)
    except LooksInvalid as exc:
        raise SettingsInvalid([f"LOOKS_DIR: {problem}." for problem in exc.problems]) from exc
    except OSError as exc:
        raise SettingsInvalid([f"LOOKS_DIR: {exc}."]) from exc


def _worker_parts(
    settings: StudioSettings, parts: Core, providers: Mapping[str, Provider], stamp: Stamp
) -> WorkerParts:
    post_deadline = timedelta(seconds=settings.start_answer_seconds)
    told = settings.webhooks_base is not None
    pause = timedelta(seconds=settings.retry_seconds)
    training_timing = training_domain.Timing(
        settings.poll_every, post_deadline, settings.list_lag, pause=pause, told=told
    )
    generation_timing = generation_domain.Timing(
        settings.poll_every / 2,
        post_deadline,
        settings.list_lag,
        sweep=timedelta(seconds=settings.sweep_seconds),
        pause=pause / 2,
        told=told,
    )
    callbacks = Callbacks(settings.webhooks_base)
    insurance = Insurance(parts.db, parts.objects, providers, parts.clock)
    secret = settings.secret_key.get_secret_value()
    links = LinkSigner(secret, settings.public_url)
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
        stamp=stamp,
        callbacks=callbacks,
    )
    watched = (training_watch(training_timing), generation_watch(generation_timing))
    lookout = Lookout(parts.db, parts.clock, providers, watched, settings.looks_listed_from)
    sweeper = Sweeper(parts.db, parts.clock, providers, rooms(settings), lookout)
    twins = TwinSweep(
        TrainingTwins(parts.db, parts.clock),
        GenerationTwins(parts.db, parts.clock),
        parts.clock,
        providers,
        SharedLimits(parts.db.pool),
        timedelta(seconds=settings.twins_seconds),
    )
    tombstones = Tombstones(parts.db, parts.objects, parts.clock, secret)
    eraser = Eraser(parts.db, parts.objects, Purging(providers), parts.clock, secret, tombstones)
    copies = Copies(parts.db, parts.objects, stamp.small)
    shoots = Photoshoots(parts.db, parts.clock, new_seed, refusals(settings), settings.generations_per_member)
    return WorkerParts(
        parts, training, generation, shoots, insurance, lookout, sweeper, twins, eraser, copies
    )


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
