"""The admin's pages: who may open them, what needs a look and what helps, what was used. Never a face or a word."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.browsing import NAVIGATION, Surfer, signed_in, surfer
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN, ANNA, Browser, first_admin, joined

from portraitist.studio.admin.health import Sampler
from portraitist.studio.web.admin_pages import routers

pytestmark = pytest.mark.anyio
PAGES = sorted(
    route.path  # type: ignore[attr-defined]
    for router in routers.ALL
    for route in router.routes
    if "GET" in route.methods and "{" not in route.path  # type: ignore[attr-defined]
)
FORMS = sorted(
    route.path  # type: ignore[attr-defined]
    for router in routers.ALL
    for route in router.routes
    if "POST" in route.methods  # type: ignore[attr-defined]
)
ANY_ID = "00000000-0000-4000-8000-000000000000"
WORDS = "on a rooftop among pigeons"


async def anna_and_admin(studio: ByHand, photos: int = 10) -> tuple[Browser, str, Surfer]:
    """A member with photos, her id, and the admin's window."""
    admin = await first_admin(studio)
    anna = await joined(studio, admin, ANNA)
    wording = await anna.ok("GET", "/consents/wording")
    await anna.ok("POST", "/consents", {"version": wording["version"]})
    user_id = (await anna.ok("GET", "/me"))["id"]
    await studio.enter_photos(user_id, photos)
    return anna, user_id, await signed_in(studio, ADMIN)


def actions(studio: ByHand) -> list[tuple[str, str]]:
    """What was recorded, and who is said to have done it; oldest first."""
    rows = studio.rows(
        """select e.action, coalesce(a.email, e.actor) from audit_events e
           left join users a on a.audit_subject = e.actor_id order by e.at, e.id"""
    )
    return [(str(action), str(who)) for action, who in rows]


def item(window: Surfer, words: str) -> str:
    """The entry of the list that says this."""
    found = [each for each in re.findall(r"<li.*?</li>", window.page, re.DOTALL) if words in each]
    assert len(found) == 1, (words, window.text)
    return found[0]


async def test_a_member_is_told_and_a_stranger_asked_to_sign_in_on_every_page_and_form(
    by_hand: ByHand,
) -> None:
    assert len(PAGES) >= 7
    assert len(FORMS) >= 12
    _, user_id, _ = await anna_and_admin(by_hand, photos=0)
    window, stranger = await signed_in(by_hand, ANNA), surfer(by_hand, "203.0.113.5")
    assert 'href="/admin"' not in window.page
    csrf = window.form("/sign-out")["csrf"]
    before = actions(by_hand)
    for page in [
        *PAGES,
        *(
            f"/admin/{each}"
            for each in (f"members/{user_id}", f"members/{user_id}/events", f"looks/{ANY_ID}")
        ),
    ]:
        answer = await window.http.get(page)
        assert (answer.status_code, "Only an admin" in answer.text) == (403, True), page
        assert (await stranger.http.get(page)).status_code == 401
    for form in FORMS:
        address = re.sub(r"\{user_id\}", user_id, form)
        address = re.sub(r"\{\w+\}", ANY_ID, address)
        answer = await window.http.post(address, data={"csrf": csrf, "disabled": "true"}, headers=NAVIGATION)
        assert (answer.status_code, "Only an admin" in answer.text) == (403, True), address
        assert (await stranger.http.post(address, headers=NAVIGATION)).status_code == 401
    assert actions(by_hand) == before


