"""Child processes: they stand still, go on, stop and end when told to, and learn no secret."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portraitist.engine.children import process
from portraitist.engine.children.channel import ORPHANED
from portraitist.engine.children.process import Child
from portraitist.engine.yielding import RightOfWay

pytestmark = pytest.mark.anyio


@pytest.fixture
async def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Child]:
    monkeypatch.setitem(process.PROGRAMS, "train", "tests.engine.counting_child")
    started = await Child.start("train", tmp_path / "said.txt")
    await started.send("job")
    yield started
    await started.end()


async def count(child: Child) -> int:
    async for event in child.events():
        return int(event["number"])
    raise AssertionError("the child ended")


async def heard_within(child: Child, seconds: float) -> list[str]:
    """All that a child says for so long."""
    heard: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in child.events():
                heard.append(event["event"])
    return heard


async def stands_still(child: Child) -> bool:
    """Whether it falls silent, some steps after it was told to, and stays so for a while."""
    for _ in range(50):
        if await heard_within(child, 0.2) == []:
            return await heard_within(child, 0.3) == []
    return False


async def says(child: Child, wanted: str, times: int = 1) -> None:
    """Listen until it has said this so often; a child that has only been started takes its time."""
    async with asyncio.timeout(30):
        async for event in child.events():
            times -= event["event"] == wanted
            if not times:
                return
    raise AssertionError("the child ended")


async def test_a_training_stands_still_while_a_prediction_has_the_right_of_way(child: Child) -> None:
    way = RightOfWay()
    await way.joins(child)
    assert await count(child) == 0
    await way.take()
    assert await stands_still(child)
    await way.free()
    await says(child, "counted", 4)


async def test_a_training_that_begins_while_a_prediction_runs_waits_at_once(child: Child) -> None:
    way = RightOfWay()
    await way.take()
    await way.joins(child)
    assert await stands_still(child)
    await way.free()
    await says(child, "counted")


async def test_a_canceled_job_ends_even_while_it_stands_still_and_the_next_one_is_not_canceled(
    child: Child,
) -> None:
    await child.send("pause")
    await child.send("cancel")
    await says(child, "canceled")
    await child.send("job")
    await child.send("resume")
    assert await count(child) == 0


async def test_a_child_without_its_worker_ends_at_once(child: Child) -> None:
    await count(child)
    assert child._process.stdin is not None
    child._process.stdin.close()
    assert await asyncio.wait_for(child._process.wait(), 5) == ORPHANED


async def test_a_killed_child_is_told_from_one_that_broke(child: Child) -> None:
    await count(child)
    child._process.kill()
    await child._process.wait()
    assert "E1001" in await child.how_it_died()


async def test_what_libraries_print_does_not_disturb_the_events(child: Child) -> None:
    assert await count(child) == 0
    assert "a library that prints" in await child.said()


def test_a_child_gets_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ENGINE_TOKEN",
        "ENGINE_DATABASE_URL",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "SECRET_KEY",
    ):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in process.environment().values()
    assert "PATH" in process.environment()
