"""The gallery's pages: the wall, page behind page; one picture with its facts; favourites; deletion with undo.

What is found is the gallery's to say, what is done to a picture the images'; zips and files are the API's addresses.
What is done to several is in `chosen`, albums are in `album_pages`.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.gallery import service as gallery
from portraitist.studio.generation import views as generations
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Image, Marks
from portraitist.studio.paging import Cursor, wanted
from portraitist.studio.web import rendering
from portraitist.studio.web.asked import AskedDep
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()
AT_ONCE = 60
"""Whole rows, of whatever number of columns a screen has but seven and nine."""


@router.get("/gallery")
async def gallery_page(visit: OwnVisit, asked: AskedDep, cursor: Cursor = None) -> Response:
    """Saved pictures, newest first; with `all` those too that were never saved. The first page has the filters."""
    async with visit.core.db.member(visit.user_id) as tx:
        found, following = await gallery.page(tx, asked.filter, wanted(cursor, AT_ONCE))
        first = cursor is None
        shown = {
            "asked": asked,
            "pictures": found,
            "at": asked.address(cursor),
            "more": asked.address(following) if following else "",
            "first": first,
            "album": await gallery.album(tx, asked.album_id) if first and asked.album_id else None,
            "albums": await gallery.album_names(tx) if first else [],
            "looks": await gallery.looks(tx) if first else [],
        }
    return visit.page("gallery.html", shown, here="gallery")


@router.get("/gallery/{image_id}")
async def picture_page(image_id: UUID, visit: OwnVisit) -> Response:
    """One picture, large, with its facts for who asks."""
    async with visit.core.db.member(visit.user_id) as tx:
        image = await images.get(tx, image_id)
        made = await generations.see(tx, image.generation_id)
        albums = await gallery.album_names(tx)
    return visit.page("picture.html", {"image": image, "made": made, "albums": albums}, here="gallery")


@router.post("/gallery/{image_id}/favourite")
async def favourite(image_id: UUID, visit: OwnVisit, on: Annotated[bool, Form()] = True) -> Response:
    """One of the favourites, or no more."""
    async with visit.core.db.member(visit.user_id) as tx:
        image = await images.mark(tx, image_id, Marks(favourite=on))
    return shown([image], visit, "favourite" if image.favourite else "unfavourite")


@router.post("/gallery/{image_id}/delete")
async def delete(image_id: UUID, visit: OwnVisit) -> Response:
    """Out of sight; it can be had back for seven days."""
    async with visit.core.db.member(visit.user_id) as tx:
        return shown(await images.delete(tx, [image_id], visit.now), visit, "deleted")


@router.post("/gallery/{image_id}/restore")
async def restore(image_id: UUID, visit: OwnVisit) -> Response:
    """Undo the deletion."""
    async with visit.core.db.member(visit.user_id) as tx:
        return shown(await images.restore(tx, [image_id], visit.now), visit, "restored")


def shown(changed: list[Image], visit: MemberVisit, told: str) -> Response:
    """Pictures as they are now: their places on the wall for a script, a page of their own otherwise."""
    if rendering.by_script(visit.request):
        return visit.page("tiles.html", {"images": changed, "told": told})
    if changed[0].deleted_at is not None:
        return visit.page("deleted.html", {"images": changed}, here="gallery")
    return visit.done(f"/gallery/{changed[0].id}" if len(changed) == 1 else "/gallery", told)
