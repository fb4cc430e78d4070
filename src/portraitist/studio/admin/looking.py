"""The operator's look across members: runs that need a look first, and what members and accounts have used.

Members are named by their address and nothing else; no photo, picture or word of theirs is read here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitist.studio import architecture
from portraitist.studio.accounts import admission
from portraitist.studio.admin import work
from portraitist.studio.admin.prices import Prices
from portraitist.studio.admin.work import Judged, Kind
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service as generation
from portraitist.studio.generation.overview import GENERATIONS
from portraitist.studio.provider.accounts import Account
from portraitist.studio.training import overview, pins
from portraitist.studio.training import service as training
from portraitist.studio.training.admission import DAY
from portraitist.studio.training.overview import TRAININGS, Used, Words

RECENTLY = timedelta(days=7)
MOST_MEMBERS = 200
TABLES: Mapping[Kind, Words] = {"training": TRAININGS, "generation": GENERATIONS}


@dataclass(frozen=True)
class Work:
    """Runs to look at, in order; how many stand where; the names of their members."""

    trainings: Mapping[str, int]
    generations: Mapping[str, int]
    items: Sequence[Judged]
    names: Mapping[str, str]


@dataclass(frozen=True)
class MemberUse:
    """What one member has used in the time that was asked for, and today against the quotas (None: none)."""

    user_id: str
    name: str | None
    trainings: int
    training_seconds: float
    generations: int
    generation_seconds: float
    trainings_today: int
    generations_today: int

    @property
    def pictures(self) -> int:
        """As many as were drawn, those among them that a safety checker took away."""
        return self.generations * architecture.GENERATION.num_outputs

    def cost(self, prices: Prices) -> float | None:
        """In money, where a price is configured."""
        return prices.of(self.training_seconds, self.generation_seconds, self.pictures)


@dataclass(frozen=True)
class AccountUse:
    """A provider account: models held, runs in flight and waiting, starts today. None: no limit."""

    account: Account
    models: int
    trainings: int
    trainings_waiting: int
    trainings_today: int
    generations: int
    generations_waiting: int


async def work_of(db: StudioDatabase, now: datetime) -> Work:
    """What is in hand, and trainings that failed lately and were not begun again."""
    async with db.system() as tx:
        counts = await training.count_by_status(tx), await generation.count_by_status(tx)
        found = [
            *_judged("training", await overview.in_hand(tx), now),
            *_judged("training", await overview.failed(tx, now - RECENTLY), now),
            *_judged("generation", await overview.in_hand(tx, GENERATIONS), now),
        ]
    return Work(*counts, work.in_order(found), await _names(db, [each.run.user_id for each in found]))


async def work_in(db: StudioDatabase, kind: Kind, status: str, now: datetime) -> Work:
    """Runs of this kind in this state, newest first; failed ones with no help but where it is of use."""
    async with db.system() as tx:
        counts = await training.count_by_status(tx), await generation.count_by_status(tx)
        runs = await overview.of_status(tx, status, TABLES[kind])
        latest = {run.id for run in await overview.failed(tx, now - RECENTLY, TABLES[kind])}
    found = [work.judged(kind, run, now) for run in runs]
    found = [
        each if each.run.status != "failed" or each.run.id in latest else Judged(kind, each.run, None, None)
        for each in found
    ]
    return Work(*counts, found, await _names(db, [run.user_id for run in runs]))


async def members_use(
    db: StudioDatabase, since: datetime, now: datetime, only: str | None = None
) -> list[MemberUse]:
    """What members have used since then, who used most first; or `only` this one."""
    day = now - DAY
    async with db.system() as tx:
        trainings = {each.user_id: each for each in await overview.used(tx, since, day, only=only)}
        drawn = {each.user_id: each for each in await overview.used(tx, since, day, GENERATIONS, only)}
    ids = trainings.keys() | drawn.keys()
    names = await _names(db, ids)
    found = [_member_use(each, names.get(each), trainings.get(each), drawn.get(each)) for each in ids]
    found.sort(
        key=lambda use: (-use.training_seconds - use.generation_seconds, -use.generations, use.user_id)
    )
    return found[:MOST_MEMBERS]


async def accounts_use(db: StudioDatabase, accounts: Sequence[Account], now: datetime) -> list[AccountUse]:
    """How full each provider account is."""
    async with db.system() as tx:
        models = await pins.models_used(tx)
        trainings = await overview.loads(tx, now - DAY)
        drawing = await overview.loads(tx, now - DAY, GENERATIONS)
    nothing = overview.Load("", 0, 0, 0)
    return [
        AccountUse(
            account,
            models.get(account.id, 0),
            trainings=trainings.get(account.id, nothing).in_flight,
            trainings_waiting=trainings.get(account.id, nothing).waiting,
            trainings_today=trainings.get(account.id, nothing).today,
            generations=drawing.get(account.id, nothing).in_flight,
            generations_waiting=drawing.get(account.id, nothing).waiting,
        )
        for account in accounts
    ]


def prices_of(settings: StudioSettings) -> Prices:
    """What things cost, as configured."""
    return Prices(
        settings.price_currency,
        settings.price_per_training_second,
        settings.price_per_picture_second,
        settings.price_per_picture,
    )


def _judged(kind: Kind, runs: Iterable[overview.Run], now: datetime) -> list[Judged]:
    return [work.judged(kind, run, now) for run in runs]


def _member_use(user_id: str, name: str | None, trained: Used | None, drawn: Used | None) -> MemberUse:
    nothing = Used(user_id, 0, 0.0, 0)
    trained, drawn = trained or nothing, drawn or nothing
    return MemberUse(
        user_id,
        name,
        trainings=trained.runs,
        training_seconds=trained.seconds,
        generations=drawn.runs,
        generation_seconds=drawn.seconds,
        trainings_today=trained.today,
        generations_today=drawn.today,
    )


async def _names(db: StudioDatabase, ids: Iterable[str]) -> Mapping[str, str]:
    async with db.registrar() as tx:
        return await admission.names(tx, set(ids))
