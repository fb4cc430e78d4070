"""`/api/v1/images` as a list, its zip, and `/api/v1/albums`: JSON in, JSON out; the rules are the service's."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.gallery import service, zipping
from portraitist.studio.gallery.domain import ALBUM_NAME_CHARS, Album, Filter
from portraitist.studio.http import Core, CoreDep, IdempotencyKey, NowDep
from portraitist.studio.images.domain import Image
from portraitist.studio.images.endpoints import AT_ONCE, PRIVATE, ImageIdsIn, ImageOut, attachment
from portraitist.studio.openapi import file_of, problems
from portraitist.studio.paging import MOST, USUAL, Cursor, Limit, wanted

router = APIRouter(prefix="/api/v1")
NO_ALBUM = problems("album_not_found")
NO_ALBUM_OR_IMAGE = problems("album_not_found", "image_not_found")
ZIP = file_of("application/zip")


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)  # PostgreSQL takes no zone that is sixteen hours or more away
    except OverflowError as exc:
        raise ValueError("is before or after every year there is") from exc


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class ImagesOut(BaseModel):
    """A page of pictures, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[ImageOut]
    next: str | None = Field(examples=["AAMBX2sd-oA_DCwYjUpOpuk8b2f2t6EA"])


class AlbumIn(BaseModel):
    """An album's name."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=2 * ALBUM_NAME_CHARS, examples=["Summer by the sea"])


class AlbumOut(BaseModel):
    """An album: how many pictures are in it, and the newest of them as its cover."""

    id: UUID
    name: str = Field(examples=["Summer by the sea"])
    pictures: int = Field(examples=[12])
    cover_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, album: Album) -> "AlbumOut":
        """From the row."""
        return cls(**vars(album))


class AlbumsOut(BaseModel):
    """A page of albums, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[AlbumOut]
    next: str | None = Field(examples=[None])


def filter_of(
    *,
    q: Annotated[
        str, Query(max_length=200, description="Words of the prompt, or how they begin.", examples=["garden"])
    ] = "",
    saved: Annotated[bool | None, Query(description="In the gallery, or still a preview.")] = None,
    favourite: bool | None = None,
    album: Annotated[UUID | None, Query(description="Pictures of this album.")] = None,
    since: Annotated[Moment | None, Query(description="Made then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Made before then.")] = None,
    deleted: Annotated[bool, Query(description="What can still be had back, instead of the rest.")] = False,
    look: Annotated[
        str | None, Query(max_length=100, description="Pictures of this look.", examples=["golden-hour"])
    ] = None,
) -> Filter:
    """Which pictures a request is about."""
    words, of_look = q.replace("\0", " ").strip(), None if look is None else look.replace("\0", " ")
    return Filter(words, saved, favourite, album, since, until, deleted, look=of_look)


FilterDep = Annotated[Filter, Depends(filter_of)]


@router.get("/images", tags=["images"], responses=problems("cursor_invalid", "album_not_found"))
async def list_images(
    user_id: MemberId, core: CoreDep, filter_: FilterDep, cursor: Cursor = None, limit: Limit = USUAL
) -> ImagesOut:
    """The member's pictures, newest first: all, or those that fit every condition given."""
    async with core.db.member(user_id, once=filter_.album_id is None) as tx:
        found, following = await service.page(tx, filter_, wanted(cursor, limit))
    return ImagesOut(items=[ImageOut.of(image) for image in found], next=following)


@router.get("/images/zip", tags=["images"], response_class=StreamingResponse, responses=ZIP | NO_ALBUM)
async def zip_images(
    user_id: MemberId,
    core: CoreDep,
    filter_: FilterDep,
    now: NowDep,
    id: Annotated[  # noqa: A002  # its name in the address
        list[UUID] | None, Query(max_length=AT_ONCE, description="Only these; may be repeated.")
    ] = None,
) -> StreamingResponse:
    """Many pictures or all in one file, with what is known of each; made while it is sent."""
    return await zip_of(core, user_id, replace(filter_, ids=None if id is None else tuple(id)), now())


