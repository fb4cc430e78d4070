"""Erasures under real kills of the real worker; `bench/erasures.py` does many."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from portraitist.kit.embedded_postgres import Server
from tests.chaos.erasing import erase_at_random, leftovers
from tests.chaos.rig import Rig
from tests.studio_database import studio_database

__all__ = ["studio_database"]
pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def rig(postgres: Server, studio_database: str, tmp_path: Path) -> Iterator[Rig]:
    with Rig(postgres, studio_database, tmp_path).running() as running:
        yield running


async def test_twenty_members_erased_at_random_moments_under_kills_leave_nothing(rig: Rig) -> None:
    outcome = await erase_at_random(rig, 20, seed=11, most_s=300)

    assert outcome.left == []
    assert outcome.erasures == 20 and outcome.kills >= 5
    assert set(outcome.outcomes) == {"deleted"}
    (rig.home / "objects/members" / rig.members[0]).mkdir(parents=True)
    assert len(leftovers(rig, rig.members)) == 1, "the scan really looks here"
