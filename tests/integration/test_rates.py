"""What a member may ask in a minute and in a day, counted for the whole fleet, and what they are told."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.conftest import Member

from portraitist.kit.embedded_postgres import Server
from portraitist.kit.limits import SharedLimits
from portraitist.studio.errors import TooMany
from portraitist.studio.rates import READS_AT_ONCE, Rates

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_two_processes_share_what_a_member_may_ask(by_hand: ByHand, method: str) -> None:
    fleet = [
        Rates(SharedLimits(by_hand.parts.core.db.pool), reads_per_minute=400, writes_per_minute=400)
        for _ in range(2)
    ]
    granted = 0
    with pytest.raises(TooMany) as refusal:
        for turn in range(400):
            await fleet[turn % 2].spend("aaaaaaaaaaaa", method)
            granted += 1
    assert 40 - READS_AT_ONCE <= granted < 100, (
        "the tenth part of a minute's at once, and what came meanwhile"
    )
    assert refusal.value.code == "too_many_requests"
    assert 0 < refusal.value.retry_after_s < 60
    await fleet[0].spend("bbbbbbbbbbbb", method)


async def test_a_refusal_says_when_there_is_room_again_and_others_go_on(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    async with studio_by_hand(postgres, studio_database, tmp_path, member_writes_per_minute=20) as studio:
        anna, ben = await studio.member(photos=0), await studio.member("name:ben", photos=0)
        answers = [await anna.http.patch("/api/v1/me", json={"subject_word": "woman"}) for _ in range(4)]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["next_step"]
        assert (await anna.http.get("/api/v1/me")).status_code == 200
        assert (await ben.http.get("/api/v1/me")).status_code == 200
    names = [name for (name,) in _names(postgres, studio_database)]
    assert any(name.startswith("member ") for name in names)
    assert not any(anna.id in name or ben.id in name for name in names), "the table says who is a member"


def _names(postgres: Server, database: str) -> list[tuple[str]]:
    import psycopg

    with psycopg.connect(postgres.url(database)) as conn:
        return conn.execute("select name from rate_limits").fetchall()


async def test_a_days_pictures_are_counted_and_room_comes_back(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    async with studio_by_hand(
        postgres, studio_database, tmp_path, generations_per_member_per_day=2
    ) as studio:
        anna = await studio.member()
        await studio.trained(anna)
        first = await _ask(anna, "in a garden", "first-click")
        await _ask(anna, "on a beach")
        refused = await anna.http.post("/api/v1/generations", json={"prompt": "in the snow"})
        assert (refused.status_code, refused.json()["code"]) == (429, "generation_quota_spent")
        assert 0 < int(refused.headers["retry-after"]) <= 86400
        assert await _ask(anna, "in a garden", "first-click") == first, "the same key is the same generation"
        studio.clock.moved += timedelta(days=1, seconds=1)
        await _ask(anna, "in the snow")


async def _ask(member: Member, prompt: str, key: str | None = None) -> str:
    headers = {"Idempotency-Key": key} if key else {}
    item = await member.post("/api/v1/generations", {"prompt": prompt}, expect=201, **headers)
    return str(item["id"])


async def test_without_a_model_a_member_is_told_the_next_step(by_hand: ByHand) -> None:
    empty, ready = await by_hand.member(photos=3), await by_hand.member("name:ben")

    async def told(member: Member) -> str:
        refusal = await member.post("/api/v1/generations", {"prompt": "in a garden"}, expect=409)
        assert refusal["next_step"]
        return str(refusal["code"])

    assert await told(empty) == "no_photos_yet"
    assert await told(ready) == "no_model"
    training = await ready.post("/api/v1/trainings")
    assert await told(ready) == "model_in_training"
    by_hand.run("update trainings set status = 'extraction_failed', provider_training_id = 'x'")
    assert await told(ready) == "training_to_retry"
    assert (await ready.get(f"/api/v1/trainings/{training['id']}"))["next_step"]
