"""The judge and its sandboxes: reused, replaced when they die or hang, never believed, never too many."""

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.studio.selfies.hostile import encoded, portrait, scan_bomb
from tests.unit.studio.selfies.processes import environment, owner, sandboxes

from portraitist.studio.selfies import judging
from portraitist.studio.selfies.domain import Code, Decoded, Limits, Measure, Rejected
from portraitist.studio.selfies.frames import (
    AnswerError,
    frame,
    pack_answer,
    pack_limits,
    parse_answer,
    parse_limits,
)
from portraitist.studio.selfies.judging import Judge, SandboxUnavailableError

pytestmark = pytest.mark.anyio
MEASURE = Measure(300, 400, 55.5, 120.25, 0.1, 0.0, -(2**63), -12.5, bytes(range(64)))


async def busy_with(judge: Judge, data: bytes) -> tuple[asyncio.Task[Decoded | Rejected], int]:
    """A photo that its sandbox, stopped, will never finish; the task and the sandbox's process id."""
    await judge.decode(encoded(portrait(), "JPEG"))
    (pid,) = sandboxes()
    os.kill(pid, signal.SIGSTOP)
    task = asyncio.create_task(judge.decode(data))
    await asyncio.sleep(0.1)
    assert not task.done()
    return task, pid


async def test_a_sandbox_that_dies_with_a_photo_costs_that_photo_alone() -> None:
    photo = encoded(portrait(), "JPEG")
    async with Judge(sandboxes=1) as judge:
        task, pid = await busy_with(judge, photo)
        os.kill(pid, signal.SIGKILL)
        found = await task
        assert isinstance(found, Rejected)
        assert found.code is Code.UNREADABLE
        assert isinstance(await judge.decode(photo), Decoded)
        assert pid not in sandboxes()


async def test_a_sandbox_that_hangs_is_killed_when_its_time_is_up() -> None:
    photo = encoded(portrait(), "JPEG")
    async with Judge(sandboxes=1, limits=Limits(seconds=1)) as judge:
        task, pid = await busy_with(judge, photo)
        began = time.monotonic()
        found = await task
        assert isinstance(found, Rejected)
        assert found.code is Code.UNREADABLE
        assert time.monotonic() - began < 3
        assert pid not in sandboxes()
        assert isinstance(await judge.decode(photo), Decoded)


async def test_a_photo_that_takes_too_long_is_refused_in_time() -> None:
    bomb = scan_bomb()
    async with Judge(limits=Limits(seconds=1)) as judge:
        began = time.monotonic()
        found = await judge.decode(bomb)
    assert isinstance(found, Rejected)
    assert found.code is Code.UNREADABLE
    assert time.monotonic() - began < 4


async def test_a_caller_that_gives_up_leaves_no_sandbox_behind() -> None:
    photo = encoded(portrait(), "JPEG")
    async with Judge(sandboxes=1) as judge:
        task, pid = await busy_with(judge, photo)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pid not in sandboxes()
        assert isinstance(await judge.decode(photo), Decoded)


async def test_a_sandbox_that_died_idle_costs_no_photo() -> None:
    photo = encoded(portrait(), "JPEG")
    async with Judge(sandboxes=1) as judge:
        await judge.decode(photo)
        (pid,) = sandboxes()
        os.kill(pid, signal.SIGKILL)
        [sandbox] = judge._idle
        while sandbox.fit:
            await asyncio.sleep(0.01)
        assert isinstance(await judge.decode(photo), Decoded)


async def test_twenty_photos_at_once_share_two_sandboxes_that_end_with_the_judge() -> None:
    photo = encoded(portrait(), "JPEG")
    async with Judge() as judge:
        await judge.decode(photo)
        first = sandboxes()
        found = await asyncio.gather(*(judge.decode(photo) for _ in range(20)))
        assert all(isinstance(one, Decoded) for one in found)
        assert set(first) < set(sandboxes())
        assert len(sandboxes()) == judging.SANDBOXES
    assert sandboxes() == []


async def test_a_photo_in_work_when_the_judge_closes_is_finished_and_leaves_no_sandbox() -> None:
    judge = Judge(sandboxes=1)
    task = asyncio.create_task(judge.decode(encoded(portrait(), "JPEG")))
    await asyncio.sleep(0)
    await judge.close()
    assert isinstance(await task, Decoded)
    assert sandboxes() == []


async def test_a_sandbox_is_replaced_after_a_refused_photo_and_after_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = encoded(portrait(), "JPEG")
    monkeypatch.setattr(judging, "PHOTOS_PER_SANDBOX", 2)
    async with Judge(sandboxes=1) as judge:
        seen = []
        for data in (photo, photo, photo, b"no photo", photo):
            await judge.decode(data)
            seen.append(sandboxes())
    assert seen[0] == seen[1] != seen[2]
    assert seen[3] == []
    assert seen[4] not in (seen[1], seen[2])


async def test_a_sandbox_knows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    async with Judge(sandboxes=1) as judge:
        await judge.decode(encoded(portrait(), "JPEG"))
        (pid,) = sandboxes()
        assert environment(pid) == b""


async def test_a_sandbox_never_runs_as_root() -> None:
    async with Judge(sandboxes=1) as judge:
        await judge.decode(encoded(portrait(), "JPEG"))
        (pid,) = sandboxes()
        assert owner(pid) != 0


async def test_a_sandbox_that_cannot_start_is_not_the_photos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr(sys, "executable", command)
        async with Judge() as judge:
            with pytest.raises(SandboxUnavailableError):
                await judge.decode(encoded(portrait(), "JPEG"))


def test_answers_and_limits_survive_the_pipe() -> None:
    decoded = Decoded(b"jpeg", b"", MEASURE)
    assert parse_answer(pack_answer(decoded)) == decoded
    assert parse_answer(pack_answer(Code.ANIMATED)) is Code.ANIMATED
    assert parse_limits(pack_limits(Limits(seconds=3))) == Limits(seconds=3)


@given(st.binary())
def test_noise_is_never_taken_for_an_answer(noise: bytes) -> None:
    for answer in (noise, frame(noise), frame(noise) * 3):
        with pytest.raises(AnswerError):
            parse_answer(answer)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", "300"),
        ("width", True),
        ("width", -1),
        ("sharpness", None),
        ("mean_luma", float("nan")),
        ("dhash", 2**63),
        ("dhash", 1.5),
    ],
)
def test_a_measure_out_of_its_range_is_no_answer(field: str, value: object) -> None:
    head = json.dumps(asdict(MEASURE) | {"ground": list(MEASURE.ground)} | {field: value}).encode()
    with pytest.raises(AnswerError):
        parse_answer(frame(head) + frame(b"") + frame(b""))
