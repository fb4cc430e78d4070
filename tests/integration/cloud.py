"""The fake Replicate with the moods that single tests ask for: a moved clock, other pictures, odd downloads."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.fakes.replicate_cloud import ReplicateCloud, Run

Answer = Callable[[Receive, Send], Awaitable[None]]


@dataclass
class MovedClock:
    """Time that passes when a test says so."""

    moved: timedelta = field(default_factory=timedelta)
    start: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.start + self.moved

    def move(self, by: timedelta) -> None:
        self.moved += by

    def move_to(self, when: datetime) -> None:
        self.moved = max(self.moved, when - self.start)


class MoodyCloud(ReplicateCloud):
    """`ReplicateCloud` whose time, pictures and downloads a test may set.

    `picture` replaces every drawn file; `downloads` are the next answers to GETs of outputs, one each.
    """

    def __init__(self, clock: MovedClock | None = None, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.moved_clock = clock
        self.picture: bytes | None = None
        self.downloads: list[Answer] = []
        self.bodies: list[dict[str, Any]] = []

    def _now(self) -> str:
        if self.moved_clock is None:
            return super()._now()
        moment = self.moved_clock.now() + timedelta(microseconds=next(self._clock))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _draw(self, run: Run, base_url: str) -> None:
        super()._draw(run, base_url)
        if self.picture is not None:
            for key in self.outputs:
                self.outputs[key] = self.picture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.downloads and scope["path"].startswith("/outputs/"):
            await self.downloads.pop(0)(receive, send)
            return
        await super().__call__(scope, receive, send)

    def trainings(self) -> list[Run]:
        return [run for run in self.runs.values() if "steps" in run.shown["input"]]

    def predictions(self, outputs: int = 3) -> list[Run]:
        return [run for run in self.runs.values() if run.shown["input"].get("num_outputs") == outputs]

    def again(self, run: Run) -> Run:
        """The same request done a second time, as a provider does that answers a lost call after all."""
        twin = self._new_run(
            {key: run.shown[key] for key in ("input", "webhook") if key in run.shown},
            run.shown["version"],
            ["starting", *["processing"] * 1000],
        )
        twin.destination = run.destination
        return twin


def answered(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A plain answer."""

    async def answer(receive: Receive, send: Send) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        await Response(body, status, given)({"type": "http"}, receive, send)

    return answer


def short(body: bytes, announced: int) -> Answer:
    """Fewer bytes than were announced, then the connection is gone."""

    async def answer(receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(announced).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})

    return answer


def dripping(body: bytes, pause_s: float) -> Answer:
    """One byte at a time."""

    async def answer(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(len(body)):
            await send({"type": "http.response.body", "body": body[number : number + 1], "more_body": True})
            await asyncio.sleep(pause_s)
        await send({"type": "http.response.body", "body": b""})

    return answer


def endless() -> Answer:
    """Megabytes without end."""

    async def answer(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4096):
            await send({"type": "http.response.body", "body": b"\0" * 2**20, "more_body": True})

    return answer


def plain_png(size: tuple[int, int] = (96, 128)) -> bytes:
    """A picture with nothing on it."""
    stream = io.BytesIO()
    Image.new("RGB", size, "grey").save(stream, "PNG")
    return stream.getvalue()


async def json_of(request: Request) -> Any:
    return json.loads(await request.body())
