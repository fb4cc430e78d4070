"""One rate for the whole fleet: never more than allowed, whoever asks; a refusal for all is heard by all."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import psycopg
import pytest

from portraitist.kit import limits
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.limits import Bucket, LimitedClient, SharedLimits

pytestmark = pytest.mark.anyio
TABLE = """create unlogged table rate_limits (name text primary key, tokens double precision not null,
    filled_at timestamptz not null, paused_until timestamptz not null default '-infinity')"""


@pytest.fixture
async def fleet(postgres: Server, make_database: Callable[..., str]) -> AsyncIterator[list[SharedLimits]]:
    """Three processes' limits on one database."""
    url = postgres.url(make_database())
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(TABLE)
    pools = [Database(url, max_size=4) for _ in range(3)]
    for pool in pools:
        await pool.open()
    yield [SharedLimits(pool) for pool in pools]
    for pool in pools:
        await pool.close()


async def nothing() -> AsyncIterator[bytes]:
    yield b""


async def granted(fleet: list[SharedLimits], bucket: Bucket, tries: int) -> int:
    waits = await asyncio.gather(*(fleet[n % len(fleet)].take(bucket) for n in range(tries)))
    return sum(1 for wait in waits if wait == 0)


@pytest.mark.parametrize("per_minute", [1.0, 6.0, 60.0, 600.0, 3000.0])
def test_burst_and_refill_together_never_exceed_the_minute(per_minute: float) -> None:
    bucket = Bucket("x", per_minute)
    assert bucket.burst + 60 * bucket.per_second <= max(per_minute, 1.5)
    assert bucket.per_second > 0


async def test_three_processes_share_one_burst(fleet: list[SharedLimits]) -> None:
    for bucket, burst in ((Bucket("creates", 100), 10), (Bucket("others", 50), 5)):
        began = time.monotonic()
        got = await granted(fleet, bucket, 60)
        refilled = (time.monotonic() - began) * bucket.per_second  # the bucket fills while the test asks
        assert burst <= got <= burst + refilled


async def test_planted_bug_a_bucket_per_process_is_caught(
    fleet: list[SharedLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SharedLimits.take

    async def alone(self: SharedLimits, bucket: Bucket) -> float:
        return await real(self, Bucket(f"{bucket.name} {id(self)}", bucket.per_minute))

    monkeypatch.setattr(SharedLimits, "take", alone)
    with pytest.raises(AssertionError):
        await test_three_processes_share_one_burst(fleet)


async def test_an_empty_bucket_says_how_long_and_keeps_its_word(fleet: list[SharedLimits]) -> None:
    bucket = Bucket("quick", 60)  # emptied sooner than it fills, also on a busy machine
    while (wait := await fleet[0].take(bucket)) == 0:
        pass
    assert 0 < wait <= 1 / bucket.per_second
    await asyncio.sleep(wait + 0.02)
    assert await fleet[1].take(bucket) == 0


async def test_a_refusal_that_holds_for_all_stops_all_and_then_lets_single_ones_try(
    fleet: list[SharedLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REFUSED_FOR_ALL", {402: 60})
    sent: list[str] = []

    def no_credit(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        return httpx2.Response(402, content=nothing())

    bucket = Bucket("creates", 60)
    clients = [
        LimitedClient(
            each, lambda method, url: bucket, allowed=["http://x"], transport=httpx2.MockTransport(no_credit)
        )
        for each in fleet
    ]
    answers: list[Any] = [await client.request("POST", "http://x/") for client in clients]
    assert [answer.status for answer in answers] == [402, 429, 429]
    assert 0 < float(answers[1].headers["retry-after"]) <= 60
    async with fleet[0]._database.transaction() as tx:  # the minute is over
        await tx.execute("update rate_limits set paused_until = now()")
    answers = [await client.request("POST", "http://x/") for client in clients]
    assert sorted(answer.status for answer in answers) == [402, 429, 429]
    assert len(sent) == 2
    for client in clients:
        await client.close()


async def test_a_turn_is_taken_before_what_needs_preparing_and_used_by_it(fleet: list[SharedLimits]) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=nothing()))
    client = LimitedClient(
        fleet[0], lambda method, url: Bucket("creates", 1), allowed=["http://x"], transport=transport
    )
    assert await client.reserve("POST", "http://x/") == 0
    assert await client.reserve("POST", "http://x/") > 0  # one at a time: nobody else prepares meanwhile
    assert (await client.request("POST", "http://x/")).status == 429
    assert (await client.request_reserved("POST", "http://x/")).status == 200
    assert (await client.request("POST", "http://x/")).status == 429
    await client.close()


async def test_requests_without_a_bucket_go_straight_out(fleet: list[SharedLimits]) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=nothing()))
    client = LimitedClient(fleet[0], lambda method, url: None, allowed=["http://x"], transport=transport)
    assert [(await client.request("GET", "http://x/")).status for _ in range(30)] == [200] * 30
    await client.close()
