"""`/api/v1/trainings` and `/api/v1/models`: JSON in, JSON out; the rules are the service's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import MemberId, OperatorId, OperatorOnly
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.openapi import problems
from portraitist.studio.paging import USUAL, Cursor, Limit, Position, cut, wanted
from portraitist.studio.provider.accounts import Account
from portraitist.studio.training import helping, pins, service, views
from portraitist.studio.training.domain import NEXT_STEPS, Training
from portraitist.studio.training.progress import Source, source
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.views import Seen


def accounts_of(request: Request) -> Sequence[Account]:
    """The configured provider accounts."""
    return cast(Sequence[Account], request.app.state.accounts)


AccountsDep = Annotated[Sequence[Account], Depends(accounts_of)]
router = APIRouter(prefix="/api/v1", tags=["training"])
operator_router = APIRouter(prefix="/api/v1/operator", tags=["operator"], dependencies=[OperatorOnly])
ABSENT = problems("training_not_found")
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
VERSION = f"studio/k3v9x2m7q1ab-selfie-lora:{DIGEST}"


class TrainingOut(BaseModel):
    """A training as it stands.

    `requested` are the hyperparameters asked for, `effective` what the engine really does; `percent` follows
    the steps really done and is null while none is known; `photos` are digests of the uploaded files.
    `progress_source` says what phase and steps are read from: the provider's `log`, or, where it gives none, no
    more than the time `elapsed`. `eta_seconds` is learned from this studio's own trainings; null: unknown.
    """

    id: UUID
    status: str = Field(examples=["training"])
    phase: str = Field(examples=["training"])
    step: int | None = Field(examples=[420])
    total_steps: int | None = Field(examples=[1000])
    percent: int | None = Field(examples=[42])
    progress_source: Source | None
    elapsed_seconds: int = Field(examples=[310])
    eta_seconds: int | None = Field(examples=[480])
    logs_tail: str = Field(
        examples=["flux_train_replicate:  42%|####2     | 420/1000 [04:10<05:46, 1.68it/s]"]
    )
    error_code: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    next_step: str | None = Field(examples=[None])
    attempt: int = Field(examples=[1])
    requested: dict[str, Any] = Field(examples=[{"steps": 1000, "lora_rank": 16}])
    effective: dict[str, Any] = Field(examples=[{"steps": 1000}])
    destination: str = Field(examples=["studio/k3v9x2m7q1ab-selfie-lora"])
    trigger_word: str = Field(examples=["userk3v9x2m7q1ab"])
    photos: list[str] = Field(examples=[[DIGEST]])
    version: str | None = Field(examples=[None])
    active: bool = Field(examples=[False])
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
            version=seen.version,
            active=seen.active,
            created_at=training.created_at,
            started_at=training.started_at,
            finished_at=training.finished_at,
        )


class TrainingsOut(BaseModel):
    """A page of trainings, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[TrainingOut]
    next: str | None = Field(examples=[None])


class VersionOut(BaseModel):
    """A verified version of the member's own model."""

    id: UUID
    version: str = Field(examples=[VERSION])
    training_id: UUID
    created_at: datetime
    promoted_at: datetime | None
    photos: list[str] = Field(examples=[[DIGEST]])

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
    """The version that pictures are made with, and a page of the member's history, newest first.

    `next` is the cursor of the next page, null on the last.
    """

    active: VersionOut | None
    versions: list[VersionOut]
    next: str | None = Field(examples=[None])


@router.post(
    "/trainings",
    status_code=201,
    responses=problems("too_few_photos", "training_in_hand", "start_budget_spent", "no_room_for_models"),
)
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
        return TrainingOut.of(await views.see(tx, training.id))


@router.get("/trainings", responses=problems("cursor_invalid"))
async def list_trainings(
    user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL
) -> TrainingsOut:
    """The member's trainings, newest first."""
    async with core.db.member(user_id) as tx:
        found, following = await views.page(tx, wanted(cursor, limit))
    return TrainingsOut(items=[TrainingOut.of(seen) for seen in found], next=following)


@router.get("/trainings/{training_id}", responses=ABSENT)
async def get_training(training_id: UUID, user_id: MemberId, core: CoreDep) -> TrainingOut:
    """One training as it stands."""
    async with core.db.member(user_id) as tx:
        return TrainingOut.of(await views.see(tx, training_id))


