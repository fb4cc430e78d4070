"""How a page is made of a template, and how an error becomes one: the only place that knows Jinja.

What a page shows is its journey's to say (`home`, `photos`, `trainings`, …). Errors inside the API stay problems.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from portraitist.kit.errors import KitError
from portraitist.kit.logging import logger
from portraitist.studio.accounts.mail.service import MAILING
from portraitist.studio.errors import NotSignedIn, StudioError, TooMany
from portraitist.studio.http import TITLES
from portraitist.studio.locale import figures, words
from portraitist.studio.locale.catalogs import languages
from portraitist.studio.web import static_files, wording

log = logger(__name__)
TEMPLATES = Path(str(files("portraitist.studio.web") / "templates"))
SAME_SITE_ONLY = {"Referrer-Policy": "same-origin"}
"""Without a referrer browsers say `Origin: null` when they send a form, and the same-origin rule would refuse it."""
AWAY = "A part of the studio is away for a moment."


@cache
def environment() -> Environment:
    """The templates; whatever is not marked as markup is escaped, and a name that is not given is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        optimized=False,  # a filter of a constant would be said once for all, in the language of the first reader
    )
    speak = made.install_gettext_callables  # type: ignore[attr-defined]  # the extension's own
    speak(words.message, words.forms, newstyle=True, pgettext=words.message_of)
    made.filters["said"] = words.said
    made.filters["time_left"] = wording.time_left
    made.filters["first_up"] = wording.first_up
    made.filters["day"] = figures.day
    made.filters["clock"] = figures.clock
    made.filters["minute"] = figures.minute
    made.filters["number"] = figures.number
    return made


def rendered(template: str, shown: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """A page. `htmx` is where its script lies, or None where it is not installed."""
    headers = SAME_SITE_ONLY | {"Content-Language": words.language()}
    return HTMLResponse(environment().get_template(template).render(shown), status, headers=headers)


def by_script(request: Request) -> bool:
    """Whether a page's script asks, which puts a part of the answer into the page."""
    return request.headers.get("hx-request") == "true"


def seen(address: str, told: str = "") -> RedirectResponse:
    """After a change: look there (by GET, so that a reload changes nothing); `told` is a key of `wording.TOLD`."""
    behind = f"{'&' if '?' in address else '?'}told={told}" if told else ""
    return RedirectResponse(address + behind, 303, headers=SAME_SITE_ONLY)


def own_path(address: str) -> str:
    """The address where it is a page of this studio, else the first page: nobody is sent elsewhere from here."""
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if plain and not parts.netloc and not parts.scheme else "/"


class PageRoute(APIRoute):
    """A route whose errors are pages: to sign in where nobody is signed in, else a sentence and the next step."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with its errors rendered."""
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                return await handle(request)
            except NotSignedIn:
                return _to_sign_in(request)
            except StudioError as exc:
                return await self.refused(request, exc)
            except RequestValidationError:
                return _error(request, 422, "That can't be read.", wording.Step("Go to the first page", "/"))
            except KitError as exc:
                log.warning("part_away", kind=type(exc).__name__, reason=str(exc))
                return _error(request, 503, AWAY, wording.Step("Try again", _here(request)))

        return page

    async def refused(self, request: Request, exc: StudioError) -> Response:
        """What somebody is shown who may not do this, or not now."""
        return _refused(request, exc)


def _to_sign_in(request: Request) -> Response:
    here = _here(request)
    if by_script(request):
        return Response(status_code=401, headers={"HX-Redirect": f"/sign-in?after={quote(here, safe='')}"})
    return rendered("sign_in.html", sign_in_context(request, after=here), 401)


def sign_in_context(request: Request, after: str = "/", email: str = "", problem: str = "") -> dict[str, Any]:
    """What the sign-in page shows: the doors that are there, and (`problem`) why it failed."""
    doors = request.app.state.sign_in
    return {
        **base(request),
        "doors": {"mail": MAILING.on, "passkeys": doors.passkeys.offered, "provider": doors.oidc.name},
        "after": after,
        "email": email,
        "problem": problem,
        "wants_code": False,
    }


def base(request: Request) -> dict[str, Any]:
    """What every template is given; a visit adds who it is."""
    told = request.query_params.get("told", "")
    return {
        "htmx": getattr(request.app.state, "htmx", None),
        "lang": words.language(),
        "languages": languages(),
        "script_words": words.for_scripts(),
        "files_version": static_files.version(),
        "address": _here(request),
        "signed_in": False,
        "is_admin": False,
        "csrf": "",
        "here": "",
        "TOLD": wording.TOLD,
        "told": told if told in wording.TOLD else "",
    }


def _here(request: Request) -> str:
    """Where a member goes on after signing in: pages are looked at again, changes are not made by themselves."""
    if request.method != "GET":
        return own_path(urlsplit(request.headers.get("referer", "/")).path)
    query = f"?{request.url.query}" if request.url.query else ""
    return own_path(request.url.path + query)


def _refused(request: Request, exc: StudioError) -> Response:
    answer = _error(request, exc.status, exc.message, wording.step_after(exc))
    if isinstance(exc, TooMany):
        answer.headers["Retry-After"] = str(max(1, round(exc.retry_after_s)))
    return answer


def _error(request: Request, status: int, message: str, step: wording.Step) -> Response:
    shown = {**base(request), "title": TITLES.get(status, "Error"), "message": message, "step": step}
    if by_script(request):  # beside the page, which stays as it is
        answer = rendered("toast.html", shown, status)
        answer.headers.update(
            {"HX-Retarget": "#toasts", "HX-Reswap": "innerHTML", "HX-Reselect": "#toasts > *"}
        )
        return answer
    return rendered("error.html", shown, status)
