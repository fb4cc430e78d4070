"""Audit events as the admin's page: of everybody or about one member, newest first; and whether the chain is whole."""

from uuid import UUID

from starlette.responses import Response

from portraitist.studio.accounts import admission
from portraitist.studio.locale import figures
from portraitist.studio.paging import Cursor, Position, cut, wanted
from portraitist.studio.trail import sealing, service
from portraitist.studio.trail.domain import Event
from portraitist.studio.web.admin_pages.visiting import Admin, AdminVisit, admin_router
from portraitist.studio.web.visits import query

router = admin_router()
PAGE = "/admin/events"
OF_MEMBER = "/admin/members/{user_id}/events"
AT_ONCE = 50


@router.get(PAGE)
async def events_page(visit: Admin, verify: str = "", cursor: Cursor = None) -> Response:
    """The newest; with `verify` every event is checked against its digest and the chain against its noted heads."""
    return await _page(visit, PAGE, cursor, verify=bool(verify))


@router.get(OF_MEMBER)
async def events_of_member(user_id: str, visit: Admin, cursor: Cursor = None) -> Response:
    """The newest about one member."""
    return await _page(visit, OF_MEMBER.format(user_id=user_id), cursor, user_id)


async def _page(
    visit: AdminVisit, here: str, cursor: str | None, user_id: str = "", *, verify: bool = False
) -> Response:
    page = wanted(cursor, AT_ONCE)
    async with visit.core.db.registrar(visit.user_id) as tx:
        subject = await service.subject_of(tx, user_id) if user_id else None
        if user_id and subject is None:
            raise admission.MEMBER_NOT_FOUND
        events, following = cut(
            await service.page(tx, page, subject), page, lambda event: Position(event.at, event.id)
        )
        names = await admission.names_of_subjects(tx, _subjects(events))
        member = (await admission.names(tx, {user_id})).get(user_id) if user_id else None
    report = (
        await service.verified(visit.core.db, await sealing.noted(visit.core.objects)) if verify else None
    )
    shown = {
        "days": figures.by_day(events, lambda event: event.at),
        "names": names,
        "member": member,
        "report": report,
        "older": here + query(cursor=following) if following else "",
    }
    return visit.show("events.html", shown)


def _subjects(events: list[Event]) -> set[UUID]:
    return {each for event in events for each in (event.actor_id, event.subject) if each is not None}
