"""The fake cloud keeps the contract, so what is tested against it means something."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from tests.contract.provider.suite import *  # noqa: F403
from tests.contract.provider.suite import Endpoint
from tests.fakes.replicate_cloud import ReplicateCloud
from tests.fakes.serving import served


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    cloud = ReplicateCloud()
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(stream, "JPEG")
    with served(cloud) as base_url:
        yield Endpoint(base_url, cloud.token, cloud.username, (stream.getvalue(),) * 10)
