"""The studio's errors: one tree, three renderers (HTTP problem, CLI line, worker log).

StudioError
├── BadInput            400  the request can't be used as it is
│   └── Unprocessable   422  well formed, but a rule of the studio speaks against it
├── NotSignedIn         401  no valid token
├── NotFound            404  absent, or another member's: the same answer
├── Conflict            409  something in hand speaks against it now
└── Unavailable         503  a part the studio needs is away; try again

Codes are stable, texts are not. Each text says what happened and what to do next.
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


class Unprocessable(BadInput):
    """Well formed, but a rule of the studio speaks against it."""

    status = 422


class NotSignedIn(StudioError):
    """No token, or one that is not valid."""

    status = 401


class NotFound(StudioError):
    """Absent, or another member's: the answer is the same."""

    status = 404


class Conflict(StudioError):
    """Something in hand speaks against it now."""

    status = 409


class Unavailable(StudioError):
    """A part that the studio needs is away."""

    status = 503
