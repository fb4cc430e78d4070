"""`/api/v1/admin/…`: what is in hand, what is used, how the studio is and is configured; for admins and the host.

Also the operator's end of a member's generation. What an operator does for trainings is `training.endpoints`'.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from portraitist.studio.accounts.signed_in import OperatorId, OperatorOnly
from portraitist.studio.admin import health, looking
from portraitist.studio.admin.looking import AccountUse, MemberUse, Work
from portraitist.studio.admin.prices import Prices
from portraitist.studio.admin.samples import Sample
from portraitist.studio.admin.work import Help, Judged, Kind, Trouble
from portraitist.studio.generation import helping
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems
from portraitist.studio.settings import environment
from portraitist.studio.training.endpoints import AccountsDep

router = APIRouter(prefix="/api/v1", dependencies=[OperatorOnly])
Days = Annotated[int, Query(ge=1, le=366, description="How far back.")]


class WorkItemOut(BaseModel):
    """A run as the operator sees it: where it stands, what is wrong with it, what helps. Nothing that a member made."""

    kind: Kind = Field(examples=["training"])
    id: UUID
    user_id: str = Field(examples=["k3v9x0q7m2ab"])
    member: str | None = Field(
        description="The address; local members have none.", examples=["anna@example.org"]
    )
    status: str = Field(examples=["extraction_failed"])
    percent: int | None = Field(examples=[None])
    error_code: str | None = Field(examples=["version_not_found"])
    trouble: Trouble | None
    help: Help | None
    created_at: datetime
    next_check_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, judged: Judged, work: Work) -> "WorkItemOut":
        """As the API shows it."""
        run = judged.run
        return cls(
            kind=judged.kind,
            id=run.id,
            user_id=run.user_id,
            member=work.names.get(run.user_id),
            status=run.status,
            percent=judged.percent,
            error_code=run.error_code,
            trouble=judged.trouble,
            help=judged.help,
            created_at=run.created_at,
            next_check_at=run.next_check_at,
            finished_at=run.finished_at,
        )


class WorkOut(BaseModel):
    """How many runs stand where, and those to look at: what needs a look first."""

    trainings: dict[str, int] = Field(examples=[{"training": 1, "completed": 40}])
    generations: dict[str, int] = Field(examples=[{"completed": 812}])
    items: list[WorkItemOut]


class MemberUseOut(BaseModel):
    """What a member has used, and today against the quotas; `cost` null: nothing has a price here."""

    user_id: str = Field(examples=["k3v9x0q7m2ab"])
    member: str | None = Field(examples=["anna@example.org"])
    trainings: int = Field(examples=[2])
    training_seconds: float = Field(examples=[812.5])
    generations: int = Field(examples=[40])
    generation_seconds: float = Field(examples=[402.0])
    pictures: int = Field(examples=[120])
    trainings_today: int = Field(examples=[1])
    generations_today: int = Field(examples=[4])
    cost: float | None = Field(examples=[None])

    @classmethod
    def of(cls, use: MemberUse, prices: Prices) -> "MemberUseOut":
        """As the API shows it."""
        told = {name: getattr(use, name) for name in cls.model_fields if name not in ("member", "cost")}
        return cls(member=use.name, cost=use.cost(prices), **told)


class AccountUseOut(BaseModel):
    """How full a provider account is; `models_limit` null: no limit."""

    id: str = Field(examples=["cloud"])
    username: str = Field(examples=["studio"])
    models: int = Field(examples=[12])
    models_limit: int | None = Field(examples=[1000])
    trainings: int = Field(examples=[3])
    trainings_waiting: int = Field(examples=[0])
    trainings_today: int = Field(examples=[9])
    generations: int = Field(examples=[5])
    generations_waiting: int = Field(examples=[0])

    @classmethod
    def of(cls, use: AccountUse) -> "AccountUseOut":
        """As the API shows it."""
        told = {name: value for name, value in vars(use).items() if name != "account"}
        account = use.account
        return cls(id=account.id, username=account.username, models_limit=account.models_limit, **told)


class UsageOut(BaseModel):
    """What accounts and members have used; quotas per member and day, null: none. Two hundred members at most."""

    days: int = Field(examples=[30])
    currency: str = Field(examples=["USD"])
    trainings_per_day: int | None = Field(examples=[5])
    generations_per_day: int | None = Field(examples=[100])
    accounts: list[AccountUseOut]
    members: list[MemberUseOut]


class SampleOut(BaseModel):
    """How the studio was: in one minute, or at worst in a step of time."""

    at: datetime
    due: int = Field(description="Rows whose time has come and that nobody looked at yet.", examples=[0])
    oldest_due_s: float = Field(examples=[0.4])
    waiting: int = Field(description="Runs that wait for a place at a provider.", examples=[2])
    in_flight: int = Field(examples=[5])
    workers: int = Field(examples=[1])
    engine_reachable: bool
    engine_ms: float = Field(examples=[3.1])
    database_ms: float = Field(examples=[2.2])
    database_bytes: int = Field(examples=[12_345_678])
    storage_ok: bool
    storage_bytes: int | None = Field(description="Counted once an hour.", examples=[987_654_321])
    storage_free: int | None = Field(description="Of a folder's disk.", examples=[50_000_000_000])

    @classmethod
    def of(cls, sample: Sample) -> "SampleOut":
        """From the row."""
        return cls(**vars(sample))


class HealthOut(BaseModel):
    """The newest sample, null before the first, and the time before it, in steps of so many seconds."""

    latest: SampleOut | None
    step_seconds: float = Field(examples=[900.0])
    past: list[SampleOut]


class VariableOut(BaseModel):
    """A variable of the environment; of a secret no more than that it is set."""

    name: str = Field(examples=["PUBLIC_URL"])
    value: str = Field(examples=["https://studio.example"])
    given: bool = Field(description="Whether the environment has set it.")
    meaning: str = Field(examples=["How the outside reaches the studio; https, or empty."])


class EnvironmentOut(BaseModel):
    """Every variable that the studio reads at its start."""

    items: list[VariableOut]


@router.get("/admin/work", tags=["admin"])
async def get_work(
    core: CoreDep,
    now: NowDep,
    kind: Annotated[Kind, Query(description="With `status`: of which kind.")] = "training",
    status: Annotated[
        str | None, Query(pattern="^[a-z_]{1,40}$", description="Only runs in this state, newest first.")
    ] = None,
) -> WorkOut:
    """Trainings and generations of all members: what needs a look first, with what helps."""
    if status is None:
        work = await looking.work_of(core.db, now())
    else:
        work = await looking.work_in(core.db, kind, status, now())
    return WorkOut(
        trainings=dict(work.trainings),
        generations=dict(work.generations),
        items=[WorkItemOut.of(each, work) for each in work.items],
    )


@router.get("/admin/usage", tags=["admin"])
async def get_usage(core: CoreDep, now: NowDep, accounts: AccountsDep, days: Days = 30) -> UsageOut:
    """What the provider's machines did, for whom, and how full the accounts are."""
    prices = looking.prices_of(core.settings)
    members = await looking.members_use(core.db, now() - timedelta(days=days), now())
    return UsageOut(
        days=days,
        currency=prices.currency,
        trainings_per_day=core.settings.training_starts_per_member,
        generations_per_day=core.settings.generations_per_member,
        accounts=[AccountUseOut.of(each) for each in await looking.accounts_use(core.db, accounts, now())],
        members=[MemberUseOut.of(each, prices) for each in members],
    )


@router.get("/admin/health", tags=["admin"])
async def get_health(
    core: CoreDep,
    now: NowDep,
    hours: Annotated[int, Query(ge=1, le=168, description="How far back.")] = 24,
) -> HealthOut:
    """How the studio is and was: queue, workers, database, storage, engine."""
    found = await health.history(core.db, timedelta(hours=hours), now())
    return HealthOut(
        latest=None if found.latest is None else SampleOut.of(found.latest),
        step_seconds=found.step.total_seconds(),
        past=[SampleOut.of(each) for each in found.past],
    )


@router.get("/admin/environment", tags=["admin"])
async def get_environment(core: CoreDep) -> EnvironmentOut:
    """What the environment has decided; secrets are not told."""
    return EnvironmentOut(items=[VariableOut(**vars(each)) for each in environment.variables(core.settings)])


@router.post(
    "/operator/generations/{generation_id}/cancel",
    tags=["operator"],
    status_code=204,
    responses=problems("generation_not_found", "generation_ended"),
)
async def cancel_for_member(generation_id: UUID, by: OperatorId, core: CoreDep, now: NowDep) -> None:
    """Ask for the end of a member's generation."""
    await helping.cancel(core.db, by, generation_id, now())
