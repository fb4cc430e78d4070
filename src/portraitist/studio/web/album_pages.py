"""Albums as pages: all of them, made, renamed, deleted. Their pictures are the wall's to show (`wall`)."""

from typing import Annotated
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.errors import StudioError
from portraitist.studio.gallery import service as gallery
from portraitist.studio.paging import MOST, Cursor, wanted
from portraitist.studio.web import rendering
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router, query

router = page_router()
ALBUMS = "/gallery/albums"
Name = Annotated[str, Form(max_length=400)]


@router.get(ALBUMS)
async def albums_page(visit: OwnVisit, cursor: Cursor = None) -> Response:
    """The member's albums with their covers, newest first."""
    return await _page(visit, cursor=cursor)


async def _page(
    visit: MemberVisit, *, name: str = "", refused: StudioError | None = None, cursor: str | None = None
) -> Response:
    async with visit.core.db.member(visit.user_id) as tx:
        albums, following = await gallery.albums(tx, wanted(cursor, MOST))
    shown = {"albums": albums, "next": following, "name": name, "refused": refused}
    return visit.page("albums.html", shown, here="gallery", status=refused.status if refused else 200)


@router.post(ALBUMS)
async def make(visit: OwnVisit, name: Name = "") -> Response:
    """A new album; where its name is refused, it stays in the field."""
    try:
        async with visit.core.db.member(visit.user_id) as tx:
            await gallery.create(tx, name, None, visit.now)
    except StudioError as exc:
        return await _page(visit, name=name, refused=exc)
    return visit.done(ALBUMS, "album-made")


@router.post("/gallery/albums/{album_id}/rename")
async def rename(album_id: UUID, visit: OwnVisit, name: Name = "") -> Response:
    """Another name for an album."""
    async with visit.core.db.member(visit.user_id) as tx:
        await gallery.rename(tx, album_id, name)
    return rendering.seen("/gallery" + query(album=str(album_id)), "album-renamed")


@router.post("/gallery/albums/{album_id}/delete")
async def delete(album_id: UUID, visit: OwnVisit) -> Response:
    """Remove an album; its pictures stay."""
    async with visit.core.db.member(visit.user_id) as tx:
        await gallery.delete(tx, album_id)
    return visit.done(ALBUMS, "album-deleted")
