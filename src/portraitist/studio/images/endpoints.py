"""`/api/v1/images/{id}`: one picture and what its member does with it; bytes for their owner only.

They are never cached in public. Lists, albums and downloads of many are the gallery's.
"""

import contextlib
from datetime import datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.kit.objects import ObjectMissing
from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.http import CoreDep, NowDep
from portraitist.studio.images import copies, service
from portraitist.studio.images.domain import Image, Marks
from portraitist.studio.openapi import file_of, problems

router = APIRouter(prefix="/api/v1/images", tags=["images"])
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
AT_ONCE = 200
ABSENT = problems("image_not_found")


class ImageOut(BaseModel):
    """A stored picture; `index` is its place among those of its generation.

    Until it is saved it is a preview of its generation; both stay until the member deletes them. A deleted one can be
    had back `undo_until` then. `colour` is its main one, to be shown until it has come.
    """

    id: UUID
    generation_id: UUID
    index: int = Field(examples=[0])
    sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    width: int = Field(examples=[896])
    height: int = Field(examples=[1152])
    bytes: int = Field(examples=[1_204_331])
    saved: bool
    favourite: bool
    look: str | None = Field(examples=[None])
    colour: str | None = Field(examples=["#8a7b6c"])
    created_at: datetime
    undo_until: datetime | None

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
            favourite=image.favourite,
            look=image.look,
            colour=image.colour,
            created_at=image.created_at,
            undo_until=image.undo_until,
        )


class MarksIn(BaseModel):
    """What the member says of a picture; what is left out stays. A favourite is saved."""

    model_config = ConfigDict(extra="forbid")
    saved: bool | None = Field(default=None, examples=[True])
    favourite: bool | None = Field(default=None, examples=[True])


class ImageIdsIn(BaseModel):
    """Some pictures."""

    model_config = ConfigDict(extra="forbid")
    ids: list[UUID] = Field(min_length=1, max_length=AT_ONCE)


class SomeImagesOut(BaseModel):
    """The pictures as they are now, in the order asked for."""

    items: list[ImageOut]

    @classmethod
    def of(cls, images: list[Image]) -> "SomeImagesOut":
        """From the rows."""
        return cls(items=[ImageOut.of(image) for image in images])


@router.post("/delete", responses=ABSENT)
async def delete_images(body: ImageIdsIn, user_id: MemberId, core: CoreDep, now: NowDep) -> SomeImagesOut:
    """Delete pictures, all or none. They can be had back until `undo_until`; then they are removed for good."""
    async with core.db.member(user_id) as tx:
        return SomeImagesOut.of(await service.delete(tx, body.ids, now()))


@router.post("/restore", responses=ABSENT)
async def restore_images(body: ImageIdsIn, user_id: MemberId, core: CoreDep, now: NowDep) -> SomeImagesOut:
    """Undo a deletion, of all or none."""
    async with core.db.member(user_id) as tx:
        return SomeImagesOut.of(await service.restore(tx, body.ids, now()))


@router.get("/{image_id}", responses=ABSENT)
async def get_image(image_id: UUID, user_id: MemberId, core: CoreDep) -> ImageOut:
    """One picture's facts."""
    async with core.db.member(user_id) as tx:
        return ImageOut.of(await service.get(tx, image_id))


@router.patch("/{image_id}", responses=ABSENT)
async def mark_image(image_id: UUID, body: MarksIn, user_id: MemberId, core: CoreDep) -> ImageOut:
    """Save a picture to the gallery, make it a favourite, or take either back."""
    async with core.db.member(user_id) as tx:
        return ImageOut.of(await service.mark(tx, image_id, Marks(body.saved, body.favourite)))


@router.delete("/{image_id}", responses=ABSENT)
async def delete_image(image_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> ImageOut:
    """Delete one picture; it can be had back until `undo_until`."""
    async with core.db.member(user_id) as tx:
        return ImageOut.of((await service.delete(tx, [image_id], now()))[0])


@router.post("/{image_id}/restore", responses=ABSENT)
async def restore_image(image_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> ImageOut:
    """Undo a deletion."""
    async with core.db.member(user_id) as tx:
        return ImageOut.of((await service.restore(tx, [image_id], now()))[0])


@router.get("/{image_id}/file", response_class=Response, responses=file_of("image/png") | ABSENT)
async def get_file(
    image_id: UUID,
    user_id: MemberId,
    core: CoreDep,
    download: Annotated[
        bool, Query(description="As a file to keep, under a name that says what it is.")
    ] = False,
) -> Response:
    """The picture itself."""
    async with core.db.member(user_id, once=True) as tx:
        image = await service.get(tx, image_id)
    headers = PRIVATE | (attachment(image.file_name) if download else {})
    return Response(await core.objects.get(image.object_key), media_type="image/png", headers=headers)


@router.get(
    "/{image_id}/small",
    response_class=Response,
    responses=file_of("image/webp", "image/png") | ABSENT,
)
async def get_small(image_id: UUID, user_id: MemberId, core: CoreDep) -> Response:
    """A small copy, at most 512 pixels long; the picture itself as long as there is none, and then one is made."""
    async with core.db.member(user_id, once=True) as tx:
        image = await service.get(tx, image_id)
    if image.small_bytes is None:
        async with core.db.member(user_id) as tx:
            await copies.ask(tx, image)
    else:
        with contextlib.suppress(ObjectMissing):  # a backup of the storage need not have copies
            copy = await core.objects.get(image.small_key)
            return Response(copy, media_type="image/webp", headers=PRIVATE)
    return Response(await core.objects.get(image.object_key), media_type="image/png", headers=PRIVATE)


def attachment(file_name: str) -> dict[str, str]:
    """The header that makes a browser save a file under this name: in ASCII for the old, in full for the rest."""
    plain = file_name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "'")
    full = quote(file_name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"}
