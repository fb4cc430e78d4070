"""Pages, errors and what scripts say in the language that a member chose, or that their browser likes."""

import json
import re
from html import unescape

import pytest
from tests.integration.browsing import NAVIGATION, Surfer, signed_in, surfer
from tests.integration.by_hand import ByHand
from tests.integration.people import ANNA, first_admin, joined

pytestmark = pytest.mark.anyio
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


async def german(studio: ByHand) -> Surfer:
    window = await signed_in(studio, ANNA)
    window.http.headers.update(GERMAN)
    return window


async def test_a_visitor_gets_the_language_that_their_browser_likes(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    await window.open("/")
    assert '<html lang="en">' in window.page
    assert window.title.startswith("Portraits of you,")
    window.http.headers.update(GERMAN)
    await window.open("/")
    assert '<html lang="de">' in window.page
    assert window.title.startswith("Porträts von dir,")


async def test_a_language_is_chosen_in_the_footer_and_stays(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    window.http.headers.update(GERMAN)
    await window.open("/sign-in?after=%2Fgallery")
    assert '<button name="to" value="en" lang="en">English</button>' in window.page
    answer = await window.http.post(
        "/language", data=window.form("/language") | {"to": "en"}, headers=NAVIGATION
    )
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("language=en", "HttpOnly", "SameSite=lax", "Max-Age=31536000"))
    await window._shown(answer)
    assert (window.title, window.address) == ("Sign in", "http://studio/sign-in?after=%2Fgallery")


async def test_no_other_site_and_no_strange_word_chooses_a_language(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    answer = await window.http.post("/language", data={"to": "de"}, headers=foreign)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    for to in ("xx", "../de", ""):
        filled = {"to": to, "after": "//elsewhere.example"}
        answer = await window.http.post("/language", data=filled, headers=NAVIGATION)
        assert "set-cookie" not in answer.headers
        assert answer.headers.get("location", "/") == "/"


async def test_errors_are_said_in_the_language_too_with_their_values(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    window = await german(by_hand)
    await window.open("/training")
    answer = await window.http.post(
        "/training", data=window.form("/language") | {"key": "k" * 32}, headers=NAVIGATION
    )
    assert answer.status_code == 422
    assert "Ein Modell braucht mindestens 10 gute Fotos; 0 sind bisher angenommen." in unescape(answer.text)
    refused = await window.http.post(
        "/sign-in", data={"email": ANNA, "password": "wrong"}, headers=NAVIGATION
    )
    assert "E-Mail-Adresse und Passwort passen nicht zusammen." in refused.text
    problem = (await window.http.get("/api/v1/trainings/00000000-0000-4000-8000-000000000000")).json()
    assert (problem["title"], problem["detail"]) == ("Nicht gefunden", "Dieses Training gibt es nicht.")
    assert problem["code"] == "training_not_found"
    assert (await surfer(by_hand).http.get("/api/v1/me")).json()["title"] == "Not signed in"


async def test_scripts_get_their_words_with_the_page_and_english_needs_none(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    await window.open("/sign-in")
    assert 'name="words"' not in window.page
    window.http.headers.update(GERMAN)
    await window.open("/sign-in")
    [told] = re.findall(r'<meta name="words" content="([^"]*)">', window.page)
    assert json.loads(unescape(told))["The passkey was not used."] == "Der Passkey wurde nicht benutzt."


async def test_what_a_member_types_is_no_markup_inside_a_sentence(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    window = await german(by_hand)
    await window.open("/photos")
    assert "Prompts nennen dich „person“." in window.text
    await window.open("/gallery?q=%3Cb%3E%25(x)s")
    assert window.status == 200
    assert "<b>%(x)s" not in window.page
