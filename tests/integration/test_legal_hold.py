"""A legal hold: nothing of a member's is removed, shows or begins; an erasure waits, and goes on afterwards."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.test_privacy_erasure import (
    erased,
    files_of,
    receipt_of,
    step,
    traces,
    until_done,
    with_pictures,
)
from tests.integration.test_privacy_keeping import days_pass

from portraitist.studio.images.tasks import Purge
from portraitist.studio.privacy.domain import Stage
from portraitist.studio.selfies.uploads import clear_old
from portraitist.studio.training.old_logs import OldLogs

pytestmark = pytest.mark.anyio
REASON = "Order 12/26 of the district court: keep everything of this account."


async def hold(studio: ByHand, member: Member) -> Any:
    answer = await studio.operator("POST", f"/api/v1/admin/members/{member.id}/hold", json={"reason": REASON})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def release(studio: ByHand, member: Member) -> None:
    answer = await studio.operator("DELETE", f"/api/v1/admin/members/{member.id}/hold")
    assert answer.status_code == 200, answer.text


async def some_steps(studio: ByHand, count: int) -> None:
    for _ in range(count):
        await step(studio)


def things(studio: ByHand) -> tuple[int, ...]:
    [row] = studio.rows(
        """select (select count(*) from selfies), (select count(*) from ai_images), (select count(*) from users),
               (select count(*) from model_versions)"""
    )
    return (*row, len(files_of(studio)), len(studio.cloud.models))


async def test_a_held_erasure_is_accepted_waits_and_is_resumed(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    await hold(by_hand, anna)
    before = things(by_hand)
    token = await erased(by_hand, anna)

    await some_steps(by_hand, 30)

    receipt = await receipt_of(by_hand, token)
    assert (receipt["held"], receipt["stage"], receipt["artefacts"]) == (True, "stop", [])
    assert "court" not in str(receipt)
    assert things(by_hand) == before
    assert (await anna.http.get("/api/v1/me")).status_code == 401, "nobody is signed in any more all the same"

    await release(by_hand, anna)
    done = await until_done(by_hand, token)
    assert not done["held"]
    assert traces(by_hand, anna.id, REASON) == []


@pytest.mark.parametrize("stage", [Stage.PROVIDER, Stage.STORAGE, Stage.DATABASE])
async def test_a_hold_stops_an_erasure_before_its_next_stage(by_hand: ByHand, stage: Stage) -> None:
    anna = await with_pictures(by_hand)
    token = await erased(by_hand, anna)
    by_hand.run("update erasures set next_check_at = now() - interval '1 day'")
    [(erasure_id,)] = by_hand.rows("select id from erasures")
    while by_hand.rows("select stage from erasures") != [(stage.value,)]:
        async with by_hand.parts.core.db.member(anna.id) as tx:
            from portraitist.studio.privacy import repository

            erasure = await repository.get(tx, erasure_id)
        assert erasure is not None
        await by_hand.parts.eraser._went_on(erasure)
    await hold(by_hand, anna)
    before = things(by_hand)

    await some_steps(by_hand, 20)

    assert things(by_hand) == before
    assert (await receipt_of(by_hand, token))["held"]
    await release(by_hand, anna)
    await until_done(by_hand, token)
    assert traces(by_hand, anna.id) == []


async def test_a_member_under_a_hold_can_be_removed_by_no_statement(by_hand: ByHand) -> None:
    """Should the code forget the hold: the row it hangs on can't go, and so nothing of that transaction does."""
    anna = await by_hand.member(photos=0)
    await hold(by_hand, anna)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with by_hand.parts.core.db.member(anna.id) as tx:
            for table in ("api_tokens", "consents", "legal_holds"):
                await tx.run(f"delete from {table}")  # type: ignore[arg-type]
            await tx.run("delete from users where id = %s", (anna.id,))