async def test_an_admins_token_opens_no_page(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    made = await admin.ok("POST", "/tokens", {"name": "a program", "scopes": ["full", "admin"], "days": 1})
    answer = await by_hand.http.get("/admin", headers={"Authorization": f"Bearer {made['token']}"})
    assert answer.status_code == 403
    assert "token can" in answer.text


async def test_every_page_opens_says_nothing_inline_and_shows_no_picture_and_no_word(by_hand: ByHand) -> None:
    anna, user_id, window = await anna_and_admin(by_hand)
    await anna.ok("POST", "/trainings")
    await by_hand.until_quiet()
    await anna.ok("POST", "/generations", {"prompt": WORDS})
    await by_hand.until_quiet()
    await sampler(by_hand).sweep()
    for page in [*PAGES, f"/admin/members/{user_id}", "/admin?kind=generation&status=completed"]:
        await window.open(page)
        assert window.status == 200, (page, window.text)
        assert window.title, page
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|<img", window.page), page
        assert "pigeons" not in window.page, page
    assert ANNA in window.text


async def test_a_parked_training_stands_first_and_its_button_takes_it_on(by_hand: ByHand) -> None:
    by_hand.cloud.trained_output = lambda model, version: {"version": "somebody/else:" + "0" * 64}
    anna, _, window = await anna_and_admin(by_hand)
    training = await anna.ok("POST", "/trainings")
    await window.open("/admin")
    assert "Nothing is stuck." in window.text
    for _ in range(40):
        if (await anna.ok("GET", f"/trainings/{training['id']}"))["status"] == "extraction_failed":
            break
        await by_hand.step()
    await window.open("/admin")
    assert "1 run needs a look." in window.text
    assert ANNA in item(window, "not in use yet")
    await window.send(f"/admin/trainings/{training['id']}/retry")
    assert window.status == 200
    assert "looks again" in window.text
    assert (await anna.ok("GET", f"/trainings/{training['id']}"))["status"] == "extracting"
    assert actions(by_hand)[-1] == ("training.retried", ADMIN)


async def test_a_failed_training_is_begun_again_once_and_a_long_one_is_canceled(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", "failed"]
    anna, _, window = await anna_and_admin(by_hand)
    failed = await anna.ok("POST", "/trainings")
    await by_hand.until_quiet()
    await window.open("/admin")
    assert "It failed." in item(window, ANNA)
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 1000]
    again = f"/admin/trainings/{failed['id']}/again"
    fields = window.form(again)
    await window.send(again)
    assert "Another training has begun" in window.text
    assert "It failed." not in window.text, "there is a later one"
    assert (await window.http.post(again, data=fields, headers=NAVIGATION)).status_code == 303
    trainings = (await anna.ok("GET", "/trainings"))["items"]
    assert [each["status"] for each in trainings] == ["queued", "failed"]
    for _ in range(4):
        await by_hand.step()
    by_hand.clock.move(timedelta(hours=1, minutes=5))
    by_hand.run("update trainings set next_check_at = %s where status = 'training'", by_hand.clock.now())
    window = await signed_in(by_hand, ADMIN)
    await window.open("/admin")
    assert "longer than it should" in item(window, ANNA)
    await window.send(f"/admin/trainings/{trainings[0]['id']}/cancel")
    assert "It is being canceled." in item(window, ANNA)
    await by_hand.until_quiet()
    assert (await anna.ok("GET", f"/trainings/{trainings[0]['id']}"))["status"] == "canceled"
    assert ("training.begun_again", ADMIN) in actions(by_hand)
    assert actions(by_hand)[-1] == ("training.canceled", ADMIN)


async def test_nobody_looks_is_told_and_pictures_of_a_member_can_be_canceled(by_hand: ByHand) -> None:
    anna, _, window = await anna_and_admin(by_hand)
    await anna.ok("POST", "/trainings")
    await by_hand.until_quiet()
    by_hand.cloud.statuses_of_a_prediction = ["starting", *["processing"] * 1000]
    asked = await anna.ok("POST", "/generations", {"prompt": WORDS})
    for _ in range(3):
        await by_hand.step()
    by_hand.clock.move(timedelta(minutes=20))
    window = await signed_in(by_hand, ADMIN)
    await window.open("/admin")
    assert "is a worker running?" in item(window, "/admin/members/")
    by_hand.run("update generation_trackers set next_check_at = %s", by_hand.clock.now())
    await window.open("/admin")
    await window.send(f"/admin/generations/{asked['id']}/cancel")
    await by_hand.until_quiet()
    assert (await anna.ok("GET", f"/generations/{asked['id']}"))["status"] == "canceled"
    assert actions(by_hand)[-1] == ("generation.canceled", ADMIN)
    answer = await by_hand.operator("POST", f"/api/v1/operator/generations/{asked['id']}/cancel")
    assert answer.status_code == 204, "a second wish changes nothing"
    answer = await by_hand.operator("POST", f"/api/v1/operator/generations/{ANY_ID}/cancel")
    assert answer.status_code == 404


async def ended_after(studio: ByHand, seconds: float) -> None:
    """Everything goes on to its end; of the next run the provider says that it was at work for so long."""
    known = len(studio.cloud.runs)
    while len(studio.cloud.runs) == known:
        await studio.step()
    list(studio.cloud.runs.values())[-1].shown["metrics"] = {"predict_time": seconds}
    await studio.until_quiet()


async def test_seconds_pictures_quotas_and_money_are_counted_per_member(by_hand: ByHand) -> None:
    anna, user_id, window = await anna_and_admin(by_hand)
    await anna.ok("POST", "/trainings")
    await ended_after(by_hand, 412.5)
    await anna.ok("POST", "/generations", {"prompt": WORDS})
    await ended_after(by_hand, 9.5)
    told = (await by_hand.operator("GET", "/api/v1/admin/usage")).json()
    [use] = told["members"]
    assert (use["user_id"], use["member"]) == (user_id, ANNA)
    assert (use["trainings"], use["training_seconds"], use["trainings_today"]) == (1, 412.5, 1)
    assert (use["generations"], use["pictures"], use["generation_seconds"]) == (1, 3, 9.5)
    assert (use["generations_today"], use["cost"]) == (1, None)
    await window.open("/admin/usage")
    assert "Money is shown where" in window.text
    [account] = told["accounts"]
    assert (account["models"], account["trainings"], account["trainings_today"]) == (1, 0, 1)
    by_hand.clock.move(timedelta(days=40))
    told = (await by_hand.operator("GET", "/api/v1/admin/usage", params={"days": 30})).json()
    assert told["members"] == []


def sampler(studio: ByHand) -> Sampler:
    core = studio.parts.core
    provider = studio.parts.sweeper.providers[studio.settings.account_id]
    return Sampler(core.db, core.objects, provider, core.clock, silent_s=8)


async def test_the_studio_is_looked_at_once_a_minute_for_a_week_and_the_page_says_it_in_words(
    by_hand: ByHand,
) -> None:
    anna, _, window = await anna_and_admin(by_hand)
    await window.open("/admin/health")
    assert "No worker has looked yet." in window.text
    looking = sampler(by_hand)
    assert [await looking.sweep(), await looking.sweep()] == [True, False]
    await anna.ok("POST", "/trainings")
    by_hand.clock.move(timedelta(minutes=1))
    await looking.sweep()
    told: Any = (await by_hand.operator("GET", "/api/v1/admin/health")).json()
    latest = told["latest"]
    assert (latest["waiting"], latest["due"], latest["workers"]) == (1, 0, 0)
    assert (latest["engine_reachable"], latest["storage_ok"]) == (True, True)
    assert min(latest["database_bytes"], latest["storage_bytes"], latest["storage_free"]) > 0
    window = await signed_in(by_hand, ADMIN)
    await window.open("/admin/health")
    assert "Waiting for a place 1" in window.text
    assert "It always answered." in window.text
    assert window.page.count("<polyline") >= 6
    by_hand.clock.move(timedelta(days=7, hours=1))
    await looking.sweep()
    assert by_hand.rows("select count(*) from health_samples") == [(1,)]
