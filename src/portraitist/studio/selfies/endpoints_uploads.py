"""`/api/v1/uploads`: a photo in pieces, for lines that break; JSON and bytes in, JSON out.

The headers are those of the IETF's draft on resumable uploads (Upload-Offset, application/partial-upload). Its interim
answers are left out, for no ASGI server sends them: a client asks with GET how far a photo has come.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.http import NowDep, core_of
from portraitist.studio.openapi import problems
from portraitist.studio.selfies.domain import Limits
from portraitist.studio.selfies.endpoints import SelfieOut, service_of
from portraitist.studio.selfies.repository_uploads import Upload
from portraitist.studio.selfies.uploads import MOST_IN_A_PIECE, Uploads

router = APIRouter(prefix="/api/v1/uploads", tags=["selfies"])
ABSENT = problems("upload_not_found")
PIECE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/partial-upload": {
                "schema": {"type": "string", "format": "binary"},
                "example": "…bytes…",
            }
        },
    }
}


async def uploads_of(request: Request) -> Uploads:
    """Made of the process's parts."""
    core = core_of(request)
    return Uploads(core.db, core.objects, service_of(request))


UploadsDep = Annotated[Uploads, Depends(uploads_of)]


class UploadIn(BaseModel):
    """A photo that will come: its name, for messages only, and its length in bytes."""

    model_config = ConfigDict(extra="forbid")
    file_name: str = Field(min_length=1, max_length=1000, examples=["IMG_0412.HEIC"])
    length: int = Field(ge=1, le=Limits.max_bytes, examples=[4_812_344])


class UploadOut(BaseModel):
    """How far a photo has come; the next piece begins at `offset`. With the last one, the verdict."""

    id: UUID
    length: int = Field(examples=[4_812_344])
    offset: int = Field(examples=[0])
    expires_at: datetime
    selfie: SelfieOut | None = None

    @classmethod
    def of(cls, upload: Upload, selfie: SelfieOut | None = None) -> "UploadOut":
        """From the row."""
        return cls(
            id=upload.id,
            length=upload.length,
            offset=upload.received,
            expires_at=upload.expires_at,
            selfie=selfie,
        )


@router.post(
    "",
    status_code=201,
    responses=problems(
        "consent_needed", "upload_too_large", "too_many_photos", "too_many_rejected", "too_many_uploads"
    ),
)
async def begin_upload(body: UploadIn, user_id: MemberId, uploads: UploadsDep, now: NowDep) -> UploadOut:
    """Announce a photo. It has 24 hours to come."""
    return UploadOut.of(await uploads.begin(user_id, body.file_name, body.length, now()))


@router.get("/{upload_id}", responses=ABSENT)
async def get_upload(upload_id: UUID, user_id: MemberId, uploads: UploadsDep) -> UploadOut:
    """How far a photo has come."""
    return UploadOut.of(await uploads.see(user_id, upload_id))


@router.patch(
    "/{upload_id}",
    max_body_size=MOST_IN_A_PIECE,
    openapi_extra=PIECE,
    responses=problems("upload_not_found", "upload_offset", "upload_too_long", "upload_broken"),
)
async def take_piece(
    upload_id: UUID,
    user_id: MemberId,
    *,
    request: Request,
    uploads: UploadsDep,
    now: NowDep,
    offset: Annotated[
        int, Header(alias="Upload-Offset", ge=0, le=Limits.max_bytes, description="Where the piece begins.")
    ],
) -> UploadOut:
    """Send the next piece, of 8 MiB at most. After the last one the photo is judged; an empty one asks again."""
    upload, selfie = await uploads.take(user_id, upload_id, offset, await request.body(), now())
    return UploadOut.of(upload, SelfieOut.of(selfie) if selfie is not None else None)


@router.delete("/{upload_id}", status_code=204, responses=ABSENT)
async def give_up_upload(upload_id: UUID, user_id: MemberId, uploads: UploadsDep) -> None:
    """Forget a photo on its way, and what has come of it."""
    await uploads.give_up(user_id, upload_id)
