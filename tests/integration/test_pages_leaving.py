"""Taking everything back by the pages: nothing goes unless it is sure; the receipt opens to whoever has its token."""

import re
from datetime import timedelta

import pytest
from tests.integration.browsing import NAVIGATION, Surfer, signed_in, surfer
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN, PASSWORD, first_admin
from tests.integration.test_fresh_sign_in import STALE
from tests.integration.test_privacy_erasure import until_done

from portraitist.studio.privacy.domain import LOOKS

pytestmark = pytest.mark.anyio


async def at_home(studio: ByHand) -> Surfer:
    await first_admin(studio)
    return await signed_in(studio, ADMIN)


async def left(window: Surfer, address: str, **fields: str) -> str:
    """Press the button of this page; the receipt's token, as the page had shown it before."""
    await window.open(address)
    token = window.form(address)["receipt"]
    assert f"/receipt#{token}" in window.page
    answer = await window.http.post(address, data=window.form(address) | fields, headers=NAVIGATION)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/receipt#{token}"), answer.text
    return token


async def opened(window: Surfer, token: str) -> None:
    await window.open("/receipt")
    await window.send("/receipt", token=token)


async def test_the_account_is_erased_once_it_is_sure_and_the_receipt_outlives_it(by_hand: ByHand) -> None:
    window = await at_home(by_hand)
    await window.open("/account/erase")
    form = window.form("/account/erase")
    for fields, said in (
        ({"password": PASSWORD, "sure": "false"}, "nothing was done"),
        ({"password": "not it at all"}, "another one"),
    ):
        answer = await window.http.post("/account/erase", data=form | fields, headers=NAVIGATION)
        assert (answer.status_code, said in answer.text) == (422, True)
        assert form["receipt"] in answer.text, "the address that was written down stays good"
    assert by_hand.rows("select count(*) from erasures") == [(0,)]

    token = await left(window, "/account/erase", password=PASSWORD)

    assert (await window.http.get("/account")).status_code == 401
    stranger = surfer(by_hand, "198.51.100.40")
    await opened(stranger, token)
    assert (stranger.status, stranger.title) == (200, "It is being erased")
    assert "data-unfinished" in stranger.page
    await until_done(by_hand, token)
    await opened(stranger, token)
    assert stranger.title == "Everything is erased"
    assert "Records ×" in stranger.text
    assert "Backups of the operator hold it until they expire." in stranger.text
    assert "data-unfinished" not in stranger.page
    assert ADMIN not in stranger.page


async def test_consent_is_taken_back_without_a_proof_and_the_account_stays(by_hand: ByHand) -> None:
    window = await at_home(by_hand)
    await window.open("/photos")
    await window.send("/photos/consent")
    by_hand.clock.move(STALE)
    token = await left(window, "/account/withdraw")
    await window.open("/account/data")
    assert (window.status, "taken back on" in window.text) == (200, True)
    await window.open("/account/withdraw")
    again = await window.http.post(
        "/account/withdraw", data=window.form("/account/withdraw"), headers=NAVIGATION
    )
    assert again.status_code == 409
    await until_done(by_hand, token)
    await opened(window, token)
    assert window.title == "Your photos and models are erased"
    assert "stays, leads to nobody" in window.text or "can't be deleted" in window.text


async def test_whoever_has_no_password_proves_it_before_the_account_is_erased(by_hand: ByHand) -> None:
    window = await at_home(by_hand)
    by_hand.run("delete from passwords")
    by_hand.clock.move(STALE)
    await window.open("/account/erase")
    assert 'name="password"' not in window.page
    form = window.form("/account/erase")
    answer = await window.http.post("/account/erase", data=form, headers=NAVIGATION)
    assert (answer.status_code, "Is it still you?" in answer.text) == (403, True)
    assert by_hand.rows("select count(*) from erasures") == [(0,)]


async def test_a_receipt_that_there_is_not_says_so_and_keeps_what_was_typed(by_hand: ByHand) -> None:
    stranger = surfer(by_hand)
    await opened(stranger, "prc_<nothing>")
    assert (stranger.status, "There is no receipt" in stranger.text) == (404, True)
    assert stranger.form("/receipt")["token"] == "prc_<nothing>"
    assert not re.search(r"prc_<", stranger.page)


async def test_while_an_operator_holds_everything_the_pages_say_that_it_waits(by_hand: ByHand) -> None:
    window = await at_home(by_hand)
    by_hand.run(
        "insert into legal_holds (user_id, id, reason) select id, gen_random_uuid(), 'an order of a court' from users"
    )
    for address in ("/account/data", "/account/erase"):
        await window.open(address)
        assert "An operator must keep your things for now." in window.text
        assert "court" not in window.page
    token = await left(window, "/account/erase", password=PASSWORD)
    for id_, user_id, _ in by_hand.rows("select id, user_id, next_check_at from erasures"):
        await by_hand.parts.eraser.advance(str(id_), user_id)
    await opened(window, token)
    assert "It is accepted, and held" in window.text


def test_the_last_look_is_a_day_after_everything_is_gone() -> None:
    assert LOOKS[-1] == timedelta(days=1), "the page says: up to a day"
