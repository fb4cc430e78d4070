"""`SimulatedCloud` behind ASGI, with a fault per request. Sockets are `serving`'s, behaviour is the cloud's."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.fakes.simulated_answers import Answer, Asked, refused
from tests.fakes.simulated_cloud import SimulatedCloud

FaultOf = Callable[[str, str], str | None]  # (method, path) → a fault's name, or None
LATE_S = 6.0
THROTTLED = "Request was throttled. Your rate limit resets in ~1s."


@dataclass
class CloudOverHttp:
    """The ASGI app. `fault_of` may say `429`, `500` (nothing is done), `cut`, `late 500` or `late` (it is done)."""

    cloud: SimulatedCloud
    fault_of: FaultOf = lambda method, path: None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read one request, meet its fault or ask the cloud, and answer."""
        request = Request(scope, receive)
        asked = await _asked(request)
        fault = self.fault_of(request.method, request.url.path)
        if fault in ("429", "500"):
            await _response(refused(int(fault), THROTTLED))(scope, receive, send)
            return
        if fault == "late":  # long after the caller has given up
            await asyncio.sleep(LATE_S)
        with self._one_at_a_time:
            self.cloud.base_url = str(request.base_url).rstrip("/")
            answer = self.cloud.handle(asked)
        if fault == "cut":
            start = {"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"999")]}
            await send(start)
            await send({"type": "http.response.body", "body": b'{"id": "', "more_body": True})
            return
        done = refused(500, "It was done, but the answer was lost.") if fault == "late 500" else answer
        await _response(done)(scope, receive, send)


def _response(answer: Answer) -> Response:
    headers = {"content-range": answer.content_range} if answer.content_range else {}
    return Response(answer.content, answer.status, headers, answer.content_type)


async def _asked(request: Request) -> Asked:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            content = form["content"]
            assert isinstance(content, UploadFile)
            file = (content.filename or "", await content.read(), content.content_type or "")
        return Asked(request.method, url, token, upload=file)
    body = await request.body()
    wanted = request.headers.get("range", "")
    return Asked(request.method, url, token, json.loads(body) if body else None, wanted)
