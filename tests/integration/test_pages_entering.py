"""Coming in by the pages: the forms work without scripts, and only from here."""

import re

import pytest
from tests.integration.browsing import NAVIGATION, signed_in, surfer
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN, ANNA, BEN, PASSWORD, first_admin, joined

pytestmark = pytest.mark.anyio


async def test_a_stranger_reads_what_this_is_and_which_engine_draws(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    await window.open("/")
    assert window.status == 200
    assert "a model that is yours alone" in window.title
    assert "does not say who it is" in window.text  # the tests' provider is no engine of ours
    await window.open("/sign-up")
    assert "portraitist up" in window.text


async def test_signing_in_leads_to_the_page_that_was_asked_for_and_out_again(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    window = surfer(by_hand)
    await window.open("/gallery?favourite=1")
    assert (window.status, window.title) == (401, "Sign in")
    assert window.form("/sign-in")["after"] == "/gallery?favourite=1"
    await window.send("/sign-in", email=ADMIN, password="not it", after="/")
    assert (window.status, window.form("/sign-in")["email"]) == (401, ADMIN)
    assert "don't fit together" in window.text
    await window.send("/sign-in", password=PASSWORD)
    assert (window.status, window.title) == (
        200,
        "First you read what happens with your photos. Then you add ten or more.",
    )
    await window.send("/sign-out")
    assert "You are signed out here." in window.text
    await window.open("/photos")
    assert window.status == 401


@pytest.mark.parametrize(
    "foreign", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_nobody_is_led_elsewhere_after_signing_in(by_hand: ByHand, foreign: str) -> None:
    await first_admin(by_hand)
    window = surfer(by_hand)
    await window.open("/sign-in")
    answer = await window.http.post(
        "/sign-in", data={"email": ADMIN, "password": PASSWORD, "after": foreign}, headers=NAVIGATION
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_forms_from_elsewhere_or_without_the_sessions_token_change_nothing(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    window = await signed_in(by_hand, ADMIN)
    fields = window.form("/sign-out")
    for headers, data in (
        ({"Sec-Fetch-Site": "cross-site"}, fields),
        ({"Origin": "https://evil.example"}, fields),
        ({"Origin": "null"}, fields),
        (NAVIGATION, {}),
        (NAVIGATION, {"csrf": "0" * 64}),
    ):
        answer = await window.http.post("/sign-out", data=data, headers=headers)
        assert answer.status_code == 403
        assert "<h1>" in answer.text  # a page, and no problem in JSON
    stranger = surfer(by_hand)
    told = {"email": ADMIN, "password": PASSWORD}
    answer = await stranger.http.post("/sign-in", data=told, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await window.open("/")) != ""
    assert window.status == 200


async def test_where_it_is_open_an_account_is_made_and_then_signed_in_with(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "open"})
    window = surfer(by_hand)
    await window.open("/sign-up")
    await window.send("/sign-up", email=BEN, password="short")
    assert (window.status, window.form("/sign-up")["email"]) == (422, BEN)
    assert "12 characters" in window.text
    taken = await surfer(by_hand, "203.0.113.9").http.post(
        "/sign-up", data={"email": ADMIN, "password": PASSWORD}, headers=NAVIGATION
    )
    await window.send("/sign-up", password=PASSWORD, subject_word="man")
    assert window.address.endswith(taken.headers["location"])  # the same answer whoever had an account
    await window.send("/sign-in", email=BEN, password=PASSWORD)
    assert window.status == 200
    assert (await window.http.get("/api/v1/me")).json()["subject_word"] == "man"


async def test_every_page_is_ours_alone_and_says_nothing_inline(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    window = await signed_in(by_hand, ANNA)
    for address in ("/", "/photos", "/training", "/pictures", "/gallery", "/sign-up", "/nothing-here"):
        answer = await window.http.get(address)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "private, no-store"
        page = answer.text
        assert not re.search(r"\son\w+=|\sstyle=|<style|https?://|javascript:", page), address
        assert all('src="/' in tag for tag in re.findall(r"<script[^>]*>", page)), address
