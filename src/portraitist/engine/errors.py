"""Errors a caller sees, in the shapes of Replicate's API (`application/problem+json`).

    EngineError
    ├── Problem            an HTTP answer: status, title, detail, further keys
    └── RunFailed          a training or prediction ends `failed` with this text

Texts of the cloud are kept where they are known, because clients match on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class EngineError(Exception):
    """Anything this package raises on purpose."""


class RunFailed(EngineError):
    """A run cannot succeed; the text becomes its `error`."""


class Problem(EngineError):
    """An answer other than success. `extra` is merged into the body."""

    def __init__(
        self, status: int, detail: str, title: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {"detail": detail, "status": status}
        if title is not None:
            self.body["title"] = title
        self.body.update(extra or {})


@dataclass(frozen=True)
class InvalidField:
    """One refused value. `field` is `input.steps`, or `` for the body itself."""

    type: str
    field: str
    description: str


def unauthenticated() -> Problem:
    """No token, or not ours."""
    return Problem(401, "You did not pass a valid authentication token", "Unauthenticated")


def not_found(detail: str = "The requested resource could not be found.") -> Problem:
    """Unknown and foreign things answer alike."""
    return Problem(404, detail, "Not found")


def unknown_version() -> Problem:
    """The version of a new prediction or training does not exist, or is not the caller's."""
    return Problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    )


def invalid(fields: Sequence[InvalidField]) -> Problem:
    """A body that is refused, with every reason at once."""
    lines = [f"- {f.field}: {f.description}\n" if f.field else f"- {f.description}\n" for f in fields]
    listed = [{"type": f.type, "field": f.field, "description": f.description} for f in fields]
    return Problem(422, "".join(lines), "Input validation failed", {"invalid_fields": listed})


def throttled(reset_s: int) -> Problem:
    """More requests than the limit allows."""
    detail = f"Request was throttled. Your rate limit resets in ~{reset_s}s."
    return Problem(429, detail, extra={"retry_after": reset_s})
