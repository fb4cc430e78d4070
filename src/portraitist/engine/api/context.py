"""What every handler needs, and who may call: the engine's context, its errors and the token check."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from portraitist.engine import errors
from portraitist.engine.config import Settings
from portraitist.engine.errors import InvalidField, Problem
from portraitist.kit.clock import Clock
from portraitist.kit.database import Database, DatabaseUnavailable
from portraitist.kit.objects import ObjectStore, StorageUnavailable

PROBLEM_JSON = "application/problem+json"


@dataclass
class Context:
    """The engine's open parts. The two secrets are read from the database at start."""

    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    webhook_secret: str = ""
    link_key: str = ""

    @property
    def address(self) -> str:
        """Public base URL without `/v1`."""
        return self.settings.address


def context(request: Request) -> Context:
    """The context that `app.create` made."""
    found: Context = request.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]


def authenticated(request: Request, ctx: Ctx) -> None:
    """Both schemes of Replicate's documents: `Bearer` and the older `Token`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    expected = ctx.settings.token.get_secret_value()
    same = hmac.compare_digest(token.strip().encode(), expected.encode())
    if scheme.lower() not in ("bearer", "token") or not same:
        raise errors.unauthenticated()


def _answer(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.body, problem.status, media_type=PROBLEM_JSON)


async def on_problem(_: Request, error: Exception) -> JSONResponse:
    """Our own refusals."""
    assert isinstance(error, Problem)
    return _answer(error)


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Unknown paths and methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(errors.not_found())
    return _answer(Problem(error.status_code, str(error.detail)))


async def on_unavailable(_: Request, error: Exception) -> JSONResponse:
    """The database or the storage is away for now."""
    assert isinstance(error, DatabaseUnavailable | StorageUnavailable)
    return _answer(Problem(503, f"The engine is not ready: {error}", "Service unavailable"))


async def on_invalid_body(_: Request, error: Exception) -> JSONResponse:
    """A body that its model refuses, in Replicate's words."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _answer(Problem(400, "The request body is not valid JSON", "Bad request"))
    return _answer(errors.invalid([_invalid_field(item) for item in found]))


def _invalid_field(item: dict[str, Any]) -> InvalidField:
    where = ".".join(str(part) for part in item["loc"][1:])
    if item["type"] == "extra_forbidden":
        return InvalidField(
            "additional_property_not_allowed", "", f"Additional property {where} is not allowed"
        )
    if item["type"] == "missing":
        return InvalidField("required", "", f"{where or 'A body'} is required")
    return InvalidField("invalid_type", where, item["msg"])


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http_error,
    RequestValidationError: on_invalid_body,
    DatabaseUnavailable: on_unavailable,
    StorageUnavailable: on_unavailable,
}
