"""With a provider configured, the same commands use it alone: no engine is started, nothing falls back."""

from pathlib import Path

import pytest

from tests.acceptance.harness import Done, House, cloud_at
from tests.fakes.replicate_cloud import ReplicateCloud
from tests.fakes.serving import served

pytestmark = pytest.mark.slow


def shoot(house: House, photos: Path, cloud: ReplicateCloud, url: str) -> Done:
    return house.shoot(photos, "in a garden", "out", **cloud_at(cloud, url))


def test_a_shoot_with_a_provider_of_ones_own_starts_no_engine(house: House, astronaut: Path) -> None:
    cloud = ReplicateCloud()
    with served(cloud) as url:
        done = shoot(house, astronaut, cloud, url)
        assert done.code == 0, house.tails()
        assert len(done.pictures) == 3
        assert not (house.home / "logs" / "engine.log").exists()
        assert cloud.sent("POST", "/v1/models/ostris/") == 1
        again = shoot(house, astronaut, cloud, url)
        assert again.code == 0
        assert cloud.sent("POST", "/v1/models/ostris/") == 1


def test_half_a_configuration_is_refused_by_name_and_nothing_falls_back(house: House, drawn: Path) -> None:
    refused = house.run("train", str(drawn), "--consent", timeout=60, REPLICATE_API_TOKEN="r8_token")
    assert refused.code == 2
    assert "REPLICATE_USERNAME" in str(refused.of("error"))
    assert not (house.home / "logs" / "engine.log").exists()
