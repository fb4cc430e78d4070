"""`/api/v1/trainings` and `/api/v1/models`: JSON in, JSON out; the rules are the service's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from portraitist.studio.accounts.signed_in import MemberId, OperatorOnly
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.provider.accounts import Account
from portraitist.studio.training import pins, service
from portraitist.studio.training.domain import NEXT_STEPS
from portraitist.studio.training.progress import Source, source
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.service import Seen


def accounts_of(request: Request) -> Sequence[Account]:
    """The configured provider accounts."""
    return cast(Sequence[Account], request.app.state.accounts)


AccountsDep = Annotated[Sequence[Account], Depends(accounts_of)]
router = APIRouter(prefix="/api/v1", tags=["training"])


class TrainingOut(BaseModel):
    """A training as it stands.

    `requested` are the hyperparameters asked for, `effective` what the engine really does; `percent` follows
    the steps really done and is null while none is known; `photos` are digests of the uploaded files.
    `progress_source` says what phase and steps are read from: the provider's `log`, or, where it gives none, no
    more than the time `elapsed`. `eta_seconds` is learned from this studio's own trainings; null: unknown.
    """

    id: UUID
    status: str
    phase: str
    step: int | None
    total_steps: int | None
    percent: int | None
    progress_source: Source | None
    elapsed_seconds: int
    eta_seconds: int | None
    logs_tail: str
    error_code: str | None
    error: str | None
    next_step: str | None
    attempt: int
    requested: dict[str, Any]
    effective: dict[str, Any]
    destination: str
    trigger_word: str
    photos: list[str]
    version: str | None
    active: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, seen: Seen) -> "TrainingOut":
        """From the row and what belongs to it."""
        training = seen.training
        return cls(
            id=training.id,
            status=training.status,
            phase=training.phase,
            step=training.step,
            total_steps=training.total_steps,
            percent=training.percent,
            progress_source=source(training),
            elapsed_seconds=seen.elapsed_s,
            eta_seconds=seen.remaining_s,
            logs_tail=training.logs_tail,
            error_code=training.error_code,
            error=training.error,
            next_step=NEXT_STEPS.get(training.status),
            attempt=training.attempt,
            requested=training.requested,
            effective=training.effective,
            destination=training.destination,
            trigger_word=training.trigger_word,
            photos=[digest.hex() for digest in seen.photos],
            version=seen.version.name if seen.version else None,
            active=seen.active,
            created_at=training.created_at,
            started_at=training.started_at,
            finished_at=training.finished_at,
        )


class TrainingsOut(BaseModel):
    """The member's trainings, newest first."""

    items: list[TrainingOut]


class VersionOut(BaseModel):
    """A verified version of the member's own model."""

    id: UUID
    version: str
    training_id: UUID
    created_at: datetime
    promoted_at: datetime | None
    photos: list[str]

    @classmethod
    def of(cls, version: ModelVersion, photos: list[bytes]) -> "VersionOut":
        """From the row and the photos it was made of."""
        return cls(
            id=version.id,
            version=version.name,
            training_id=version.training_id,
            created_at=version.created_at,
            promoted_at=version.promoted_at,
            photos=[digest.hex() for digest in photos],
        )


class ModelsOut(BaseModel):
    """The version that pictures are made with, and the member's whole history."""

    active: VersionOut | None
    versions: list[VersionOut]


@router.post("/trainings", status_code=201)
async def start_training(
    user_id: MemberId, core: CoreDep, now: NowDep, accounts: AccountsDep, key: IdempotencyKey = None
) -> TrainingOut:
    """Train a new version of the member's model on all accepted photos."""
    account = await pins.account_of(core.db, user_id, accounts)
    per_day = core.settings.training_starts_per_member
    async with core.db.member(user_id) as tx:
        training = await service.start(
            tx, owner=account.username, account_id=account.id, key=key, per_day=per_day, now=now()
        )
        await pins.pin(tx, account)
        return TrainingOut.of(await service.see(tx, training.id))


@router.get("/trainings")
async def list_trainings(user_id: MemberId, core: CoreDep) -> TrainingsOut:
    """The member's trainings, newest first."""
    async with core.db.member(user_id) as tx:
        return TrainingsOut(items=[TrainingOut.of(seen) for seen in await service.see_all(tx)])


@router.get("/trainings/{training_id}")
async def get_training(training_id: UUID, user_id: MemberId, core: CoreDep) -> TrainingOut:
    """One training as it stands."""
    async with core.db.member(user_id) as tx:
        return TrainingOut.of(await service.see(tx, training_id))


@router.post("/trainings/{training_id}/cancel")
async def cancel_training(training_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> TrainingOut:
    """Ask for the end of a training, at whatever stage."""
    async with core.db.member(user_id) as tx:
        await service.cancel(tx, training_id, now())
        return TrainingOut.of(await service.see(tx, training_id))


@router.post("/trainings/{training_id}/retry")
async def retry_training(training_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> TrainingOut:
    """Look for the version of a finished training again, or test it again; costs nothing."""
    async with core.db.member(user_id) as tx:
        await service.retry(tx, training_id, now())
        return TrainingOut.of(await service.see(tx, training_id))


class AccountIn(BaseModel):
    """Which provider account a member's next training goes to."""

    model_config = ConfigDict(extra="forbid")
    account_id: str


@router.put("/operator/members/{user_id}/account", tags=["operator"], dependencies=[OperatorOnly])
async def move_member(user_id: str, body: AccountIn, core: CoreDep, accounts: AccountsDep) -> AccountIn:
    """Let a member's next training go to another account; their working models stay where they are."""
    async with core.db.member(user_id) as tx:
        moved = await pins.move(tx, accounts, body.account_id)
    return AccountIn(account_id=moved.id)


class OperatorTrainingOut(BaseModel):
    """A training as the operator sees it: where it stands and why, nothing of the member."""

    id: UUID
    status: str
    error_code: str | None
    error: str | None
    next_check_at: datetime


@router.post("/operator/trainings/{training_id}/retry", tags=["operator"], dependencies=[OperatorOnly])
async def retry_for_member(training_id: UUID, core: CoreDep, now: NowDep) -> OperatorTrainingOut:
    """The member's retry, by the operator: the same path, no new cost."""
    async with core.db.system() as tx:
        user_id = await service.member_of(tx, training_id)
    async with core.db.member(user_id) as tx:
        await service.retry(tx, training_id, now())
        training = (await service.see(tx, training_id)).training
    return OperatorTrainingOut(
        id=training.id,
        status=training.status,
        error_code=training.error_code,
        error=training.error,
        next_check_at=training.next_check_at,
    )


@router.get("/models")
async def models(user_id: MemberId, core: CoreDep) -> ModelsOut:
    """The member's model: active version and history."""
    async with core.db.member(user_id) as tx:
        active = await service.active_version(tx)
        versions = [VersionOut.of(version, photos) for version, photos in await service.versions(tx)]
    return ModelsOut(
        active=next((v for v in versions if active and v.id == active.id), None), versions=versions
    )


@router.post("/models/{version_id}/activate")
async def activate(version_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> ModelsOut:
    """Make an earlier version the active one."""
    async with core.db.member(user_id) as tx:
        await service.roll_back(tx, version_id, now())
    return await models(user_id, core)
