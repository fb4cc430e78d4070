"""Notices: one for each event, in the app, by mail and by push, entered with the step that they are about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.mailbox import mailbox
from tests.fakes.push_service import ORIGIN, PushedBrowser, PushService
from tests.integration.browsing import Surfer, signed_in
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.people import ANNA, Browser, first_admin, joined

from portraitist.kit import failpoints
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.http import GuardedClient
from portraitist.studio import bootstrap
from portraitist.studio.notices.tasks import Pusher

pytestmark = pytest.mark.anyio


async def anna(studio: ByHand) -> tuple[Browser, str]:
    """Signed in, with photos enough."""
    admin = await first_admin(studio)
    there = await joined(studio, admin, ANNA)
    user_id = str((await there.ok("GET", "/me"))["id"])
    await there.ok("POST", "/consents", {"version": (await there.ok("GET", "/consents/wording"))["version"]})
    await studio.enter_photos(user_id, 10)
    return there, user_id


@asynccontextmanager
async def pusher(studio: ByHand, service: PushService) -> AsyncIterator[Pusher]:
    """The worker's part, whose only network is this push service."""
    transport = httpx2.ASGITransport(app=service)
    client = GuardedClient(allowed=[ORIGIN], transport=transport)
    core = studio.parts.core
    yield Pusher(core.db, studio.clock, client, bootstrap.vapid(studio.settings))
    await client.close()


async def trained(studio: ByHand, member: Browser) -> str:
    training = await member.ok("POST", "/trainings", {})
    await studio.until_quiet()
    return str(training["id"])


