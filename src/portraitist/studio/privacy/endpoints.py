"""`/api/v1/account`, `/receipt`, and what takes things back: JSON in, JSON out; the rules are the service's."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import FromHere, MemberId, SignInDep, WhoDep
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.openapi import problems
from portraitist.studio.privacy import service
from portraitist.studio.privacy.domain import Artefact, Outcome, Scope, Stage
from portraitist.studio.privacy.repository import Receipt
from portraitist.studio.privacy.service import Begun

router = APIRouter(prefix="/api/v1", tags=["privacy"])
ReceiptToken = Annotated[
    str,
    Header(
        alias="Receipt-Token",
        min_length=8,
        max_length=200,
        description="The token that the erasure began with.",
    ),
]


OwnToken = Annotated[
    str | None,
    Header(
        alias="Receipt-Token",
        min_length=32,
        max_length=200,
        description="A random token of your own for the receipt, so that a lost answer loses nothing.",
    ),
]


class GoodbyeIn(BaseModel):
    """That it is really you: the password, where the account has one."""

    model_config = ConfigDict(extra="forbid")
    password: str | None = Field(default=None, max_length=1024, examples=["violet harbour seven lamps"])


class BegunOut(BaseModel):
    """An erasure that has begun. The token opens its receipt and is shown this once."""

    id: UUID
    scope: Scope = Field(examples=["account"])
    stage: Stage = Field(examples=["stop"])
    receipt_token: str = Field(examples=["prc_Zb0u4Vv5d2s0m7x1c9Kq3w8e6r4t2y0uIoPaSdFgHjk"])

    @classmethod
    def of(cls, begun: Begun) -> "BegunOut":
        """From what was begun."""
        erasure = begun.erasure
        return cls(id=erasure.id, scope=erasure.scope, stage=erasure.stage, receipt_token=begun.receipt_token)


class ArtefactOut(BaseModel):
    """One line of a receipt: what, where, and what became of it. `count` null: nobody knows how many."""

    kind: str = Field(examples=["photo"])
    place: str = Field(examples=["storage"])
    outcome: Outcome = Field(examples=["deleted"])
    count: int | None = Field(examples=[14])
    why: str | None = Field(examples=["Backups of the operator hold it until they expire."])


class ReceiptOut(BaseModel):
    """What became of everything, as far as it is known now; `waits_for` says what it waits for."""

    id: UUID
    scope: Scope = Field(examples=["account"])
    stage: Stage = Field(examples=["watch"])
    artefacts: list[ArtefactOut]
    waits_for: str | None = Field(examples=["3 runs are being stopped."])
    held: bool = Field(description="Accepted, and waiting for something else to end first.")
    started_at: datetime
    erased_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, receipt: Receipt) -> "ReceiptOut":
        """From the row."""
        lines = [Artefact(**line) for line in receipt.artefacts]
        return cls(
            id=receipt.id,
            scope=Scope(receipt.scope),
            stage=Stage(receipt.stage),
            artefacts=[ArtefactOut(**vars(line)) for line in lines],
            waits_for=receipt.waits_for,
            held=receipt.held,
            started_at=receipt.started_at,
            erased_at=receipt.erased_at,
            finished_at=receipt.finished_at,
        )


@router.delete(
    "/account",
    status_code=202,
    responses=problems(
        "password_wrong",
        "fresh_sign_in_needed",
        "too_many_tries",
        "busy",
        "account_erasing",
        "receipt_token_used",
    ),
)
async def erase_account(
    body: GoodbyeIn,
    *,
    who: WhoDep,
    core: CoreDep,
    doors: SignInDep,
    now: NowDep,
    token: OwnToken = None,
) -> BegunOut:
    """Erase this account and everything made with it, at the provider too. It can't be undone.

    Every session and token ends at once; the receipt's token is all that is left. Keep it.
    """
    if await doors.confirm(who.user_id, body.password, now()) is None:
        await doors.require_fresh(
            who, now()
        )  # nothing to type in here: a passkey, a mailed link or a provider
    async with core.db.member(who.user_id) as tx:
        return BegunOut.of(await service.erase_account(tx, token, now()))


@router.post(
    "/consents/withdraw", status_code=202, responses=problems("account_erasing", "receipt_token_used")
)
async def withdraw_consent(user_id: MemberId, core: CoreDep, now: NowDep, token: OwnToken = None) -> BegunOut:
    """Take your consent back: photos, models and pictures are erased; the account stays."""
    async with core.db.member(user_id) as tx:
        return BegunOut.of(await service.withdraw_consent(tx, token, now()))


@router.delete(
    "/models/{version_id}",
    status_code=202,
    responses=problems("version_not_found", "account_erasing", "receipt_token_used"),
)
async def erase_version(
    version_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep, token: OwnToken = None
) -> BegunOut:
    """Erase one version of your model, at the provider too; the pictures that were made with it stay."""
    async with core.db.member(user_id) as tx:
        return BegunOut.of(await service.erase_version(tx, version_id, token, now()))


@router.post(
    "/images/{image_id}/erase",
    status_code=202,
    responses=problems("image_not_found", "generation_unfinished", "receipt_token_used"),
)
async def erase_image(
    image_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep, token: OwnToken = None
) -> BegunOut:
    """Erase one picture now, without the time for undo."""
    async with core.db.member(user_id) as tx:
        return BegunOut.of(await service.erase_picture(tx, image_id, token, now()))


@router.get("/receipt", dependencies=[FromHere], responses=problems("receipt_not_found", "foreign_origin"))
async def receipt(token: ReceiptToken, core: CoreDep) -> ReceiptOut:
    """The receipt of an erasure, open to whoever has its token: the account may be gone."""
    async with core.db.nobody() as tx:
        return ReceiptOut.of(await service.receipt(tx, token))
