"""Who looks at a page: a member who is signed in, or somebody who is not yet. Pages are made through a visit.

The rules of sessions are `accounts`'; a page is opened by the same session or token as the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from portraitist.studio.accounts.domain import Who, csrf_token
from portraitist.studio.accounts.fresh import STALE
from portraitist.studio.accounts.signed_in import Cookie, Credentials, WhoDep, cookie_name, signed_in
from portraitist.studio.errors import NotSignedIn, StudioError
from portraitist.studio.http import Core, core_of
from portraitist.studio.web import proof, rendering


@dataclass(frozen=True)
class Visit:
    """A request for a page, and who makes it; `who` is None for somebody who has not signed in."""

    request: Request
    who: Who | None

    @property
    def core(self) -> Core:
        """The process's core."""
        return core_of(self.request)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.core.clock.now()

    @property
    def context(self) -> dict[str, Any]:
        """What every template is given."""
        shown = rendering.base(self.request)
        if self.who is None:
            return shown
        return shown | {"signed_in": True, "is_admin": self.who.is_admin, "csrf": self._csrf()}

    def page(
        self, template: str, shown: Mapping[str, Any], *, here: str = "", status: int = 200
    ) -> HTMLResponse:
        """The page of this template; `here` is the place in the menu."""
        return rendering.rendered(template, {**self.context, "here": here, **shown}, status)

    def _csrf(self) -> str:
        assert self.who is not None
        if self.who.session_id is None:
            return ""
        return csrf_token(self.request.cookies[cookie_name(self.core.settings)])


@dataclass(frozen=True)
class MemberVisit(Visit):
    """A visit of a member who is signed in."""

    who: Who
    user_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_id", self.who.user_id)

    def done(self, address: str, told: str) -> Response:
        """After a change: look there, and say what was done."""
        return rendering.seen(address, told)


async def visit(request: Request, credentials: Credentials, cookie: Cookie) -> Visit:
    """A visit by whoever it is."""
    try:
        return Visit(request, await signed_in(request, credentials, cookie))
    except NotSignedIn:
        return Visit(request, None)


async def member_visit(request: Request, who: WhoDep) -> MemberVisit:
    """A member's visit. Raises NotSignedIn, which pages answer with the way to sign in."""
    made = MemberVisit(request, who)
    request.state.visit = made
    return made


AnyVisit = Annotated[Visit, Depends(visit)]
OwnVisit = Annotated[MemberVisit, Depends(member_visit)]


class VisitRoute(rendering.PageRoute):
    """A page's route that asks for a fresh sign-in where one is wanted, and then goes on with what was being done."""

    async def refused(self, request: Request, exc: StudioError) -> Response:
        """The ways to prove it; everything else as on other pages."""
        visit = getattr(request.state, "visit", None)
        if exc.code != STALE.code or not isinstance(visit, MemberVisit):
            return await super().refused(request, exc)
        pending = await proof.pending_of(request)
        if rendering.by_script(request):
            return Response(
                status_code=exc.status, headers={"HX-Redirect": proof.PAGE + query(after=pending.back)}
            )
        shown = await proof.shown_of(request, visit.user_id, pending)
        return visit.page("account/prove.html", shown, here="account", status=exc.status)


def page_router() -> APIRouter:
    """Routes that answer with pages, errors included."""
    return APIRouter(include_in_schema=False, route_class=VisitRoute)


def query(**values: str | None) -> str:
    """The part of an address behind the ?, of the values that are given; empty where none is."""
    given = [f"{name}={quote(value, safe='')}" for name, value in values.items() if value]
    return "?" + "&".join(given) if given else ""
