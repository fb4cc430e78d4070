"""What every endpoint shares: the process's core (settings, clock, database, storage), and errors as problems.

Who is asking is `accounts`' to say; paths and shapes are the slices' endpoints'.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portraitist.kit.clock import Clock
from portraitist.kit.errors import DatabaseUnavailable, KitError
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore, StorageFull
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import StudioDatabase
from portraitist.studio.errors import StudioError, TooMany
from portraitist.studio.locale.words import said

log = logger(__name__)
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not now",
    413: "Too large",
    422: "Can't be used",
    429: "Too many",
    500: "Our mistake",
    502: "The engine refused",
    503: "A part is away",
    507: "Disk full",
}


REFUSALS = frozenset({401, 403, 429})
"""Answers that concern security, and are logged."""


@dataclass(frozen=True)
class Core:
    """What a request needs of the process."""

    settings: StudioSettings
    clock: Clock
    db: StudioDatabase
    objects: ObjectStore


def core_of(request: Request) -> Core:
    """The process's core."""
    return cast(Core, request.app.state.core)


def now_of(request: Request) -> Callable[[], datetime]:
    """The clock, as a function."""
    return core_of(request).clock.now


async def _core(request: Request) -> Core:
    return core_of(request)  # async, since a plain function would be called in a thread, at each request


async def _now(request: Request) -> Callable[[], datetime]:
    return now_of(request)


CoreDep = Annotated[Core, Depends(_core)]
NowDep = Annotated[Callable[[], datetime], Depends(_now)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        description="The same key gives the same result instead of a second one.",
    ),
]


def problem(
    status: int, code: str, detail: str, next_step: str | None, request: Request, **more: Any
) -> Response:
    """An RFC 9457 answer: a stable code, a sentence for people, the next step."""
    body = {
        "type": f"urn:portraitist:{code}",
        "title": said(TITLES.get(status, "Error")),
        "status": status,
        "detail": said(detail),
        "code": code,
        "next_step": next_step and said(next_step),
        "request_id": request_id(request),
        **more,
    }
    return JSONResponse(body, status, media_type="application/problem+json")


def request_id(request: Request) -> str:
    """A random id of this request, for the log and the answer."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = uuid4().hex
    return cast(str, request.state.request_id)


def install(app: FastAPI) -> None:
    """Render every error as a problem; nothing of the inside leaves."""

    @app.exception_handler(StudioError)
    async def known(request: Request, exc: StudioError) -> Response:
        if exc.status in REFUSALS:
            route = getattr(request.scope.get("route"), "path", None)  # its form, without anybody's ids
            log.warning("request.refused", code=exc.code, route=route, request_id=request_id(request))
        answer = problem(exc.status, exc.code, exc.message, exc.next_step, request)
        if isinstance(exc, TooMany):
            answer.headers["Retry-After"] = str(max(1, math.ceil(exc.retry_after_s)))
        return answer

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, exc: RequestValidationError) -> Response:
        fields = [
            {"field": ".".join(str(part) for part in error["loc"]), "problem": error["msg"]}
            for error in exc.errors()
        ]
        told = "; ".join(f"{field['field']}: {field['problem']}" for field in fields)
        return problem(
            422, "request_invalid", f"The request can't be read: {told}", None, request, fields=fields
        )

    @app.exception_handler(HTTPException)
    async def plain(request: Request, exc: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(
            exc.status_code, "http_error"
        )
        answer = problem(exc.status_code, code, str(exc.detail), None, request)
        answer.headers.update(exc.headers or {})
        return answer

    @app.exception_handler(KitError)
    async def away(request: Request, exc: KitError) -> Response:
        log.warning("part_away", kind=type(exc).__name__, request_id=request_id(request), reason=str(exc))
        if isinstance(exc, StorageFull):
            return problem(
                507, "disk_full", "The storage is full; nothing was kept.", "Free some space.", request
            )
        code = "database_away" if isinstance(exc, DatabaseUnavailable) else "part_away"
        answer = problem(503, code, "A part of the studio is away for a moment.", "Try again.", request)
        answer.headers["Retry-After"] = "2"
        return answer

    app.add_middleware(Unexpected)


class Unexpected:
    """Turns what nobody foresaw into a plain 500, inside of the headers that every answer gets.

    The framework's own handler stands outside of all middleware and lets the error go on to the server's log,
    text and all.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; an answer that has begun is cut short."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as exc:  # the rim: a bug of ours becomes a log line and a problem
            if scope["type"] != "http":
                raise
            request = Request(scope)
            log.error("request_failed", request_id=request_id(request), exc_info=exc)
            if not begun:
                detail = "Something went wrong on our side."
                await problem(500, "internal", detail, "Try again later.", request)(scope, receive, send)
