"""What is done to several pictures that were chosen on the wall: delete and undo, zip, albums, two side by side.

All or none, as the services behind have it. Choosing nothing, or too many, is told on the wall.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.gallery import service as gallery
from portraitist.studio.gallery.domain import Filter
from portraitist.studio.gallery.endpoints import zip_of
from portraitist.studio.generation import views as generations
from portraitist.studio.images import service as images
from portraitist.studio.images.endpoints import AT_ONCE
from portraitist.studio.web import rendering
from portraitist.studio.web.asked import id_of
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router, query
from portraitist.studio.web.wall import shown

router = page_router()
Ids = Annotated[list[UUID], Form()]
Back = Annotated[str, Form(max_length=2000)]
WALL = "/gallery"
NONE: list[UUID] = []


@router.post("/gallery/chosen")
async def act(
    visit: OwnVisit,
    *,
    id: Ids = NONE,  # noqa: A002  # as a tile's box is called
    what: Annotated[str, Form(max_length=20)] = "",
    back: Back = WALL,
    album: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """What the pressed button says, of what was chosen."""
    wall = rendering.own_path(back)
    if not 1 <= len(id) <= AT_ONCE:
        return rendering.seen(wall, "choose-fewer" if id else "choose-some")
    match what:
        case "compare":
            return await _to_comparison(visit, id, wall)
        case "zip":
            return await zip_of(visit.core, visit.user_id, Filter(ids=tuple(id)), visit.now)
        case "album":
            return await _into_album(visit, id, album, name)
        case "out":
            return await _out_of_album(visit, id, id_of(album), wall)
        case _:
            async with visit.core.db.member(visit.user_id) as tx:
                return shown(await images.delete(tx, id, visit.now), visit, _many(id, "deleted"))


@router.post("/gallery/chosen/restore")
async def restore(visit: OwnVisit, id: Ids = NONE) -> Response:  # noqa: A002
    """Undo the deletion of several."""
    if not id:
        return rendering.seen(WALL, "choose-some")
    async with visit.core.db.member(visit.user_id) as tx:
        return shown(await images.restore(tx, id, visit.now), visit, _many(id, "restored"))


@router.get("/gallery/compare/{image_id}/{other_id}")
async def compare(image_id: UUID, other_id: UUID, visit: OwnVisit) -> Response:
    """Two pictures side by side, with what is known of each."""
    async with visit.core.db.member(visit.user_id) as tx:
        two = [await images.get(tx, each) for each in (image_id, other_id)]
        made = [await generations.see(tx, each.generation_id) for each in two]
    return visit.page("compare.html", {"two": list(zip(two, made, strict=True))}, here="gallery")


def _many(ids: list[UUID], told: str) -> str:
    return told if len(ids) == 1 else f"some-{told}"


async def _to_comparison(visit: MemberVisit, ids: list[UUID], wall: str) -> Response:
    if len(ids) != 2:
        return rendering.seen(wall, "choose-two")
    return rendering.seen(f"/gallery/compare/{ids[0]}/{ids[1]}")


async def _into_album(visit: MemberVisit, ids: list[UUID], album: str, name: str) -> Response:
    """Into the named one, or a new one."""
    async with visit.core.db.member(visit.user_id) as tx:
        into = None if name.strip() else id_of(album)
        if into is None:
            into = (await gallery.create(tx, name, None, visit.now)).id
        await gallery.put_in(tx, into, ids)
    return rendering.seen(WALL + query(album=str(into)), "in-album")


async def _out_of_album(visit: MemberVisit, ids: list[UUID], album_id: UUID | None, wall: str) -> Response:
    if album_id is None:
        return rendering.seen(wall)
    async with visit.core.db.member(visit.user_id) as tx:
        await gallery.take_some_out(tx, album_id, ids)
    return rendering.seen(wall, "out-of-album")
