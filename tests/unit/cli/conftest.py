"""A fake studio, a way into it, and a folder of photos."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from tests.unit.cli.fake_studio import FakeStudio, make_app

from portraitist.cli.api import StudioApi


@pytest.fixture
def fake() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
async def operator(fake: FakeStudio) -> AsyncIterator[StudioApi]:
    transport = httpx2.ASGITransport(make_app(fake))
    async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as client:
        yield StudioApi(client, "instance-token", lambda: True)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of so many different photos."""

    def make(count: int = 12, name: str = "my photos", hue: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            Image.new("RGB", (64, 64), (number * 15, hue, 50)).save(folder / f"{number:02d}.jpg")
        return folder

    return make
