"""The sample members that other tests train on pass the judge themselves."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.photos import astronaut_selfies, drawn_selfies

from portraitist.studio.selfies import domain
from portraitist.studio.selfies.domain import Accepted, Decoded
from portraitist.studio.selfies.judging import Judge

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("made", "min_side"),
    [(astronaut_selfies, domain.EMBEDDED_MIN_SIDE), (drawn_selfies, domain.CLOUD_MIN_SIDE)],
)
async def test_every_photo_of_a_sample_member_is_accepted(
    judge: Judge, tmp_path: Path, made: Callable[[Path], list[Path]], min_side: int
) -> None:
    paths = made(tmp_path)
    assert {path.suffix for path in paths} == {".jpg", ".png", ".webp", ".heic"}
    assert len(paths) == 14
    decoded = await asyncio.gather(*(judge.decode(path.read_bytes()) for path in paths))
    known: list[tuple[str, int]] = []
    for path, found in zip(paths, decoded, strict=True):
        assert isinstance(found, Decoded)
        assert domain.judge(found.measure, known, min_side=min_side) == Accepted()
        known.append((path.name, found.measure.dhash))


def test_the_same_member_is_made_every_time(tmp_path: Path) -> None:
    first, second = astronaut_selfies(tmp_path / "1", 3), astronaut_selfies(tmp_path / "2", 3)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
