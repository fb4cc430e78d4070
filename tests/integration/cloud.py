"""The fake Replicate with the moods that single tests ask for: a moved clock, other pictures, odd downloads."""

import asyncio
import base64
import hmac
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from PIL import Image
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.fakes.replicate_cloud import ReplicateCloud, Run
from tests.fakes.weights import weights_tar

from portraitist.studio.architecture import TRAINER_VERSION

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

    `picture` replaces every drawn file; `downloads` are the next answers to GETs of outputs, one each; each waits
    for `may_download`.
    """

    def __init__(self, clock: MovedClock | None = None, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.moved_clock = clock
        self.picture: bytes | None = None
        self.downloads: list[Answer] = []
        self.may_download: Callable[[], bool] = lambda: True
        self.base_url = ""
        self.trained_output = lambda model, version: {
            "version": f"{model}:{version}",
            "weights": f"{self.base_url}outputs/{version}/trained_model.tar",
        }

    def _now(self) -> str:
        if self.moved_clock is None:
            return super()._now()
        moment = self.moved_clock.now() + timedelta(microseconds=next(self._clock))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _advance(self, run: Run, status: str, base_url: str) -> None:
        self.base_url = base_url
        super()._advance(run, status, base_url)
        if run.shown["version"] == TRAINER_VERSION and status == "succeeded":
            for version in self.versions[run.destination]:
                self.outputs.setdefault(f"{version['id']}/trained_model.tar", weights_tar(version["id"]))

    def _draw(self, run: Run, base_url: str) -> None:
        super()._draw(run, base_url)
        if self.picture is not None:
            for key in self.outputs:
                if key.endswith(".png"):
                    self.outputs[key] = self.picture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/outputs/"):
            while not self.may_download():
                await asyncio.sleep(0.02)
            if self.downloads:
                await self.downloads.pop(0)(receive, send)
                return
        await super().__call__(scope, receive, send)

    def webhook_of(
        self, run: Run, event: str, now: datetime | None = None
    ) -> tuple[str, dict[str, str], bytes]:
        """Address, headers and body of one webhook as the cloud would send it now; each event has its own id."""
        with self._moving:
            body = json.dumps(run.shown).encode()
        return run.shown["webhook"], self.signed(body, f"msg_{run.shown['id']}_{event}", now), body

    def signed(self, body: bytes, message_id: str, now: datetime | None = None) -> dict[str, str]:
        stamp = str(int((now or datetime.now(UTC)).timestamp()))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, "sha256")
        return {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
        }

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
        for number in range(min(len(body), 100)):
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
