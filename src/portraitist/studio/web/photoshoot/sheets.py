"""A set as one sheet: its pictures as they come, favourites among them, and what can be done with the rest of it."""

from typing import Any
from uuid import UUID

from starlette.responses import Response

from portraitist.studio.photoshoot import service
from portraitist.studio.photoshoot.domain import ItemStatus, SetStatus
from portraitist.studio.photoshoot.endpoints import BookDep
from portraitist.studio.web.drawing import DOING
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.photoshoot.choosing import missing_model
from portraitist.studio.web.visits import MemberVisit, OwnVisit, page_router

router = page_router()


@router.get("/photoshoot/sets/{set_id}")
async def sheet_page(set_id: UUID, visit: OwnVisit, book: BookDep) -> Response:
    """The set, live until all of it is there."""
    async with visit.core.db.member(visit.user_id) as tx:
        photo_set, shots = await service.see(tx, set_id)
    drawn = sum(item.drawn for item, _ in shots)
    shown: dict[str, Any] = {
        "photo_set": photo_set,
        "collection": book.collection(photo_set.collection),
        "shots": shots,
        "drawn": drawn,
        "percent": round(100 * drawn / len(shots)),
        "doing": DOING,
        "is_live": photo_set.status is SetStatus.RUNNING or any(item.drawing for item, _ in shots),
        "can_go_on": any(item.is_to_do_again for item, _ in shots),
        "waiting": sum(item.status is ItemStatus.WAITING for item, _ in shots),
        "engine": await engine_of(visit.request),
        **await missing_model(visit),
    }
    return visit.page("photoshoot/sheet.html", shown, here="pictures")


@router.post("/photoshoot/sets/{set_id}/cancel")
async def cancel(set_id: UUID, visit: OwnVisit) -> Response:
    """Cancel the rest."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.cancel(tx, set_id, visit.now)
    return _told(visit, set_id, "set-canceled")


@router.post("/photoshoot/sets/{set_id}/pause")
async def pause(set_id: UUID, visit: OwnVisit) -> Response:
    """The rest tomorrow."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.pause(tx, set_id, visit.now)
    return _told(visit, set_id, "set-paused")


@router.post("/photoshoot/sets/{set_id}/go-on")
async def go_on(set_id: UUID, visit: OwnVisit) -> Response:
    """Go on now."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.go_on(tx, set_id, visit.now)
    return _told(visit, set_id, "set-goes-on")


@router.post("/photoshoot/sets/{set_id}/remove")
async def remove(set_id: UUID, visit: OwnVisit) -> Response:
    """Out of the list; its pictures stay."""
    async with visit.core.db.member(visit.user_id) as tx:
        await service.remove(tx, set_id, visit.now)
    return visit.done("/photoshoot", "set-removed")


def _told(visit: MemberVisit, set_id: UUID, told: str) -> Response:
    return visit.done(f"/photoshoot/sets/{set_id}", told)
