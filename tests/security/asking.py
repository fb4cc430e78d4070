"""One request to an ASGI app without a network, faster than a client library; streams are left after their first piece.

Everything of the answer counts here: status, headers in their order, body.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Question:
    """A request, ready to be sent."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What came back; of a stream, its first piece."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The header's value, "" where there is none."""
        return next((value for key, value in self.headers if key == name), "")


class _Conversation:
    def __init__(self, question: Question) -> None:
        self._question = question
        self._asked = False
        self.done = asyncio.Event()
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self.body = bytearray()

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._question.body, "more_body": False}
        await self.done.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple((k.decode().lower(), v.decode("latin-1")) for k, v in message["headers"])
            return
        self.body += message.get("body", b"")
        endless = any(v.startswith("text/event-stream") for k, v in self.headers if k == "content-type")
        if not message.get("more_body") or (endless and self.body):
            self.done.set()


async def ask(app: ASGIApp, question: Question, signed_in: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Send one request, signed in by these headers or not at all."""
    given = [*question.headers, *signed_in, ("host", "studio")]
    if question.body:
        given.append(("content-length", str(len(question.body))))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": question.method,
        "scheme": "http",
        "path": unquote(question.path),
        "raw_path": question.path.encode(),
        "query_string": question.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given],
        "client": ("192.0.2.1", 1),
        "server": ("studio", 80),
        "state": {},
    }
    talk = _Conversation(question)
    running = asyncio.ensure_future(app(scope, talk.receive, talk.send))
    ended = asyncio.ensure_future(talk.done.wait())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        if not running.done():
            await _left(running)
    return Answer(talk.status, talk.headers, bytes(talk.body))


async def _left(running: "asyncio.Future[None]") -> None:
    """The answer is whole: what the app does afterwards may finish, a stream that goes on is cut."""
    await asyncio.wait({running}, timeout=1)
    if not running.done():
        running.cancel()
    await asyncio.gather(running, return_exceptions=True)
