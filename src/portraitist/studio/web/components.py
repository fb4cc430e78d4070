"""`/components`: every component of the pages on one page, for those who build on them; admins only."""

from datetime import timedelta

from fastapi import Request
from starlette.responses import Response

from portraitist.studio.errors import Forbidden
from portraitist.studio.web.engine_look import engine_of
from portraitist.studio.web.visits import OwnVisit, page_router

router = page_router()


@router.get("/components")
async def components_page(visit: OwnVisit, request: Request) -> Response:
    """All of them, in both states where they have two. Raises Forbidden for other members."""
    if not visit.who.is_admin:
        raise Forbidden("admins_only", "Only an admin may look at this.")
    times = [int(timedelta(minutes=minutes).total_seconds()) for minutes in (0, 1, 4, 200)]
    return visit.page("all_components.html", {"engine": await engine_of(request), "times": times})
