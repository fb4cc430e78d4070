"""What every answer carries: `cache-control: no-store`, the rate limit's headers, and the limit itself."""

import json
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portraitist.engine.errors import throttled
from portraitist.engine.limits import Allowance, Limits, class_of


class Envelope:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limits = Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, then pass it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowance = self._limits.take(class_of(scope["method"], scope["path"]), time.monotonic())

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), allowance)
            await send(message)

        if allowance.allowed:
            await self._app(scope, receive, with_headers)
        else:
            await _refuse(allowance, with_headers)


def _add(headers: MutableHeaders, allowance: Allowance) -> None:
    headers["cache-control"] = "no-store"
    headers["ratelimit-remaining"] = str(allowance.remaining)
    headers["ratelimit-reset"] = str(allowance.reset_s)


async def _refuse(allowance: Allowance, send: Send) -> None:
    body = json.dumps(throttled(allowance.reset_s).body).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"retry-after", str(allowance.reset_s).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