async def test_timers_stop_for_the_held_and_for_nobody_else(by_hand: ByHand) -> None:
    anna, bela = await with_pictures(by_hand), await with_pictures(by_hand, "name:bela")
    core = by_hand.parts.core
    for member in (anna, bela):
        [image, *_] = (await member.get("/api/v1/images"))["items"]
        await member.post("/api/v1/images/delete", {"ids": [image["id"]]})
        await member.post("/api/v1/uploads", {"file_name": "half.jpg", "length": 1000})
    await hold(by_hand, anna)

    await days_pass(by_hand, 40)
    await Purge(core.db, core.objects, core.clock).sweep()
    await clear_old(core.db, core.objects, core.clock)
    await OldLogs(core.db, core.clock, timedelta(days=30)).sweep()

    left = """select (select count(*) from selfies where user_id = u.id), (select count(*) from ai_images
        where user_id = u.id), (select count(*) from uploads where user_id = u.id), (select count(*) from trainings
        where user_id = u.id and logs_tail <> '') from users u where id = %s"""
    assert by_hand.rows(left, anna.id) == [(10, 3, 1, 1)]
    assert by_hand.rows(left, bela.id) == [(0, 2, 0, 0)]
    await release(by_hand, anna)
    await days_pass(by_hand, 5)
    await Purge(core.db, core.objects, core.clock).sweep()
    assert by_hand.rows(left, anna.id)[0][:2] == (0, 2), "released, they run again"


async def test_nothing_of_the_held_shows_and_nothing_begins(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    [image, *_] = (await anna.get("/api/v1/images"))["items"]
    [photo, *_] = (await anna.get("/api/v1/selfies"))["items"]
    await hold(by_hand, anna)

    for path in ("images", "selfies", "albums", "generations"):
        assert (await anna.get(f"/api/v1/{path}"))["items"] == []
    for path in (f"images/{image['id']}/file", f"images/{image['id']}", f"selfies/{photo['id']}/file"):
        assert (await anna.http.get(f"/api/v1/{path}")).status_code == 404, path
    for method, path, body in (
        ("POST", "uploads", {"file_name": "x.jpg", "length": 10}),
        ("POST", "trainings", {}),
        ("POST", "generations", {"prompt": "by the sea"}),
        ("POST", "albums", {"name": "new"}),
        ("GET", "account/export", None),
    ):
        answer = await anna.http.request(method, f"/api/v1/{path}", json=body)
        assert answer.status_code in (409, 422), (path, answer.text)
    assert (await anna.http.get("/api/v1/account/export")).json()["code"] == "account_held"

    await release(by_hand, anna)
    assert len((await anna.get("/api/v1/images"))["items"]) == 3
    assert (await anna.http.get(f"/api/v1/images/{image['id']}/file")).status_code == 200


async def test_what_had_begun_goes_on_to_its_end_out_of_sight(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    asked = await anna.post("/api/v1/generations", {"prompt": "by the sea"})
    await hold(by_hand, anna)
    await some_steps(by_hand, 60)
    assert by_hand.rows("select status from generation_trackers where id = %s", asked["id"]) == [
        ("completed",)
    ]
    assert by_hand.rows("select count(*) from ai_images") == [(3,)]
    assert (await anna.get("/api/v1/images"))["items"] == []


async def test_the_reason_is_the_operators_and_the_trail_of_the_member_says_nothing(by_hand: ByHand) -> None:
    anna = await by_hand.member(photos=0)
    placed = await hold(by_hand, anna)
    again = await by_hand.operator("POST", f"/api/v1/admin/members/{anna.id}/hold", json={"reason": REASON})
    assert (again.status_code, again.json()["code"]) == (409, "held_already")
    assert not [e for e in (await anna.get("/api/v1/account/events"))["items"] if "hold" in e["action"]]
    async with by_hand.parts.core.db.member(anna.id) as tx:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await tx.value("select reason from legal_holds")
    listed = (await by_hand.operator("GET", "/api/v1/admin/holds")).json()["items"]
    assert [(each["id"], each["reason"]) for each in listed] == [(placed["id"], REASON)]
    told = (await by_hand.operator("GET", "/api/v1/admin/events")).json()["items"][0]
    assert (told["action"], told["actor"], told["detail"]) == ("hold.placed", "host", {"hold": placed["id"]})
    nobody = await by_hand.operator("DELETE", "/api/v1/admin/members/zzzzzzzzzzzz/hold")
    assert nobody.json()["code"] == "hold_not_found"


@pytest.mark.parametrize("hole", ["drop policy quarantine on ai_images", "drop trigger not_held on albums"])
async def test_a_planted_hole_in_the_quarantine_is_found(by_hand: ByHand, hole: str) -> None:
    by_hand.run(hole)
    with pytest.raises(AssertionError):
        await test_nothing_of_the_held_shows_and_nothing_begins(by_hand)
