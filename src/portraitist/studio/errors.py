"""The studio's errors: one tree, three renderers (HTTP problem, CLI line, worker log).

StudioError
├── BadInput            400  the request can't be used as it is
│   ├── BeyondEnd       416  the bytes asked for are beyond the end
│   └── Unprocessable   422  well formed, but a rule of the studio speaks against it
├── NotSignedIn         401  no valid token
├── Forbidden           403  known, but not allowed to do this
├── NotFound            404  absent, or another member's: the same answer
├── Conflict            409  something in hand speaks against it now
├── TooMany             429  a rate or a quota is used up; says when there is room again
└── Unavailable         503  a part the studio needs is away; try again

Codes are stable, texts are not. Each text says what happened and what to do next. All codes: `codes.py`.
"""


class StudioError(Exception):
    """Base of all errors that a member or operator may read."""

    status = 500

    def __init__(self, code: str, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step


class BadInput(StudioError):
    """The request can't be used as it is."""

    status = 400


class BeyondEnd(BadInput):
    """The bytes asked for are beyond the end."""

    status = 416


class Unprocessable(BadInput):
    """Well formed, but a rule of the studio speaks against it."""

    status = 422


class NotSignedIn(StudioError):
    """No token, or one that is not valid."""

    status = 401


class Forbidden(StudioError):
    """Whoever asks is known, or need not be, and may not do this."""

    status = 403


class NotFound(StudioError):
    """Absent, or another member's: the answer is the same."""

    status = 404


class Conflict(StudioError):
    """Something in hand speaks against it now."""

    status = 409


class TooMany(StudioError):
    """A rate or a quota is used up; `retry_after_s` is when there is room again."""

    status = 429

    def __init__(self, code: str, message: str, *, next_step: str, retry_after_s: float) -> None:
        super().__init__(code, message, next_step=next_step)
        self.retry_after_s = retry_after_s


class Unavailable(StudioError):
    """A part that the studio needs is away."""

    status = 503
