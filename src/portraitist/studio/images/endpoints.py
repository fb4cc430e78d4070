"""`/api/v1/images`: the member's pictures; bytes for their owner only, never cached in public."""

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.errors import BadInput
from portraitist.studio.http import CoreDep
from portraitist.studio.images import service
from portraitist.studio.images.domain import Image

router = APIRouter(prefix="/api/v1/images", tags=["images"])
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class ImageOut(BaseModel):
    """A stored picture; `index` is its place among those of its generation."""

    id: UUID
    generation_id: UUID
    index: int
    sha256: str
    width: int
    height: int
    bytes: int
    saved: bool
    created_at: datetime

    @classmethod
    def of(cls, image: Image) -> "ImageOut":
        """From the row."""
        return cls(
            id=image.id,
            generation_id=image.generation_id,
            index=image.index,
            sha256=image.sha256.hex(),
            width=image.width,
            height=image.height,
            bytes=image.bytes,
            saved=image.saved,
            created_at=image.created_at,
        )


class ImagesOut(BaseModel):
    """A page of pictures, newest first; `next` is the cursor of the next page."""

    items: list[ImageOut]
    next: str | None


@router.get("")
async def list_images(
    user_id: MemberId,
    core: CoreDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ImagesOut:
    """The member's pictures, newest first."""
    before = _read_cursor(cursor) if cursor is not None else None
    async with core.db.member(user_id) as tx:
        found = await service.page(tx, before, limit)
    following = _cursor(found[-1]) if len(found) == limit else None
    return ImagesOut(items=[ImageOut.of(image) for image in found], next=following)


@router.get("/{image_id}")
async def get_image(image_id: UUID, user_id: MemberId, core: CoreDep) -> ImageOut:
    """One picture's facts."""
    async with core.db.member(user_id) as tx:
        return ImageOut.of(await service.get(tx, image_id))


@router.get("/{image_id}/file", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def get_file(image_id: UUID, user_id: MemberId, core: CoreDep) -> Response:
    """The picture itself."""
    async with core.db.member(user_id) as tx:
        image = await service.get(tx, image_id)
    return Response(await core.objects.get(image.object_key), media_type="image/png", headers=PRIVATE)


def _cursor(image: Image) -> str:
    return base64.urlsafe_b64encode(f"{image.created_at.isoformat()} {image.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        when, image_id = base64.urlsafe_b64decode(cursor).decode().split(" ")
        return datetime.fromisoformat(when), UUID(image_id)
    except (ValueError, binascii.Error, UnicodeDecodeError) as exc:
        raise BadInput(
            "cursor_invalid", "That cursor is not one of ours.", next_step="Start without one."
        ) from exc
