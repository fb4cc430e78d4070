"""The provider's limits hold for the studio as a whole; a refusal that holds for all is asked for once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.replicate_cloud import NO_CREDIT
from tests.integration.by_hand import ByHand, studio_by_hand

from portraitist.kit.embedded_postgres import Server

pytestmark = pytest.mark.anyio
TRAININGS = "/v1/models/ostris"


@pytest.fixture
async def metered(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[ByHand]:
    """A studio whose provider allows 60 creates a minute, six of them at once."""
    changes = {"provider_creates_per_minute": 60, "provider_others_per_minute": 100_000}
    changes |= {"trainings_in_flight": 50}
    async with studio_by_hand(postgres, studio_database, tmp_path, **changes) as running:
        yield running


async def test_twenty_waiting_members_without_credit_are_one_question_and_not_a_storm(
    metered: ByHand,
) -> None:
    metered.cloud.fail_next("POST", TRAININGS, *[NO_CREDIT] * 100)
    for number in range(20):
        member = await metered.member(f"name:{number}")
        await member.post("/api/v1/trainings")
    for _ in range(100):
        await metered.step()
    assert metered.cloud.sent("POST", TRAININGS) == 1
    assert metered.cloud.sent("POST", "/v1/files") <= 6  # nobody packs photos for a start that can't be
    assert metered.rows("select count(*) from trainings where status = 'queued'") == [(20,)]
    [(code,)] = metered.rows("select error_code from trainings where error_code is not null")
    assert code == "provider_no_credit"


async def test_starts_beyond_the_rate_wait_and_none_is_lost_or_doubled(metered: ByHand) -> None:
    members = [await metered.member(f"name:{number}") for number in range(12)]
    for member in members:
        await member.post("/api/v1/trainings")
    for kind in metered.TABLES:
        await metered.parts.sweeper.admit(kind)
    for kind, row_id, user_id, _ in metered.due():
        await metered.advance(kind, row_id, user_id)
    creates = len(metered.cloud.models) + metered.cloud.sent("POST", TRAININGS)
    assert creates <= 6 + 12  # the burst, and what a slow machine lets the bucket fill up with meanwhile
    assert len(metered.cloud.trainings()) < 12
    assert metered.rows("select count(*) from trainings where status = 'queued'")[0][0] > 0
