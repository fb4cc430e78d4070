"""A large file comes in parts: what is here is not fetched again, and a provider without ranges sends it all."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portraitist.kit.objects import ObjectStore
from portraitist.studio.provider.port import FilePart, ProviderOutputTooLarge, ProviderUnavailable
from portraitist.studio.provider.wire import file_part
from portraitist.studio.training import weights_parts
from portraitist.studio.training.weights_parts import Parts

pytestmark = pytest.mark.anyio
WHOLE = bytes(range(250))


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr(weights_parts, "PART_BYTES", 100)
    yield Parts(ObjectStore.from_url(f"file://{tmp_path}"), "members/anna/weights-parts", 1_000)


@dataclass
class Serving:
    """A provider of one file; `cuts` are offsets at which the connection breaks once."""

    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[int] = field(default_factory=list)

    async def download_part(self, url: str, first: int, size: int, max_bytes: int) -> FilePart:
        self.asked.append(first)
        if first in self.cuts:
            self.cuts.remove(first)
            raise ProviderUnavailable("cut", sent=True)
        if not self.ranges:
            return FilePart(0, WHOLE, is_last=True)
        data = WHOLE[first : first + size]
        return FilePart(first, data, is_last=first + len(data) == len(WHOLE))


async def fetched(parts: Parts, provider: Any) -> bytes:
    async def nothing() -> None:
        return None

    return await parts.fetched(provider, "https://x/weights.tar", nothing)


async def test_a_cut_costs_one_part(parts: Parts) -> None:
    provider = Serving(cuts=[100, 200])
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await fetched(parts, provider)
    assert await fetched(parts, provider) == WHOLE
    assert provider.asked == [0, 100, 100, 200, 200]


async def test_a_part_whose_storing_was_interrupted_is_fetched_again(parts: Parts) -> None:
    await fetched(parts, Serving())
    await parts.objects.delete(f"{parts.folder}/{0:012}")
    provider = Serving()
    assert await fetched(parts, provider) == WHOLE  # the later one is found there already
    assert provider.asked == [0, 100, 200]


async def test_without_ranges_all_of_it_comes_at_once(parts: Parts) -> None:
    assert await fetched(parts, Serving(ranges=False)) == WHOLE
    provider = Serving(cuts=[100])
    with pytest.raises(ProviderUnavailable):
        await fetched(parts, provider)
    assert await fetched(parts, Serving(ranges=False)) == WHOLE


async def test_more_than_weights_ever_have_is_not_taken(parts: Parts) -> None:
    with pytest.raises(ProviderOutputTooLarge):
        await fetched(Parts(parts.objects, parts.folder, 150), Serving())


async def test_nothing_is_left_of_the_parts(parts: Parts) -> None:
    await fetched(parts, Serving())
    await parts.forget()
    assert await parts.objects.list("members") == []


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (206, "bytes 100-199/250", (100, False)),
        (206, "bytes 100-199/200", (100, True)),
        (206, "bytes 100-199/*", (100, False)),
        (
            206,
            "bytes 0-99/250",
            (0, True),
        ),  # another part than was asked for: judged as a whole, and found wanting
        (206, "", (0, True)),
        (206, "bytes 100-199/-5", (0, True)),
        (200, "", (0, True)),
    ],
)
def test_what_came_is_read_from_the_answer(status: int, said: str, expected: tuple[int, bool]) -> None:
    part = file_part(status, said, b"x" * 100, 100, 100)
    assert (part.first, part.is_last) == expected
