"""Live streams as clients see them: what they begin with, what a client that was cut off is told, when they end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.studio.events import service as events
from portraitist.studio.events.service import MISSED, STREAMS_OF_ONE, Hub, Moved, news
from portraitist.studio.web import live

pytestmark = pytest.mark.anyio


@dataclass
class Stream:
    """One open stream and what it has said."""

    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    last_id: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def until(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The first event of that kind that says this."""
        async with asyncio.timeout(20):
            while True:
                for name, data in self.heard:
                    if name == kind and wanted.items() <= data.items():
                        return data
                await asyncio.sleep(0.01)

    def take(self, text: str) -> None:
        name, data = "message", ""
        for line in text.splitlines():
            key, _, value = line.partition(": ")
            match key:
                case "event":
                    name = value
                case "data":
                    data += value
                case "id":
                    self.last_id = value
        if data:
            self.heard.append((name, json.loads(data)))


@asynccontextmanager
async def stream(studio: ByHand, member: Member, last: str | None = None) -> AsyncIterator[Stream]:
    """A client of the app itself, which takes each piece as it comes."""
    opened, left = Stream(), asyncio.Event()
    headers = [(b"authorization", member.http.headers["authorization"].encode()), (b"host", b"studio")]
    if last is not None:
        headers.append((b"last-event-id", last.encode()))

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            opened.status = message["status"]
            return
        for text in message.get("body", b"").decode().split("\n\n"):
            opened.take(text)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("studio", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "root_path": "",
    }
    running = asyncio.create_task(studio.web(scope, receive, send))
    try:
        async with asyncio.timeout(20):
            while not opened.last_id and not running.done():
                await asyncio.sleep(0.01)
        yield opened
    finally:
        left.set()
        await asyncio.wait_for(running, 10)


async def test_a_stream_begins_with_what_is_in_hand_and_tells_each_step(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    training = await anna.post("/api/v1/trainings")
    async with stream(by_hand, anna) as open_one, stream(by_hand, anna) as other_tab:
        assert (await open_one.until("training", id=training["id"]))["status"] == "queued"
        await by_hand.until(anna, f"/api/v1/trainings/{training['id']}", "training")
        for each in (open_one, other_tab):
            await each.until("training", id=training["id"], status="training")


async def test_a_client_that_was_cut_off_is_told_what_ended_meanwhile(by_hand: ByHand) -> None:
    anna, ben = await by_hand.member(), await by_hand.member("name:ben")
    training = await anna.post("/api/v1/trainings")
    async with stream(by_hand, anna) as before:
        await before.until("training", id=training["id"])
        last = before.last_id
    await by_hand.until(anna, f"/api/v1/trainings/{training['id']}", "completed")
    async with stream(by_hand, anna) as first_visit:
        assert first_visit.heard == []
    async with stream(by_hand, anna, last) as again:
        assert (await again.until("training", id=training["id"]))["status"] == "completed"
    async with stream(by_hand, ben, last) as stranger:
        assert stranger.heard == []


@pytest.mark.parametrize("last", ["", "made-up", "-1", "9" * 30, "٣"])
def test_what_is_no_id_of_ours_is_a_first_visit(last: str) -> None:
    assert live._heard_until(last, datetime.now(UTC)) is None


def test_a_very_old_id_goes_back_a_day_and_no_further() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert live._heard_until("1000000", now) == now - timedelta(days=1)
    assert live._heard_until(str(live._micros(now)), now) == now - live.MARGIN


async def test_a_member_may_have_only_so_many_streams_open(by_hand: ByHand) -> None:
    anna = await by_hand.member(photos=0)
    hub: Hub = by_hand.web.state.hub
    opened = [hub.stream(anna.id) for _ in range(STREAMS_OF_ONE)]
    for each in opened:
        each.__enter__()
    refused = await anna.http.get("/api/v1/events")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert int(refused.headers["retry-after"]) > 0
    for each in opened:
        each.__exit__(None, None, None)


async def test_a_stream_ends_after_a_while_so_that_its_client_is_asked_again_who_it_is(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIFE_S", 0.2)
    monkeypatch.setattr(live, "SILENCE_S", 0.1)
    anna = await by_hand.member(photos=0)
    answer = await asyncio.wait_for(anna.http.get("/api/v1/events"), 10)
    assert answer.status_code == 200
    assert ": snapshot" in answer.text


async def test_a_row_is_read_once_for_all_tabs_and_once_however_often_it_moved() -> None:
    reads: list[Moved] = []

    async def read(moved: Moved) -> str:
        reads.append(moved)
        await asyncio.sleep(0)
        return "text"

    row = uuid4()
    tabs: list[asyncio.Queue[Moved]] = [asyncio.Queue(), asyncio.Queue()]
    for _ in range(5):
        Hub._put(set(tabs), Moved("training", row))
    for tab in tabs:
        batch = await anext(news(tab, 1))
        assert len(batch) == 1
        assert await batch[0].text(partial(read, batch[0])) == "text"
    assert len(reads) == 1


async def test_a_reader_that_is_far_behind_starts_over_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow: asyncio.Queue[Moved] = asyncio.Queue(2)
    quick: asyncio.Queue[Moved] = asyncio.Queue(10)
    for _ in range(3):
        Hub._put({slow, quick}, Moved("training", uuid4()))
    assert await anext(news(slow, 1)) == [MISSED]
    assert len(await anext(news(quick, 1))) == 3
    assert await anext(news(asyncio.Queue(), 0.01)) == []


async def test_news_carry_ids_and_no_contents(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    async with asyncio.timeout(20), aclosing(by_hand.parts.core.db.pool.listen(events.CHANNEL)) as listening:
        assert await anext(listening) == "", "it listens now"
        training = await anna.post("/api/v1/trainings")
        heard = json.loads(await anext(listening))
    assert set(heard) == {"user", "kind", "id"}
    assert heard["id"] == training["id"]
