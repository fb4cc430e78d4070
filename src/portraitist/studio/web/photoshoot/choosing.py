"""Choosing what to shoot: the collections with their covers, one collection with its looks, in which colours.

What is offered and what may begin is the photoshoot's to say.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Form, Query
from starlette.responses import Response

from portraitist.studio.errors import StudioError
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Image
from portraitist.studio.maya import knowing
from portraitist.studio.maya.domain import Style
from portraitist.studio.paging import wanted
from portraitist.studio.photoshoot import looks, service
from portraitist.studio.photoshoot.domain import MOST_COLOURS
from portraitist.studio.photoshoot.endpoints import BookDep
from portraitist.studio.photoshoot.looks import LookBook
from portraitist.studio.photoshoot.service import Order
from portraitist.studio.web import trainings, wording
from portraitist.studio.web.trainings import Key
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()
Slug = Annotated[str, Form(max_length=60)]
Colours = Annotated[list[str], Form(max_length=len(looks.palette()))]
NONE: list[str] = []
LISTED = 6
"""Sets on the first page; all of them are the API's."""


@router.get("/photoshoot")
async def collections_page(visit: OwnVisit, book: BookDep) -> Response:
    """Every collection, and the newest sets. Covers are the member's own pictures as soon as there are some."""
    async with visit.core.db.member(visit.user_id) as tx:
        sets, _ = await service.page(tx, wanted(None, LISTED))
        pictures = await images.newest_of_looks(tx, [look.slug for look in book.looks])
    shown = {
        "collections": book.collections,
        "covers": _covers(book, pictures),
        "sets": sets,
        "is_live": any(not each.photo_set.is_over for each in sets),
        **await missing_model(visit),
    }
    return visit.page("photoshoot/collections.html", shown, here="pictures")


def _covers(book: LookBook, by_look: Mapping[str, Image]) -> dict[str, Image]:
    """The newest picture of each collection that has any."""
    found: dict[str, Image] = {}
    for look in book.looks:
        image = by_look.get(look.slug)
        if image and (look.collection not in found or found[look.collection].created_at < image.created_at):
            found[look.collection] = image
    return found


async def missing_model(visit: MemberVisit) -> dict[str, Any]:
    """Why nothing can be shot yet, and the step to take; None where it can."""
    async with visit.core.db.member(visit.user_id) as tx:
        return await trainings.missing_model(tx)


def own_colours(style: Style) -> tuple[str, ...]:
    """What the member told Maya of their colours, as far as it is one of ours."""
    said = (colour.strip().lower() for colour in style.colours)
    return tuple(dict.fromkeys(colour for colour in said if colour in looks.palette()))[:MOST_COLOURS]


@router.get("/photoshoot/{collection}")
async def collection_page(collection: str, visit: OwnVisit, book: BookDep) -> Response:
    """One collection: its looks, and the colours it can be had in."""
    return await _collection(visit, book, collection)


async def _collection(
    visit: MemberVisit,
    book: LookBook,
    slug: str,
    refused: StudioError | None = None,
    *,
    every_shot: bool = False,
) -> Response:
    collection, _ = service.found(book, Order(slug))
    async with visit.core.db.member(visit.user_id) as tx:
        pictures = await images.newest_of_looks(tx, [look.slug for look in collection.looks])
        style = await knowing.style(tx)
    shown = {
        "collection": collection,
        "pictures": pictures,
        "palette": looks.palette(),
        "mine": own_colours(style),
        "most_colours": MOST_COLOURS,
        "key": uuid4().hex,
        "every_shot": every_shot,
        "refused": refused,
        "refused_step": wording.step_after(refused) if refused else None,
        **await missing_model(visit),
    }
    status = refused.status if refused else 200
    return visit.page("photoshoot/collection.html", shown, here="pictures", status=status)


@router.post("/photoshoot/{collection}")
async def shoot(
    collection: str,
    visit: OwnVisit,
    book: BookDep,
    *,
    look: Slug = "",
    colours: Colours = NONE,
    every_shot: Annotated[bool, Form()] = False,
    mine: Annotated[str, Query(max_length=1)] = "",
    key: Key = "",
) -> Response:
    """Shoot the whole collection, or one look of it; `mine`: in the colours that the member told Maya.

    `every_shot` counts for the collection: one look is always shot in all of them.

    What is refused is told beside what was chosen.
    """
    try:
        async with visit.core.db.member(visit.user_id) as tx:
            chosen = own_colours(await knowing.style(tx)) if mine else tuple(colours)
            order = Order(collection, look or None, chosen, every_shot)
            named = look or ("all shots" if every_shot else "")
            begun = await service.begin(tx, book, order, key=f"{key} {named}" if key else None, now=visit.now)
    except StudioError as exc:
        if exc.code == "collection_not_found":
            raise
        return await _collection(visit, book, collection, exc, every_shot=every_shot)
    return visit.done(f"/photoshoot/sets/{begun.id}", "set-begun")
