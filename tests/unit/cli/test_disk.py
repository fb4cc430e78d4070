"""A full disk is noticed, told once, and named as the reason of what failed because of it."""

import asyncio
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from portraitist.cli import disk
from portraitist.cli.errors import CliError, PartAway

pytestmark = pytest.mark.anyio


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Disk:
    """A disk whose free bytes a test sets."""

    def __init__(self) -> None:
        self.free = 10**12

    def usage(self, folder: Path) -> Usage:
        return Usage(10**12, 0, self.free)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Disk:
    machine = Disk()
    monkeypatch.setattr(shutil, "disk_usage", machine.usage)
    monkeypatch.setattr(disk, "LOOK_EVERY_S", 0.001)
    return machine


async def test_work_that_fills_the_disk_is_stopped_and_cleans_up(machine: Disk, tmp_path: Path) -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        machine.free = 1000
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    with pytest.raises(disk.DiskFull, match="is full: 0 MB are left"):
        await disk.guarded(work(), [tmp_path])
    assert cleaned.is_set()


async def test_a_failure_on_a_full_disk_is_told_as_a_full_disk(machine: Disk, tmp_path: Path) -> None:
    async def work() -> None:
        machine.free = 1000
        raise PartAway("The database went away.")

    with pytest.raises(disk.DiskFull):
        await disk.guarded(work(), [tmp_path])


async def test_a_failure_with_room_left_keeps_its_own_words(machine: Disk, tmp_path: Path) -> None:
    async def work() -> None:
        raise PartAway("The database went away.")

    with pytest.raises(PartAway, match="went away"):
        await disk.guarded(work(), [tmp_path])


async def test_work_with_room_enough_ends_as_it_ends(machine: Disk, tmp_path: Path) -> None:
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    await disk.guarded(work(), [tmp_path])
    assert done == [1]


async def test_a_server_says_once_that_the_disk_is_full_and_once_that_there_is_room(
    machine: Disk, tmp_path: Path
) -> None:
    said: list[str] = []
    telling = asyncio.create_task(disk.tell([tmp_path], said.append))
    for times, free in enumerate((1000, 10**12), 1):
        machine.free = free
        async with asyncio.timeout(10):
            while len(said) < times:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)  # it looks again and again
    telling.cancel()
    assert len(said) == 2
    assert "full" in said[0]
    assert "room" in said[1]


async def test_every_place_where_the_parts_write_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_URL", f"file://{tmp_path}/big%20disk")
    monkeypatch.setenv("ENGINE_STORAGE_URL", "s3://bucket")
    monkeypatch.setenv("ENGINE_WORK_DIR", str(tmp_path / "scratch"))
    places = disk.folders(tmp_path)
    assert {tmp_path / "big disk", tmp_path / "scratch", tmp_path / "objects", tmp_path / "engine"} <= set(
        places
    )
    assert disk.full(places, 0) is None  # most are not there yet
    assert isinstance(disk.full(places, 2**62), CliError)
