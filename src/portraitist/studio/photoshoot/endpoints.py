"""`/api/v1/photoshoot`: collections and their looks, and sets of them; the rules are the service's.

No prompt is shown here: what a look is made of stays with it.
"""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.generation.endpoints import NO_MODEL, GenerationOut
from portraitist.studio.generation.views import Seen
from portraitist.studio.http import CoreDep, IdempotencyKey, NowDep
from portraitist.studio.openapi import file_of, problems
from portraitist.studio.paging import USUAL, Cursor, Limit, wanted
from portraitist.studio.photoshoot import covers, looks, service
from portraitist.studio.photoshoot.domain import MOST_COLOURS, Item, ItemStatus, PhotoSet
from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.photoshoot.looks import SHOTS, Collection, Look, LookBook
from portraitist.studio.photoshoot.service import Order, Progress

router = APIRouter(prefix="/api/v1/photoshoot", tags=["photoshoot"])
NO_SET = problems("set_not_found")
NO_COLLECTION = problems("collection_not_found")
SVG = "image/svg+xml"


async def look_book_of(request: Request) -> LookBook:
    """What this studio offers now."""
    return await cast(Looks, request.app.state.looks).now()


BookDep = Annotated[LookBook, Depends(look_book_of)]


class LookOut(BaseModel):
    """One look: three shots of one outfit in one place. `colours` are its own; none where it takes no others."""

    slug: str = Field(examples=["marble-lobby"])
    title: str = Field(examples=["Marble lobby"])
    description: str = Field(
        examples=["A long coat, a stone hall, and the second in which everybody looks up."]
    )
    keywords: list[str] = Field(examples=[["lobby", "coat", "architecture"]])
    colours: list[str] = Field(examples=[["camel", "chocolate"]])
    shots: list[str] = Field(examples=[["close_up", "half_body", "full_scene"]])
    lead: str = Field(examples=["full_scene"], description="The shot that stands for the look in a set.")

    @classmethod
    def of(cls, look: Look) -> "LookOut":
        """From the book."""
        return cls(
            slug=look.slug,
            title=look.title,
            description=look.description,
            keywords=list(look.keywords),
            colours=list(look.colours) if look.takes_colours else [],
            shots=[shot.value for shot in SHOTS],
            lead=look.lead,
        )


class CollectionOut(BaseModel):
    """Looks that belong together; `takes_colours`: the set can be had in your colours."""

    slug: str = Field(examples=["editorial-power"])
    title: str = Field(examples=["Editorial power"])
    description: str = Field(examples=["Sharp tailoring, strong lines and rooms that take you seriously."])
    category: str = Field(examples=["Editorial"])
    takes_colours: bool
    looks: list[LookOut]

    @classmethod
    def of(cls, collection: Collection) -> "CollectionOut":
        """From the book."""
        return cls(
            slug=collection.slug,
            title=collection.title,
            description=collection.description,
            category=collection.category,
            takes_colours=collection.takes_colours,
            looks=[LookOut.of(look) for look in collection.looks],
        )


class CollectionsOut(BaseModel):
    """Every collection on offer, in order."""

    items: list[CollectionOut]


class ColourOut(BaseModel):
    """A colour that clothes may have."""

    name: str = Field(examples=["camel"])
    hex: str = Field(examples=["#b98b56"])


class ColoursOut(BaseModel):
    """All of them."""

    items: list[ColourOut]


class SetIn(BaseModel):
    """What shall be shot: a whole collection, or one look of it; in the looks' own colours where none are given."""

    model_config = ConfigDict(extra="forbid")
    collection: str = Field(max_length=60, examples=["editorial-power"])
    look: str | None = Field(default=None, max_length=60, examples=["marble-lobby"])
    colours: list[str] = Field(default=[], max_length=MOST_COLOURS, examples=[["navy", "cream"]])
    every_shot: bool = Field(
        default=False,
        description="Each look of the collection in all three shots, not only in its lead. One look always is.",
    )


class ShotOut(BaseModel):
    """One shot of a set: `waiting`, `refused`, `canceled`, or as its generation stands."""

    position: int = Field(examples=[0])
    look: str = Field(examples=["marble-lobby"])
    title: str = Field(examples=["Marble lobby"])
    shot: str = Field(examples=["full_scene"])
    status: str = Field(examples=["completed"])
    generation: GenerationOut | None
    error_code: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    next_step: str | None = Field(examples=[None])

    @classmethod
    def of(cls, item: Item, seen: Seen | None) -> "ShotOut":
        """From the row, and from its generation where it has one."""
        made = GenerationOut.of(seen) if seen and item.status is ItemStatus.ASKED else None
        return cls(
            position=item.position,
            look=item.look,
            title=item.title,
            shot=item.shot,
            status=made.status if made else item.status,
            generation=made,
            error_code=made.error_code if made else item.error_code,
            error=made.error if made else item.error,
            next_step=made.next_step if made else item.next_step,
        )


class SetOut(BaseModel):
    """A set as it stands. Paused, it goes on at `resumes_at`; null there: when you have it go on."""

    id: UUID
    collection: str = Field(examples=["editorial-power"])
    look: str | None = Field(examples=[None])
    every_shot: bool = Field(examples=[False])
    title: str = Field(examples=["Editorial power"])
    colours: list[str] = Field(examples=[[]])
    status: str = Field(examples=["running"])
    why_paused: str | None = Field(examples=[None])
    resumes_at: datetime | None = Field(examples=[None])
    created_at: datetime
    finished_at: datetime | None = Field(examples=[None])

    @classmethod
    def of(cls, photo_set: PhotoSet) -> "SetOut":
        """From the row."""
        return cls(**{name: getattr(photo_set, name) for name in SetOut.model_fields})


