"""Bodies over their route's cap, refused in the words of every other error: the framework's own answer is plain text.

The caps themselves stand where the routes are made (`max_body_size`).
"""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portraitist.studio.http import problem

TOO_LARGE = 413


class RefusedBodies:
    """ASGI middleware: a plain 413 becomes a problem, everything else passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        replaced = False

        async def sending(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_plain_refusal(message):
                replaced = True
                await _refusal(scope)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self._app(scope, receive, sending)


def _is_plain_refusal(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == TOO_LARGE and kind.startswith("text/plain")


def _refusal(scope: Scope) -> ASGIApp:
    return problem(
        TOO_LARGE, "body_too_large", "This is more than is taken here.", "Send less at once.", Request(scope)
    )
