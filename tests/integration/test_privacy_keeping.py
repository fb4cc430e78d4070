"""Photos go when their time is over, announced before; consent is asked for again when its wording is another one."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.kit.objects import ObjectStore, StorageUnavailable
from portraitist.studio.accounts import domain as wording
from portraitist.studio.privacy.keeping import Keeping
from portraitist.studio.training.old_logs import OldLogs

pytestmark = pytest.mark.anyio
RETENTION = "/api/v1/account/retention"


def keeping(studio: ByHand, days: float = 30) -> Keeping:
    core = studio.parts.core
    return Keeping(core.db, core.objects, core.clock, timedelta(days=days))


def files(studio: ByHand, member: Member) -> int:
    folder = studio.settings.portraitist_home / "objects" / "members" / member.id / "selfies"
    return len(list(folder.glob("*"))) if folder.exists() else 0


async def photos(member: Member) -> int:
    return len((await member.get("/api/v1/selfies"))["items"])


async def days_pass(studio: ByHand, days: float, *, kept: float = 30) -> None:
    """As the worker does it: a sweep every few hours."""
    for _ in range(int(days * 4)):
        studio.clock.move(timedelta(hours=6))
        await keeping(studio, kept).sweep()


async def test_photos_are_announced_three_days_before_they_go_and_the_model_stays(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)

    await days_pass(by_hand, 26)
    assert (await anna.get(RETENTION))["photos_deleted_at"] is None
    await days_pass(by_hand, 2)
    told = await anna.get(RETENTION)
    assert told["photos_deleted_at"] is not None and await photos(anna) == 10
    assert _at(told["photos_deleted_at"]) - _at(told["announced_at"]) >= timedelta(days=3) - timedelta(
        hours=6
    )
    await days_pass(by_hand, 4)

    assert (await photos(anna), files(by_hand, anna)) == (0, 0)
    assert (await anna.get(RETENTION))["photos_deleted_at"] is None
    assert (await anna.get("/api/v1/models"))["active"] is not None
    await days_pass(by_hand, 2)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_whoever_says_keep_them_keeps_them(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    await days_pass(by_hand, 28)

    kept = await anna.http.put(RETENTION, json={"keep_photos": True})

    assert kept.json()["photos_deleted_at"] is None
    await days_pass(by_hand, 40)
    assert await photos(anna) == 10
    await anna.http.put(RETENTION, json={"keep_photos": False})
    await days_pass(by_hand, 2)
    assert await photos(anna) == 10, "announced anew, three days before"
    await days_pass(by_hand, 2)
    assert await photos(anna) == 0


async def test_a_shorter_time_in_the_settings_still_gives_three_days(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    by_hand.clock.move(timedelta(days=20))
    await days_pass(by_hand, 2.75, kept=3)
    assert await photos(anna) == 10
    await days_pass(by_hand, 0.75, kept=3)
    assert await photos(anna) == 0


async def test_a_new_training_puts_it_off(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    await days_pass(by_hand, 29)
    await by_hand.trained(anna)
    await days_pass(by_hand, 20)
    assert await photos(anna) == 10


async def test_photos_of_no_training_have_no_timer(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await days_pass(by_hand, 40)
    assert await photos(anna) == 10


async def test_what_a_trainings_log_said_goes_after_thirty_days_and_its_numbers_stay(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    training = await by_hand.trained(anna)
    core = by_hand.parts.core
    logs = OldLogs(core.db, core.clock, timedelta(days=30))
    said = "select logs_tail <> '', raw_output is not null, total_steps from trainings"
    [(_, _, steps)] = before = by_hand.rows(said)
    assert before == [(True, True, steps)]

    by_hand.clock.move(timedelta(days=29))
    assert await logs.sweep() == 0 and by_hand.rows(said) == before
    by_hand.clock.move(timedelta(days=2))

    assert await logs.sweep() == 1
    assert by_hand.rows(said) == [(False, False, steps)]
    assert await logs.sweep() == 0
    assert (await anna.get(f"/api/v1/trainings/{training['id']}"))["status"] == "completed"


async def test_a_sweep_that_dies_between_two_files_is_gone_on_with(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    await days_pass(by_hand, 29)
    by_hand.clock.move(timedelta(days=3))
    delete, left = ObjectStore.delete, 4

    async def dies(self: ObjectStore, key: str) -> None:
        nonlocal left
        if left == 0:
            raise StorageUnavailable("killed here")
        left -= 1
        await delete(self, key)

    monkeypatch.setattr(ObjectStore, "delete", dies)
    with pytest.raises(StorageUnavailable):
        await keeping(by_hand).sweep()
    assert (files(by_hand, anna), await photos(anna)) == (6, 10)
    monkeypatch.undo()

    assert await keeping(by_hand).sweep() == 1
    assert (files(by_hand, anna), await photos(anna)) == (0, 0)


async def test_new_wording_is_asked_for_before_the_next_photo(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await by_hand.member(photos=0)
    by_hand.clock.move(timedelta(days=60))
    monkeypatch.setattr(wording, "CONSENT_VERSION", "2027-01")
    begin: dict[str, Any] = {"file_name": "a.jpg", "length": 1000}

    refused = await anna.http.post("/api/v1/uploads", json=begin)

    assert (refused.status_code, refused.json()["code"]) == (422, "consent_needed")
    assert "/api/v1/consents" in refused.json()["next_step"]
    old = await anna.http.post("/api/v1/consents", json={"version": "2026-11"})
    assert (old.status_code, old.json()["code"]) == (422, "consent_outdated")
    await anna.consent()
    assert (await anna.http.post("/api/v1/uploads", json=begin)).status_code == 201
    given = (await anna.get("/api/v1/consents"))["items"]
    assert [each["version"] for each in given] == ["2027-01", "2026-11"]


async def test_the_member_is_shown_the_timers_that_rule_the_sweeper(by_hand: ByHand) -> None:
    anna = await by_hand.member(photos=0)
    shown = {each["kind"]: each["days"] for each in (await anna.get(RETENTION))["timers"]}
    assert shown["photos"] == by_hand.settings.keep_photos_days == 30
    assert shown["pictures"] is None and shown["deleted pictures"] == 7