async def zip_of(core: Core, user_id: str, chosen: Filter, now: datetime) -> StreamingResponse:
    """The zip as it is sent. Raises NotFound for the album."""
    name = f"{now:%Y-%m-%d} pictures.zip"
    if chosen.album_id is not None:
        async with core.db.member(user_id) as tx:
            name = f"{(await service.album(tx, chosen.album_id)).name}.zip".replace("/", "-")
    pieces = zipping.stream(_pictures(core, user_id, chosen), core.objects)
    return StreamingResponse(pieces, media_type="application/zip", headers=PRIVATE | attachment(name))


async def _pictures(core: Core, user_id: str, chosen: Filter) -> AsyncIterator[Image]:
    """All that fit, page by page: no transaction is open while they are sent."""
    cursor: str | None = None
    while True:
        async with core.db.member(user_id) as tx:
            found, cursor = await service.page(tx, chosen, wanted(cursor, MOST))
        for image in found:
            yield image
        if cursor is None:
            return


@router.post(
    "/albums", tags=["albums"], status_code=201, responses=problems("album_exists", "album_name_invalid")
)
async def create_album(
    body: AlbumIn, user_id: MemberId, core: CoreDep, now: NowDep, key: IdempotencyKey = None
) -> AlbumOut:
    """A new, empty album."""
    async with core.db.member(user_id) as tx:
        return AlbumOut.of(await service.create(tx, body.name, key, now()))


@router.get("/albums", tags=["albums"], responses=problems("cursor_invalid"))
async def list_albums(
    user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL
) -> AlbumsOut:
    """The member's albums, newest first. Their pictures: `GET /api/v1/images?album=…`."""
    async with core.db.member(user_id) as tx:
        found, following = await service.albums(tx, wanted(cursor, limit))
    return AlbumsOut(items=[AlbumOut.of(album) for album in found], next=following)


@router.get("/albums/{album_id}", tags=["albums"], responses=NO_ALBUM)
async def get_album(album_id: UUID, user_id: MemberId, core: CoreDep) -> AlbumOut:
    """One album."""
    async with core.db.member(user_id) as tx:
        return AlbumOut.of(await service.album(tx, album_id))


@router.patch(
    "/albums/{album_id}",
    tags=["albums"],
    responses=problems("album_not_found", "album_exists", "album_name_invalid"),
)
async def rename_album(album_id: UUID, body: AlbumIn, user_id: MemberId, core: CoreDep) -> AlbumOut:
    """Give an album another name."""
    async with core.db.member(user_id) as tx:
        return AlbumOut.of(await service.rename(tx, album_id, body.name))


@router.delete("/albums/{album_id}", tags=["albums"], status_code=204, responses=NO_ALBUM)
async def delete_album(album_id: UUID, user_id: MemberId, core: CoreDep) -> None:
    """Remove an album; its pictures stay."""
    async with core.db.member(user_id) as tx:
        await service.delete(tx, album_id)


@router.post("/albums/{album_id}/images", tags=["albums"], responses=NO_ALBUM_OR_IMAGE)
async def put_into_album(album_id: UUID, body: ImageIdsIn, user_id: MemberId, core: CoreDep) -> AlbumOut:
    """Put pictures into an album, all or none; what is in an album is saved."""
    async with core.db.member(user_id) as tx:
        return AlbumOut.of(await service.put_in(tx, album_id, body.ids))


@router.delete("/albums/{album_id}/images/{image_id}", tags=["albums"], responses=NO_ALBUM_OR_IMAGE)
async def take_out_of_album(album_id: UUID, image_id: UUID, user_id: MemberId, core: CoreDep) -> AlbumOut:
    """Take a picture out of an album; it stays among the others."""
    async with core.db.member(user_id) as tx:
        return AlbumOut.of(await service.take_out(tx, album_id, image_id))
