"""Our own engine keeps the same contract as the cloud, over real HTTP, with a real (short) training."""

import io

import pytest
from tests.contract.provider.suite import *  # noqa: F403
from tests.contract.provider.suite import Endpoint
from tests.engine.conftest import *  # noqa: F403
from tests.engine.harness import TOKEN, Engine

from portraitist.engine.tiny.drawing import draw_selfies

pytestmark = pytest.mark.slow  # a real training


@pytest.fixture(scope="module")
def photos() -> tuple[bytes, ...]:
    streams = [io.BytesIO() for _ in range(10)]
    for picture, stream in zip(draw_selfies(7, 10), streams, strict=True):
        picture.resize((264, 352)).save(stream, "JPEG")
    return tuple(stream.getvalue() for stream in streams)


@pytest.fixture
def endpoint(api: Engine, photos: tuple[bytes, ...]) -> Endpoint:
    """An engine whose worker sleeps: enough for all that makes no pictures."""
    return at(api, photos)


@pytest.fixture
def training_endpoint(engine: Engine, photos: tuple[bytes, ...]) -> Endpoint:
    return at(engine, photos)


def at(engine: Engine, photos: tuple[bytes, ...]) -> Endpoint:
    settings = engine.settings
    return Endpoint(settings.address, TOKEN, settings.username, photos, patience_s=600, poll_s=0.2)
