"""Legal holds and break-glass as the admin's pages. What is opened is listed by kind and time, not shown.

Each photo or picture opens by itself, at the API's address, and is written down for the member to see.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Form
from starlette.responses import Response

from portraitist.studio.accounts import admission
from portraitist.studio.admin import acts
from portraitist.studio.oversight import glass, holds
from portraitist.studio.oversight.domain import LONGEST_REASON, SHORTEST_REASON
from portraitist.studio.web.admin_pages.visiting import Admin, FreshAdmin, admin_router

router = admin_router()
PAGE = "/admin/oversight"
MEMBER = "/admin/members/{user_id}"
Reason = Annotated[str, Form(max_length=2 * LONGEST_REASON)]


@router.get(PAGE)
async def oversight_page(visit: Admin) -> Response:
    """Who is held, and which looks there were."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        held, looks = await holds.all_holds(tx), await glass.newest(tx)
        names = await admission.names(tx, {each.user_id for each in held} | {each.user_id for each in looks})
        admins = await admission.names_of_subjects(tx, {each.admin for each in looks})
    shown = {"holds": held, "looks": looks, "names": names, "admins": admins}
    return visit.show("oversight.html", shown)


@router.post(MEMBER + "/hold")
async def hold(user_id: str, visit: Admin, reason: Reason = "") -> Response:
    """Keep this member's things as they are."""
    told = _told(reason)
    if told is None:
        return visit.done(f"/admin/members/{user_id}", "reason-missing")
    async with visit.core.db.registrar(visit.user_id) as tx:
        await holds.place(tx, user_id, told)
    return visit.done(f"/admin/members/{user_id}", "held")


@router.post(MEMBER + "/release")
async def release(user_id: str, visit: Admin) -> Response:
    """End the hold; an erasure that waited goes on at once."""
    await acts.release(visit.core.db, visit.user_id, user_id, visit.now)
    return visit.done(f"/admin/members/{user_id}", "released")


@router.post(MEMBER + "/look")
async def break_glass(user_id: str, visit: FreshAdmin, reason: Reason = "") -> Response:
    """Open one member's photos and pictures to yourself for fifteen minutes. They see it, and why."""
    told = _told(reason)
    if told is None:
        return visit.done(f"/admin/members/{user_id}", "reason-missing")
    async with visit.core.db.registrar(visit.user_id) as tx:
        opened = await glass.open_for(tx, user_id, told)
    return visit.done(f"/admin/looks/{opened.id}", "")


@router.get("/admin/looks/{glass_id}")
async def look_page(glass_id: UUID, visit: FreshAdmin) -> Response:
    """What there is to look at, without words. This very look is written down."""
    looking = await acts.looking(visit.core, visit.user_id)
    return visit.show("look.html", {"glass_id": glass_id, "things": await looking.listed(glass_id)})


@router.post("/admin/looks/{glass_id}/end")
async def end_look(glass_id: UUID, visit: Admin) -> Response:
    """End a look before its time."""
    async with visit.core.db.registrar(visit.user_id) as tx:
        await glass.end(tx, glass_id)
    return visit.done(PAGE, "look-ended")


def _told(reason: str) -> str | None:
    """The reason, where it is one."""
    told = reason.strip()
    return told if SHORTEST_REASON <= len(told) <= LONGEST_REASON else None
