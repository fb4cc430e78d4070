"""The way to the simulated cloud and to a storage in memory, with what goes wrong on the way.

`SimulatedHttp` stands where the kit's `GuardedClient` stands, so the real adapter with its retries and its
reading of errors is part of what is simulated.
"""

import hashlib
import json as json_module
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from portraitist.kit.http import HttpTimeout, HttpUnreachable, Response
from portraitist.kit.objects import ObjectExists, ObjectMissing, StorageUnavailable, Stored
from tests.fakes.simulated_answers import Answer, Asked, refused
from tests.fakes.simulated_cloud import SimulatedCloud
from tests.simulation.scheduler import Scheduler

NOTHING_DONE = ("429", "500", "unsent", "lost", "html", "401", "402")
DONE = ("late 500", "timeout", "reset", "late arrival", "much later")
LATER_S = {"late arrival": 5.0, "much later": 150.0}
"""Seconds after the caller gave up: within the grace in which it looks for its start, and long after."""
FAULTS = (*NOTHING_DONE, *DONE)
"""What a request may meet. Those of DONE happen although the caller has no answer."""

FaultOf = Callable[[str, str], str | None]


@dataclass
class SimulatedHttp:
    """Requests to the cloud, one fault each where the script says so."""

    scheduler: Scheduler
    cloud: SimulatedCloud
    fault_of: FaultOf
    late: Counter[str] = field(default_factory=Counter)
    """How many requests were given up and have not arrived yet, by path."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Any = None,
        json: Any = None,
        content: bytes | None = None,
        files: Any = None,
        deadline_s: float = 30.0,
        max_bytes: int | None = None,
    ) -> Response:
        """As the kit's client: an answer, or HttpTimeout and HttpUnreachable with `sent`."""
        where = urlsplit(url)
        token = (headers or {}).get("authorization", "").removeprefix("Bearer ")
        # the body travels as JSON: what can't be sent must fail here too
        body = None if json is None else json_module.loads(json_module.dumps(json))
        path = f"{where.path}?{where.query}" if where.query else where.path
        wanted = (headers or {}).get("range", "")
        asked = Asked(method, path, token, body, wanted, files["content"] if files else None)
        fault = self.fault_of(method, where.path)
        await self.scheduler.pause(f"{method} {where.path}", self.scheduler.rng.choice((0.0, 0.02, 0.3)))
        if fault in NOTHING_DONE:
            return await self._nothing(str(fault), deadline_s)
        if fault in LATER_S:
            self.late[asked.url] += 1
            self.scheduler.spawn(self._arrive(asked), "network", "late", after=deadline_s + LATER_S[fault])
            raise await self._timed_out(deadline_s)
        answer = self.cloud.handle(asked)
        await self.scheduler.pause("answering", 0.01)
        if fault == "timeout":
            raise await self._timed_out(deadline_s)
        if fault == "reset":
            raise HttpUnreachable("the connection broke", sent=True)
        return _response(refused(500, "It was done.") if fault == "late 500" else answer)

    async def _nothing(self, fault: str, deadline_s: float) -> Response:
        if fault == "unsent":
            raise HttpUnreachable("no connection", sent=False)
        if fault == "lost":
            raise await self._timed_out(deadline_s)
        if fault == "html":
            return Response(502, {"content-type": "text/html"}, b"<html>Bad Gateway</html>")
        return _response(refused(int(fault), "Request was throttled. Your rate limit resets in ~2s."))

    async def _timed_out(self, deadline_s: float) -> HttpTimeout:
        await self.scheduler.pause("waiting", deadline_s)
        return HttpTimeout("no answer within its time", sent=True)

    async def _arrive(self, asked: Asked) -> None:
        self.late[asked.url] -= 1
        self.cloud.handle(asked)

    async def close(self) -> None:
        """Nothing is open."""


def _response(answer: Answer) -> Response:
    headers = {"content-type": answer.content_type, "content-range": answer.content_range}
    return Response(answer.status, headers, answer.content)


@dataclass
class MemoryObjects:
    """An object storage in memory; `fault` says `away` or `reply lost` for a write."""

    scheduler: Scheduler
    fault: Callable[[], str | None] = lambda: None
    files: dict[str, bytes] = field(default_factory=dict)

    async def put_new(self, key: str, data: bytes) -> Stored:
        """Create-only."""
        fault = self.fault()
        await self.scheduler.pause("put", 0.01)
        if fault == "away":
            raise StorageUnavailable("The storage can't be reached.")
        if key in self.files:
            raise ObjectExists(f"{key} is stored already.")
        self.files[key] = data
        await self.scheduler.pause("put done")
        if fault == "reply lost":
            raise StorageUnavailable("The storage's answer was lost.")
        return Stored(key, len(data), hashlib.sha256(data).hexdigest())

    async def get(self, key: str) -> bytes:
        """The whole content."""
        if key not in self.files:
            raise ObjectMissing(f"{key} is not stored.")
        return self.files[key]

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The content in one piece."""
        yield await self.get(key)

    async def head(self, key: str) -> Stored | None:
        """Size, or None."""
        return Stored(key, len(self.files[key])) if key in self.files else None

    async def delete(self, key: str) -> None:
        """One that isn't there is fine."""
        await self.scheduler.pause("delete")
        self.files.pop(key, None)

    async def list(self, prefix: str) -> list[str]:
        """Every key under the folder."""
        return sorted(key for key in self.files if key.startswith(f"{prefix.rstrip('/')}/"))

    async def signed_url(self, key: str, ttl: timedelta) -> str | None:
        """A local storage has no such thing."""
        return None
