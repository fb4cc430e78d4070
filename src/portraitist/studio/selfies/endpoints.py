"""`/api/v1/selfies`: JSON and multipart in, JSON out; the rules are the service's."""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, File, Request, UploadFile
from pydantic import BaseModel

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.errors import BadInput
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.selfies import service
from portraitist.studio.selfies.domain import Limits
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.selfies.service import MAX_PHOTOS, MIN_PHOTOS, SelfieService

router = APIRouter(prefix="/api/v1/selfies", tags=["selfies"])
MAX_FILES = 20


def service_of(request: Request) -> SelfieService:
    """The process's one service, with its sandboxes."""
    return cast(SelfieService, request.app.state.selfies)


ServiceDep = Annotated[SelfieService, Depends(service_of)]


class SelfieOut(BaseModel):
    """A judged photo. `reason` says in plain words why it was rejected and how to mend it."""

    id: UUID
    file_name: str
    source_sha256: str
    status: str
    reason_code: str | None
    reason: str | None
    width: int | None
    height: int | None
    created_at: datetime

    @classmethod
    def of(cls, selfie: Selfie) -> "SelfieOut":
        """From the row."""
        return cls(
            id=selfie.id,
            file_name=selfie.file_name,
            source_sha256=selfie.source_sha256.hex(),
            status=selfie.status,
            reason_code=selfie.reason_code,
            reason=selfie.reason,
            width=selfie.width,
            height=selfie.height,
            created_at=selfie.created_at,
        )


class JudgedOut(BaseModel):
    """The verdicts on the photos of one upload, in their order."""

    items: list[SelfieOut]


class SelfiesOut(BaseModel):
    """Every photo of the member, and how far that is towards a training."""

    items: list[SelfieOut]
    accepted: int
    rejected: int
    minimum: int = MIN_PHOTOS
    maximum: int = MAX_PHOTOS


@router.post("")
async def add_selfies(
    files: Annotated[list[UploadFile], File(max_length=MAX_FILES)],
    user_id: MemberId,
    selfies: ServiceDep,
    now: NowDep,
) -> JudgedOut:
    """Judge photos, several at once; a bad file is one rejected photo."""
    if len(files) > MAX_FILES:
        raise BadInput(
            "too_many_files", f"At most {MAX_FILES} photos at once.", next_step="Send them in turns."
        )
    judged = []
    for file in files:
        data = await file.read(Limits.max_bytes + 1)  # one byte too many is enough to say no
        judged.append(await selfies.add(user_id, file.filename or "photo", data, now()))
    return JudgedOut(items=[SelfieOut.of(selfie) for selfie in judged])


@router.get("")
async def list_selfies(user_id: MemberId, core: CoreDep) -> SelfiesOut:
    """Every judged photo of the member."""
    async with core.db.member(user_id) as tx:
        photos = await service.see_all(tx)
    accepted = sum(photo.accepted for photo in photos)
    return SelfiesOut(
        items=[SelfieOut.of(photo) for photo in photos], accepted=accepted, rejected=len(photos) - accepted
    )


@router.delete("/{selfie_id}", status_code=204)
async def delete_selfie(selfie_id: UUID, user_id: MemberId, selfies: ServiceDep) -> None:
    """Forget one photo for good."""
    await selfies.delete(user_id, selfie_id)