async def test_a_model_that_is_ready_is_told_of_once_and_read_once(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    await trained(by_hand, member)
    told = await member.ok("GET", "/notices")
    [notice] = told["items"]
    assert (notice["kind"], notice["title"], notice["path"]) == (
        "model_ready",
        "Your model is ready",
        "/pictures",
    )
    assert told["unread"] == 1
    await member.ok("POST", "/notices/read")
    again = await member.ok("GET", "/notices")
    assert again["unread"] == 0
    assert again["items"][0]["read_at"] is not None


async def test_a_training_that_failed_is_told_of_with_its_reason(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    by_hand.cloud.statuses_of_a_training = ["starting", "processing", "failed"]
    await trained(by_hand, member)
    [notice] = (await member.ok("GET", "/notices"))["items"]
    assert (notice["kind"], notice["path"]) == ("training_failed", "/training")
    assert notice["text"].startswith("The training failed: ")


async def test_a_training_that_is_parked_again_and_again_is_told_of_once_and_then_ready(
    by_hand: ByHand,
) -> None:
    member, _ = await anna(by_hand)
    real = by_hand.cloud.trained_output
    by_hand.cloud.trained_output = lambda model, version: "null:null"
    training = await member.ok("POST", "/trainings", {})
    for _ in range(200):
        [(retries,)] = by_hand.rows("select retries from trainings")
        if retries >= 3:
            break
        await by_hand.step()
    kinds = [each["kind"] for each in (await member.ok("GET", "/notices"))["items"]]
    assert kinds == ["training_parked"]
    [run] = [run for run in by_hand.cloud.runs.values() if run.shown["input"].get("steps")]
    run.shown["output"] = real(run.destination, by_hand.cloud.versions[run.destination][0]["id"])
    await member.ok("POST", f"/trainings/{training['id']}/retry")
    await by_hand.until_quiet()
    kinds = [each["kind"] for each in (await member.ok("GET", "/notices"))["items"]]
    assert kinds == ["model_ready", "training_parked"]


async def test_a_worker_that_dies_while_promoting_tells_nothing_and_the_next_one_tells_once(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, _ = await anna(by_hand)
    dies = [True]

    def hit(label: str) -> None:
        if label == "verification.promoting" and dies.pop() if dies else False:
            raise RuntimeError("killed")

    await member.ok("POST", "/trainings", {})
    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hit", hit)
        with pytest.raises(RuntimeError):
            await by_hand.until_quiet()
    assert (await member.ok("GET", "/notices"))["items"] == []
    await by_hand.until_quiet()
    assert [each["kind"] for each in (await member.ok("GET", "/notices"))["items"]] == ["model_ready"]


async def test_a_push_is_decrypted_by_its_browser_and_says_kind_and_place_only(by_hand: ByHand) -> None:
    member, user_id = await anna(by_hand)
    there, service = PushedBrowser(), PushService()
    await member.ok("PUT", "/notices/push", there.to_json())
    key = (await member.ok("GET", "/notices/ways"))["push_key"]
    await trained(by_hand, member)
    async with pusher(by_hand, service) as sending:
        assert await sending.sweep() == 1
        assert await sending.sweep() == 0
    [(path, headers, body)] = service.taken
    assert path == "/send/one"
    assert (headers["content-encoding"], headers["ttl"]) == ("aes128gcm", "86400")
    assert there.opened(body) == {"kind": "model_ready", "path": "/pictures"}
    assert user_id.encode() not in body
    claims = service.claims()
    assert (claims["aud"], claims["k"]) == (ORIGIN, key)
    assert 0 < claims["exp"] - by_hand.clock.now().timestamp() <= 24 * 3600
    with pytest.raises(Exception, match=r".*"):  # any other browser's key opens nothing
        PushedBrowser(auth=there.auth).opened(body)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten_with_what_waited_for_it(
    by_hand: ByHand, status: int
) -> None:
    member, _ = await anna(by_hand)
    await member.ok("PUT", "/notices/push", PushedBrowser().to_json())
    await trained(by_hand, member)
    async with pusher(by_hand, PushService([status])) as sending:
        assert await sending.sweep() == 0
    assert by_hand.rows("select count(*) from push_subscriptions") == [(0,)]
    assert by_hand.rows("select count(*) from pushes") == [(0,)]


async def test_a_push_service_that_is_away_is_tried_again_for_a_day(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    await member.ok("PUT", "/notices/push", PushedBrowser().to_json())
    await trained(by_hand, member)
    service = PushService([503, 429, 201])
    async with pusher(by_hand, service) as sending:
        assert await sending.sweep() == 0
        assert await sending.sweep() == 0
        assert len(service.taken) == 1, "it waits"
        by_hand.clock.move(timedelta(minutes=1))
        assert await sending.sweep() == 0
        by_hand.clock.move(timedelta(hours=25))
        assert await sending.sweep() == 0
        assert len(service.taken) == 2, "nobody waits for it any more"
    assert by_hand.rows("select count(*) from pushes") == [(0,)]


async def test_who_signs_out_or_wants_no_pushes_gets_none(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    await member.ok("PUT", "/notices/push", PushedBrowser().to_json())
    await member.ok("PUT", "/notices/ways", {"mail": True, "push": False})
    await trained(by_hand, member)
    assert by_hand.rows("select count(*) from pushes") == [(0,)]
    await member.ok("DELETE", "/session")
    assert by_hand.rows("select count(*) from push_subscriptions") == [(0,)]


@pytest.mark.parametrize(
    ("part", "value"),
    [("endpoint", "http://push.example/x"), ("p256dh", "A" * 87), ("auth", "A" * 21), ("p256dh", "!" * 87)],
)
async def test_what_is_no_subscription_is_refused(by_hand: ByHand, part: str, value: str) -> None:
    member, _ = await anna(by_hand)
    given = PushedBrowser().to_json()
    (given if part == "endpoint" else given["keys"])[part] = value
    answer = await member.send("PUT", "/notices/push", given)
    assert (answer.status_code, answer.json()["code"]) == (422, "push_invalid")


async def test_addresses_that_are_not_public_are_never_asked(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    await member.ok("PUT", "/notices/push", PushedBrowser("https://127.0.0.1:9/x").to_json())
    await trained(by_hand, member)
    async with bootstrap.pusher(by_hand.settings, by_hand.parts.core) as real:
        sending = Pusher(real.db, by_hand.clock, real.client, real.vapid)
        assert await sending.sweep() == 0
    assert by_hand.rows("select count(*) from push_subscriptions") == [(0,)]


async def test_a_letter_goes_out_in_the_members_language_unless_they_want_none(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    with mailbox() as box:
        given: dict[str, Any] = {"smtp_url": box.url, "mail_from": "studio@example.org"}
        async with studio_by_hand(postgres, studio_database, tmp_path, **given) as studio:
            post = bootstrap.post(studio.settings, studio.parts.core)
            assert post is not None
            member, _ = await anna(studio)
            window = await signed_in(studio, ANNA)
            await window.send("/language", to="de")
            await trained(studio, member)
            await post.sweep()
            [letter] = [each for each in box.letters if each["subject"] == "Dein Modell ist fertig"]
            assert "Sag, wo du gern zu sehen wärst." in letter.get_content()
            assert "/pictures" in letter.get_content()
            await member.ok("PUT", "/notices/ways", {"mail": False, "push": True})
            box.letters.clear()
            await trained(studio, member)
            await post.sweep()
            assert box.letters == []
            assert (await member.ok("GET", "/notices"))["unread"] == 2


async def test_the_page_shows_what_was_told_and_the_bell_counts_what_is_new(by_hand: ByHand) -> None:
    member, _ = await anna(by_hand)
    window = await signed_in(by_hand, ANNA)
    await window.open("/notices")
    assert "Nothing to tell yet" in window.text
    await trained(by_hand, member)
    assert await bell(window) == "Notices, 1 new"
    await window.open("/notices")
    assert "Your model is ready new" in window.text
    assert await bell(window) == "Notices"
    await window.send("/notices/ways", mail="true")
    assert (await member.ok("GET", "/notices/ways")) | {"push_key": ""} == {
        "mail": True,
        "push": True,
        "mail_is_sent": False,
        "push_key": "",
    }


async def bell(window: Surfer) -> str:
    answer = await window.http.get("/notices/badge")
    return answer.text.split('aria-label="')[1].split('"')[0]