@router.post("/trainings/{training_id}/cancel", responses=problems("training_not_found", "training_ended"))
async def cancel_training(training_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> TrainingOut:
    """Ask for the end of a training, at whatever stage."""
    async with core.db.member(user_id) as tx:
        await service.cancel(tx, training_id, now())
        return TrainingOut.of(await views.see(tx, training_id))


@router.post("/trainings/{training_id}/retry", responses=problems("training_not_found", "nothing_to_retry"))
async def retry_training(training_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> TrainingOut:
    """Look for the version of a finished training again, or test it again; costs nothing."""
    async with core.db.member(user_id) as tx:
        await service.retry(tx, training_id, now())
        return TrainingOut.of(await views.see(tx, training_id))


class AccountIn(BaseModel):
    """Which provider account a member's next training goes to."""

    model_config = ConfigDict(extra="forbid")
    account_id: str = Field(max_length=200, examples=["cloud"])


@operator_router.put(
    "/members/{user_id}/account",
    responses=problems("member_not_found", "account_not_found", "no_room_for_models"),
)
async def move_member(
    user_id: str, body: AccountIn, by: OperatorId, core: CoreDep, accounts: AccountsDep
) -> AccountIn:
    """Let a member's next training go to another account; their working models stay where they are."""
    moved = await helping.move(core.db, accounts, by, user_id, body.account_id)
    return AccountIn(account_id=moved.id)


class OperatorTrainingOut(BaseModel):
    """A training as the operator sees it: where it stands and why, nothing of the member."""

    id: UUID
    status: str = Field(examples=["extracting"])
    error_code: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    next_check_at: datetime

    @classmethod
    def of(cls, training: Training) -> "OperatorTrainingOut":
        """From the row."""
        return cls(**{name: getattr(training, name) for name in cls.model_fields})


@operator_router.post(
    "/trainings/{training_id}/retry", responses=problems("training_not_found", "nothing_to_retry")
)
async def retry_for_member(
    training_id: UUID, by: OperatorId, core: CoreDep, now: NowDep
) -> OperatorTrainingOut:
    """The member's retry, by the operator: the same path, no new cost."""
    return OperatorTrainingOut.of(await helping.retry(core.db, by, training_id, now()))


@operator_router.post(
    "/trainings/{training_id}/cancel", responses=problems("training_not_found", "training_ended")
)
async def cancel_for_member(
    training_id: UUID, by: OperatorId, core: CoreDep, now: NowDep
) -> OperatorTrainingOut:
    """Ask for the end of a member's training, at whatever stage."""
    return OperatorTrainingOut.of(await helping.cancel(core.db, by, training_id, now()))


@operator_router.post(
    "/trainings/{training_id}/again",
    status_code=201,
    responses=problems(
        "training_not_found",
        "training_not_failed",
        "training_in_hand",
        "too_few_photos",
        "no_room_for_models",
    ),
)
async def begin_again_for_member(
    training_id: UUID, by: OperatorId, core: CoreDep, now: NowDep, accounts: AccountsDep
) -> OperatorTrainingOut:
    """Train again on the member's photos in place of a training that failed; asked twice it is the same one."""
    return OperatorTrainingOut.of(await helping.again(core.db, accounts, by, training_id, now()))


@router.get("/models", responses=problems("cursor_invalid"))
async def models(user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL) -> ModelsOut:
    """The member's model: active version and history."""
    page = wanted(cursor, limit)
    async with core.db.member(user_id) as tx:
        active = await views.active_version(tx)
        found = await views.versions(tx, page)
    shown, following = cut(found, page, lambda seen: Position(seen[0].created_at, seen[0].id))
    return ModelsOut(
        active=None if active is None else VersionOut.of(*active),
        versions=[VersionOut.of(*each) for each in shown],
        next=following,
    )


@router.post("/models/{version_id}/activate", responses=problems("version_not_found"))
async def activate(version_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> ModelsOut:
    """Make an earlier version the active one."""
    async with core.db.member(user_id) as tx:
        await service.roll_back(tx, version_id, now())
    return await models(user_id, core)
