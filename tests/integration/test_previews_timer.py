"""Pictures that were never saved go after the operator's time, announced before, and can be had back for a week."""

from datetime import datetime, timedelta

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.test_legal_hold import hold, release
from tests.integration.test_privacy_erasure import with_pictures

from portraitist.studio.privacy.previews import Previews

pytestmark = pytest.mark.anyio
RETENTION = "/api/v1/account/retention"


def previews(studio: ByHand, days: float | None) -> Previews:
    core = studio.parts.core
    return Previews(core.db, core.clock, None if days is None else timedelta(days=days))


async def days_pass(studio: ByHand, days: float, kept: float | None = 10) -> None:
    for _ in range(int(days * 4)):
        studio.clock.move(timedelta(hours=6))
        await previews(studio, kept).sweep()


async def count(member: Member) -> int:
    return len((await member.get("/api/v1/images"))["items"])


async def test_they_are_announced_and_go_three_days_later_but_what_is_saved_stays(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    items = sorted((await anna.get("/api/v1/images"))["items"], key=lambda each: not each["saved"])
    first, second, third = (each["id"] for each in items)
    assert items[0]["saved"], "the one in an album"
    await anna.http.patch(f"/api/v1/images/{second}", json={"favourite": True})
    by_hand.web.state.core.settings.__dict__["keep_previews_days"] = 10.0

    await days_pass(by_hand, 6)
    assert (await anna.get(RETENTION))["previews_deleted_at"] is None
    await days_pass(by_hand, 2)
    told = await anna.get(RETENTION)
    [(announced,)] = by_hand.rows("select announced_at from preview_timers")
    assert datetime.fromisoformat(told["previews_deleted_at"]) - announced == timedelta(days=3)
    assert await count(anna) == 3
    await days_pass(by_hand, 3)

    assert {each["id"] for each in (await anna.get("/api/v1/images"))["items"]} == {first, second}
    await anna.post(f"/api/v1/images/{third}/restore")
    assert await count(anna) == 3, "it can be had back, as what one deletes oneself"


async def test_it_is_off_unless_the_operator_has_set_it(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    assert by_hand.settings.previews_kept_for is None
    await days_pass(by_hand, 100, None)
    assert await count(anna) == 3
    timers = {each["kind"]: each["days"] for each in (await anna.get(RETENTION))["timers"]}
    assert timers["pictures that were never saved"] is None


async def test_a_longer_time_set_meanwhile_holds_at_once(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    await days_pass(by_hand, 8)
    await days_pass(by_hand, 20, 60)
    assert await count(anna) == 3


async def test_a_hold_stops_it(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    await hold(by_hand, anna)
    await days_pass(by_hand, 20)
    await release(by_hand, anna)
    assert await count(anna) == 3
    await days_pass(by_hand, 3.25)
    assert await count(anna) == 1, "the one in an album is saved"
