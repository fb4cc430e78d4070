"""`/api/v1/selfies`: JSON and multipart in, JSON out; the rules are the service's."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.errors import BadInput
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.locale.words import said
from portraitist.studio.openapi import file_of, problems
from portraitist.studio.paging import Cursor, Position, cut, wanted
from portraitist.studio.selfies import service
from portraitist.studio.selfies.domain import Limits
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.selfies.service import MAX_PHOTOS, MAX_REJECTED, MIN_PHOTOS, SelfieService
from portraitist.studio.selfies.variety import Framing, Variety

router = APIRouter(prefix="/api/v1/selfies", tags=["selfies"])
MAX_FILES = 20
MOST = MAX_PHOTOS + MAX_REJECTED  # all that a member can have: a page by itself, unless fewer are asked for
MAX_UPLOAD = (MAX_FILES + 1) * Limits.max_bytes  # as many photos as go at once, and their wrapping
SEND_FILES = f"Send 1 to {MAX_FILES} photos as parts named 'files' of a multipart form."
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                        }
                    },
                }
            }
        },
    }
}


def service_of(request: Request) -> SelfieService:
    """The process's one service, with its sandboxes."""
    return cast(SelfieService, request.app.state.selfies)


ServiceDep = Annotated[SelfieService, Depends(service_of)]


WAITS = "The service that counts faces does not answer. The photo waits and is looked at again by itself."


class SelfieOut(BaseModel):
    """A judged photo: accepted, rejected, or waiting for its faces to be counted (where the operator has that done).

    `reason` says in plain words why it was rejected and how to mend it, or what it waits for.
    """

    id: UUID
    file_name: str = Field(examples=["IMG_0412.HEIC"])
    source_sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    status: str = Field(examples=["accepted"])
    reason_code: str | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    width: int | None = Field(examples=[1024])
    height: int | None = Field(examples=[1365])
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
            reason=said(WAITS if selfie.waits else selfie.reason or "") or None,
            width=selfie.width,
            height=selfie.height,
            created_at=selfie.created_at,
        )


class JudgedOut(BaseModel):
    """The verdicts on the photos of one upload, in their order."""

    items: list[SelfieOut]


class VarietyOut(BaseModel):
    """What the accepted photos have between them, as far as it was measured. `lacks`: what more would best bring.

    `framing` counts photos by how near the face is; null where nobody finds faces (FACE_DETECTOR_URL).
    """

    measured: int = Field(examples=[12])
    lights: int = Field(examples=[2], description="Kinds of light.")
    places: int = Field(examples=[5], description="Backgrounds that are unlike each other.")
    framing: dict[Framing, int] | None = Field(examples=[{"close": 6, "half": 5, "full": 1}])
    lacks: list[str] = Field(examples=[["light"]])

    @classmethod
    def of(cls, found: Variety) -> "VarietyOut":
        """From what was measured."""
        return cls(
            measured=found.measured,
            lights=found.lights,
            places=found.places,
            framing=found.framing,
            lacks=found.lacks,
        )


class SelfiesOut(BaseModel):
    """A page of the member's photos, in the order they came, and how far all of them are towards a training.

    `next` is the cursor of the next page, null on the last.
    """

    items: list[SelfieOut]
    next: str | None = Field(examples=[None])
    accepted: int = Field(examples=[12])
    rejected: int = Field(examples=[1])
    waiting: int = Field(examples=[0])
    variety: VarietyOut
    minimum: int = MIN_PHOTOS
    maximum: int = MAX_PHOTOS


async def photos_of(request: Request, _signed_in: MemberId) -> AsyncIterator[list[UploadFile]]:
    """The files of the form; read only once somebody is known, so that no stranger fills the disk."""
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=0)
    except HTTPException as exc:  # the parser's: too many parts, or no form at all
        if exc.status_code != 400:
            raise
        raise BadInput("form_unreadable", str(exc.detail), next_step=SEND_FILES) from exc
    try:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        if not files:
            raise BadInput("no_files", "There is no photo in this request.", next_step=SEND_FILES)
        yield files
    finally:
        await form.close()


@router.post(
    "",
    max_body_size=MAX_UPLOAD,
    openapi_extra=FORM,
    responses=problems(
        "form_unreadable",
        "no_files",
        "consent_needed",
        "too_many_photos",
        "too_many_rejected",
        "body_too_large",
        "disk_full",
    ),
)
async def add_selfies(
    files: Annotated[list[UploadFile], Depends(photos_of)],
    user_id: MemberId,
    selfies: ServiceDep,
    now: NowDep,
) -> JudgedOut:
    """Judge photos, several at once; a bad file is one rejected photo."""
    judged = []
    for file in files:
        data = await file.read(Limits.max_bytes + 1)  # one byte too many is enough to say no
        judged.append(await selfies.add(user_id, file.filename or "photo", data, now()))
    return JudgedOut(items=[SelfieOut.of(selfie) for selfie in judged])


@router.get("", responses=problems("cursor_invalid"))
async def list_selfies(
    user_id: MemberId,
    core: CoreDep,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = MOST,
) -> SelfiesOut:
    """The judged photos of the member, first come first."""
    page = wanted(cursor, limit)
    async with core.db.member(user_id) as tx:
        photos = await service.see_all(tx)
    accepted, waiting = sum(photo.accepted for photo in photos), sum(photo.waits for photo in photos)
    rest = [photo for photo in photos if page.after is None or _place(photo) > page.after]
    shown, following = cut(rest, page, _place)
    return SelfiesOut(
        items=[SelfieOut.of(photo) for photo in shown],
        next=following,
        accepted=accepted,
        rejected=len(photos) - accepted - waiting,
        waiting=waiting,
        variety=VarietyOut.of(service.variety_of(photos)),
    )


def _place(photo: Selfie) -> Position:
    return Position(photo.created_at, photo.id)


@router.get(
    "/{selfie_id}/thumbnail",
    response_class=Response,
    responses=file_of("image/jpeg") | problems("selfie_not_found"),
)
async def get_thumbnail(selfie_id: UUID, user_id: MemberId, selfies: ServiceDep) -> Response:
    """An accepted photo, 320 pixels at most; of a rejected one nothing was kept."""
    return Response(await selfies.thumbnail(user_id, selfie_id), media_type="image/jpeg")


@router.delete("/{selfie_id}", status_code=204, responses=problems("selfie_not_found"))
async def delete_selfie(selfie_id: UUID, user_id: MemberId, selfies: ServiceDep) -> None:
    """Forget one photo for good."""
    await selfies.delete(user_id, selfie_id)
