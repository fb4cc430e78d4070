"""Who may look at the admin's pages: an admin who has signed in, and for some changes has done so just now.

A token opens none of them, an admin's neither: programs have the API. Other members are told so, as by the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from portraitist.studio.accounts.fresh import STALE
from portraitist.studio.accounts.signed_in import SessionOnly, SignInDep
from portraitist.studio.errors import Forbidden, StudioError
from portraitist.studio.http import TITLES
from portraitist.studio.locale.words import _
from portraitist.studio.web.visits import MemberVisit, OwnVisit, VisitRoute
from portraitist.studio.web.wording import Step

ELSEWHERE = frozenset({STALE.code, "admins_only", "session_needed", "csrf_token_missing", "foreign_origin"})
"""Refusals that have nothing to do with what an admin was about to do."""
HOMES: Mapping[str, str] = {
    "member_not_found": "/admin/members",
    "last_admin": "/admin/members",
    "invitation_not_found": "/admin/members",
    "setting_locked": "/admin/settings",
    "setting_invalid": "/admin/settings",
    "setting_not_found": "/admin/settings",
    "glass_not_found": "/admin/oversight",
    "hold_not_found": "/admin/oversight",
    "held_already": "/admin/oversight",
    "cursor_invalid": "/admin/events",
}
"""Where what was asked about is listed; else work in hand."""


@dataclass(frozen=True)
class AdminVisit(MemberVisit):
    """A visit of an admin."""

    def show(self, template: str, shown: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        """The admin's page of this template."""
        return self.page(f"admin/{template}", {"now": self.now, **shown}, here="admin", status=status)


async def admin_visit(visit: OwnVisit, who: SessionOnly) -> AdminVisit:
    """A visit of an admin. Raises NotSignedIn, and Forbidden for other members and for tokens."""
    if not who.is_admin:
        raise Forbidden("admins_only", "Only an admin may look at this.")
    return AdminVisit(visit.request, who)


class AdminRoute(VisitRoute):
    """A page's route whose errors lead back to the admin's pages and not to the member's own things."""

    async def refused(self, request: Request, exc: StudioError) -> Response:
        """The reason and the way back; who is no admin, or has to prove it, is told as on other pages."""
        visit = getattr(request.state, "visit", None)
        if exc.code in ELSEWHERE or visit is None:
            return await super().refused(request, exc)
        step = Step(_("Back to the admin's pages"), HOMES.get(exc.code, "/admin"))
        shown = {"title": TITLES.get(exc.status, "Error"), "message": exc.message, "step": step}
        answer: Response = visit.page("error.html", shown, here="admin", status=exc.status)
        return answer


def admin_router() -> APIRouter:
    """Routes of the admin's pages."""
    return APIRouter(include_in_schema=False, route_class=AdminRoute)


Admin = Annotated[AdminVisit, Depends(admin_visit)]


async def fresh_admin_visit(visit: Admin, doors: SignInDep) -> AdminVisit:
    """The same, proved in the last minutes. Raises Forbidden too, which pages answer with the way to prove it."""
    await doors.require_fresh(visit.who, visit.now)
    return visit


FreshAdmin = Annotated[AdminVisit, Depends(fresh_admin_visit)]