class WholeSetOut(SetOut):
    """A set and its shots, in order."""

    shots: list[ShotOut]

    @classmethod
    def whole(cls, photo_set: PhotoSet, items: list[tuple[Item, Seen | None]]) -> "WholeSetOut":
        """From the rows."""
        shots = [ShotOut.of(item, seen) for item, seen in items]
        return cls(**SetOut.of(photo_set).model_dump(), shots=shots)


class ListedSetOut(SetOut):
    """A set in the list: how many of its shots are drawn."""

    drawn: int = Field(examples=[3])
    shots: int = Field(examples=[8])

    @classmethod
    def listed(cls, progress: Progress) -> "ListedSetOut":
        """From the row and its count."""
        return cls(**SetOut.of(progress.photo_set).model_dump(), drawn=progress.drawn, shots=progress.shots)


class SetsOut(BaseModel):
    """A page of sets, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[ListedSetOut]
    next: str | None = Field(examples=[None])


@router.get("/collections")
async def list_collections(_user_id: MemberId, book: BookDep) -> CollectionsOut:
    """The collections, with their looks."""
    return CollectionsOut(items=[CollectionOut.of(each) for each in book.collections])


@router.get("/collections/{collection}", responses=NO_COLLECTION)
async def get_collection(collection: str, _user_id: MemberId, book: BookDep) -> CollectionOut:
    """One collection."""
    return CollectionOut.of(service.found(book, Order(collection))[0])


@router.get(
    "/collections/{collection}/cover", response_class=Response, responses=file_of(SVG) | NO_COLLECTION
)
async def get_cover(collection: str, _user_id: MemberId, book: BookDep) -> Response:
    """The cover of a collection, drawn by the studio."""
    found = service.found(book, Order(collection))[0]
    return Response(covers.svg(found.motif, found.palette), media_type=SVG)


@router.get("/colours")
async def list_colours(_user_id: MemberId) -> ColoursOut:
    """The colours that a set can be had in."""
    return ColoursOut(items=[ColourOut(name=name, hex=shown) for name, shown in looks.palette().items()])


@router.post(
    "/sets",
    status_code=201,
    responses=problems(
        *NO_MODEL,
        "collection_not_found",
        "look_not_found",
        "colour_unknown",
        "colours_unused",
        "key_reused",
        "too_many_sets",
    ),
)
async def begin(
    body: SetIn, user_id: MemberId, core: CoreDep, now: NowDep, *, book: BookDep, key: IdempotencyKey = None
) -> WholeSetOut:
    """Shoot a collection, each look once or in all its shots, or one look in its three shots: three pictures of each.

    They are drawn a few at a time. A set for which the day's pictures do not suffice goes on by itself tomorrow.
    """
    order = Order(body.collection, body.look, tuple(body.colours), body.every_shot)
    async with core.db.member(user_id) as tx:
        photo_set = await service.begin(tx, book, order, key=key, now=now())
        return WholeSetOut.whole(*await service.see(tx, photo_set.id))


@router.get("/sets", responses=problems("cursor_invalid"))
async def list_sets(user_id: MemberId, core: CoreDep, cursor: Cursor = None, limit: Limit = USUAL) -> SetsOut:
    """Your sets, newest first."""
    async with core.db.member(user_id) as tx:
        found, following = await service.page(tx, wanted(cursor, limit))
    return SetsOut(items=[ListedSetOut.listed(each) for each in found], next=following)


@router.get("/sets/{set_id}", responses=NO_SET)
async def get_set(set_id: UUID, user_id: MemberId, core: CoreDep) -> WholeSetOut:
    """One set with its shots and their pictures."""
    async with core.db.member(user_id) as tx:
        return WholeSetOut.whole(*await service.see(tx, set_id))


@router.delete("/sets/{set_id}", status_code=204, responses=NO_SET)
async def remove(set_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> None:
    """Take a set out of the list; its pictures stay. The rest of one that is not over is canceled first."""
    async with core.db.member(user_id) as tx:
        await service.remove(tx, set_id, now())


@router.post("/sets/{set_id}/cancel", responses=problems("set_not_found", "set_ended"))
async def cancel(set_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> WholeSetOut:
    """Cancel the rest. What is being drawn just now still comes; what is there stays."""
    async with core.db.member(user_id) as tx:
        await service.cancel(tx, set_id, now())
        return WholeSetOut.whole(*await service.see(tx, set_id))


@router.post("/sets/{set_id}/pause", responses=problems("set_not_found", "set_ended"))
async def pause(set_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> WholeSetOut:
    """The rest tomorrow: the set goes on by itself in 24 hours, or when you have it go on."""
    async with core.db.member(user_id) as tx:
        await service.pause(tx, set_id, now())
        return WholeSetOut.whole(*await service.see(tx, set_id))


@router.post("/sets/{set_id}/go-on", responses=problems(*NO_MODEL, "set_not_found", "set_ended"))
async def go_on(set_id: UUID, user_id: MemberId, core: CoreDep, now: NowDep) -> WholeSetOut:
    """Go on now: with what waits, what was canceled, and what came to nothing."""
    async with core.db.member(user_id) as tx:
        await service.go_on(tx, set_id, now())
        return WholeSetOut.whole(*await service.see(tx, set_id))
