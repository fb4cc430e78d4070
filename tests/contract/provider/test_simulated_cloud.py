"""The simulated cloud keeps the contract too, so the proof that rests on it means something."""

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from PIL import Image
from tests.contract.provider.suite import *  # noqa: F403
from tests.contract.provider.suite import Endpoint
from tests.fakes.serving import served
from tests.fakes.simulated_cloud import Behaviour, SimulatedCloud
from tests.fakes.simulated_http import CloudOverHttp

QUICK = Behaviour(
    training_s=(0.05, 0.1),
    prediction_s=(0.02, 0.05),
    start_s=(0.01, 0.02),
    list_lag_s=(0, 0),
    version_lag_s=(0, 0),
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    cloud = SimulatedCloud(lambda: datetime.now(UTC), random.Random(7), QUICK)
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(stream, "JPEG")
    with served(CloudOverHttp(cloud)) as base_url:
        yield Endpoint(base_url, cloud.token, cloud.username, (stream.getvalue(),) * 10)
