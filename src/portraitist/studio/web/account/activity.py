"""What was recorded about a member, as a page: their audit events, and each look of an admin by break-glass."""

from collections import Counter

from starlette.responses import Response

from portraitist.studio.locale import figures
from portraitist.studio.oversight import glass
from portraitist.studio.oversight.domain import Opening
from portraitist.studio.paging import Cursor, Position, cut, wanted
from portraitist.studio.trail import service as trail
from portraitist.studio.web.account.visiting import AccountVisit
from portraitist.studio.web.visits import page_router, query

router = page_router()
PAGE = "/account/activity"
AT_ONCE = 40


@router.get(PAGE)
async def activity_page(visit: AccountVisit, cursor: Cursor = None) -> Response:
    """Newest first, page behind page; admins' looks stand above everything, on the first page."""
    page = wanted(cursor, AT_ONCE)
    async with visit.core.db.member(visit.user_id) as tx:
        events, following = cut(await trail.page(tx, page), page, lambda event: Position(event.at, event.id))
        openings = [] if cursor else await glass.openings(tx)
    shown = {
        "days": figures.by_day(events, lambda event: event.at),
        "older": PAGE + query(cursor=following) if following else "",
        "first": cursor is None,
        "openings": [(each.glass, _counted(each), each.views) for each in openings],
        "now": visit.now,
    }
    return visit.page("account/activity.html", shown, here="account")


def _counted(opening: Opening) -> Counter[str]:
    """How many photos and pictures were opened, each once, and how often the list was."""
    return Counter(kind for kind, _ in {(view.kind, view.thing_id) for view in opening.views})
