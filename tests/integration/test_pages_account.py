"""The account's pages: what opens it, tokens, what is kept, what was recorded; each change is a form from here."""

import re
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from tests.integration.browsing import NAVIGATION, Surfer, signed_in
from tests.integration.by_hand import ByHand
from tests.integration.people import (
    ADMIN,
    ANNA,
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    browser,
    first_admin,
    joined,
)
from tests.integration.test_fresh_sign_in import STALE
from tests.integration.test_passkeys import registered

from portraitist.studio.web.account import routers

pytestmark = pytest.mark.anyio
PAGES = ("/account", "/account/sign-in", "/account/tokens", "/account/data", "/account/activity")
LEAVING = ("/account/erase", "/account/withdraw")
NOBODYS = "00000000-0000-4000-8000-000000000000"

WANT_FRESH: dict[str, dict[str, str]] = {
    f"/account/sessions/{NOBODYS}/end": {},
    "/account/sessions/end-others": {},
    f"/account/passkeys/{NOBODYS}/remove": {},
    "/account/recovery-codes": {},
    "/account/second-factor": {"needed": "true"},
    f"/account/identities/{NOBODYS}/remove": {},
    "/account/export": {},
    "/account/tokens": {"name": "n", "scopes": "full"},
}
"""Forms for which a session of eleven minutes ago is not enough, as for the API's routes of the same."""
ENOUGH_AS_IT_IS = {
    "/account/word",
    "/account/password",  # asks for the password itself, as the next does
    "/account/erase",
    "/account/withdraw",
    "/account/keep",
    "/account/prove",
    "/account/prove/mail",
    "/account/passkeys/{passkey_id}/name",
    "/account/tokens/{token_id}/revoke",
}


async def at_home(studio: ByHand) -> tuple[Surfer, Browser]:
    """A member (the first: passwords take their time) in a window, and a browser of theirs that asks the API."""
    there = await first_admin(studio)
    return await signed_in(studio, ADMIN), there


async def sent(window: Surfer, action: str, **fields: str) -> int:
    """Send a form that stands on no page, with this session's token; what is answered is shown as ever."""
    await window.open("/account")
    given = {"csrf": window.form("/sign-out")["csrf"], **fields}
    answer = await window.http.post(action, data=given, headers=NAVIGATION)
    await window._shown(answer)
    return answer.status_code


async def test_every_page_of_the_account_is_ours_alone_and_leads_to_the_others(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    for address in (*PAGES, *LEAVING, "/account/prove", "/receipt"):
        await window.open(address)
        assert (window.status, window.title != "") == (200, True), address
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", window.page), address
    for address in PAGES:
        await window.open(address)
        assert re.findall(r'<a href="(/account[^"]*)" aria-current="page">', window.page) == [address]
        assert all(f'href="{other}"' in window.page for other in PAGES)


async def test_no_token_opens_a_page_of_the_account_however_much_it_is_good_for(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    secret = (await admin.ok("POST", "/tokens", {"name": "x", "scopes": ["full", "admin"]}))["token"]
    program = {"Authorization": f"Bearer {secret}"}
    gets = [*PAGES, *LEAVING, "/account/prove"]
    posts = {**WANT_FRESH, **{path: {} for path in ENOUGH_AS_IT_IS if "{" not in path}}
    posts["/account/erase"] = {"sure": "true", "password": PASSWORD, "receipt": "r" * 40}
    for method, address, data in [("GET", each, None) for each in gets] + [
        ("POST", *each) for each in posts.items()
    ]:
        answer = await browser(by_hand).http.request(method, address, data=data, headers=program)
        assert (answer.status_code, "A token can" in answer.text) == (403, True), address
    assert (await admin.send("GET", "/me")).status_code == 200


def test_every_form_says_whether_it_wants_a_fresh_sign_in() -> None:
    def general(path: str) -> str:
        return re.sub(r"\{\w+\}", NOBODYS, path)

    each = [route for router in routers.ALL for route in router.routes if isinstance(route, APIRoute)]
    found = {
        route.path for route in each if "POST" in (route.methods or ()) and route.path.startswith("/account")
    }
    known = {*WANT_FRESH, *map(general, ENOUGH_AS_IT_IS)}
    assert {general(path) for path in found} == known, "add it to one of the two"


async def test_an_old_session_is_asked_again_and_then_goes_on_with_what_was_typed(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    by_hand.clock.move(STALE)
    for action, fields in WANT_FRESH.items():
        assert await sent(window, action, **fields) == 403, action
        assert window.title == "Is it still you?"
    assert by_hand.rows("select count(*) from api_tokens") == [(0,)]

    by_script = NAVIGATION | {"HX-Request": "true", "Referer": "http://studio/account/sign-in"}
    form = {"csrf": window.form("/account/prove")["csrf"]}
    led = await window.http.post("/account/recovery-codes", data=form, headers=by_script)
    assert led.headers["hx-redirect"] == "/account/prove?after=%2Faccount%2Fsign-in"

    await window.open("/account/tokens")
    await window.send("/account/tokens", name="nightly & more", scopes="full", days="30")
    assert "csrf" not in window.form("/account/prove")["kept"]
    await window.send("/account/prove", password="not it at all")
    assert (window.status, "another one" in window.text) == (422, True)
    old = window.http.cookies["session"]
    await window.send("/account/prove", password=PASSWORD)
    assert window.title == "Thank you"
    assert window.http.cookies["session"] != old
    assert window.form("/account/tokens")["name"] == "nightly & more"
    await window.send("/account/tokens")
    assert window.title == "Your new token"
    assert by_hand.rows("select name, scopes from api_tokens") == [("nightly & more", ["full"])]


async def test_what_is_proved_again_leads_nowhere_else_and_carries_no_secret(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    by_hand.clock.move(STALE)
    typed = {"password": "a secret word", "current": "a secret word", "new": "a secret word", "days": "1"}
    await sent(window, "/account/export", **typed)
    assert "secret" not in window.page
    assert window.form("/account/prove")["kept"] == "days=1"
    for foreign in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        form = {"address": foreign, "kept": "a=1", "back": foreign, "password": PASSWORD}
        assert await sent(window, "/account/prove", **form) == 200
        assert 'action="/"' in window.page
        assert "evil" not in window.page
    await window.open("/account/prove?after=//evil.example")
    assert not re.search(r'(?:href|action|value)="[/:a-z]*//evil', window.page)


async def test_the_word_for_prompts_is_changed_and_a_bad_one_stays_in_its_field(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    await window.open("/account")
    await window.send("/account/word", subject_word="<b>")
    assert (window.status, window.form("/account/word")["subject_word"]) == (422, "<b>")
    assert "names an adult" in window.text
    await window.send("/account/word", subject_word="sailor")
    assert "Prompts call you that" in window.text
    assert (await there.ok("GET", "/me"))["subject_word"] == "sailor"


async def test_sessions_are_listed_in_words_and_ended_one_by_one_or_all_but_this(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    by_hand.run(
        """update sessions set label = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
           where user_id = %s""",
        (await there.ok("GET", "/me"))["id"],
    )
    third = browser(by_hand, "198.51.100.30")
    await third.sign_in(ADMIN)
    await window.open("/account/sign-in")
    assert window.text.count("Firefox on Linux") == 2
    assert window.text.count("this one") == 1
    [first, *_] = re.findall(r"/account/sessions/([0-9a-f-]{36})/end", window.page)
    await window.send(f"/account/sessions/{first}/end")
    assert "That session has ended." in window.text
    assert sorted([(await each.send("GET", "/me")).status_code for each in (there, third)]) == [200, 401]
    await window.send("/account/sessions/end-others")
    assert "Every other session has ended." in window.text
    assert "/end" not in window.page
    assert window.status == 200


async def test_another_password_ends_other_sessions_and_keeps_this_one(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    await window.open("/account/sign-in")
    await window.send("/account/password", current="not it at all", new=OTHER_PASSWORD)
    assert (window.status, "present password is another" in window.text) == (422, True)
    await window.send("/account/password", current=PASSWORD, new="short")
    assert (window.status, "12 characters" in window.text) == (422, True)
    assert "short" not in window.page
    await window.send("/account/password", current=PASSWORD, new=OTHER_PASSWORD)
    assert (window.status, "Your password is changed" in window.text) == (200, True)
    assert (await there.send("GET", "/me")).status_code == 401
    await browser(by_hand, "198.51.100.31").sign_in(ADMIN, OTHER_PASSWORD)


async def test_passkeys_are_named_removed_and_asked_for_beside_the_password(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    await registered(there)
    await window.open("/account/sign-in")
    [id_] = re.findall(r"/account/passkeys/([0-9a-f-]{36})/name", window.page)
    await window.send(f"/account/passkeys/{id_}/name", name="old phone")
    assert "old phone" in window.text
    await window.send("/account/second-factor")
    assert "not enough alone" in window.text
    await window.send(f"/account/passkeys/{id_}/remove")
    assert (window.status, "this is the last one" in window.text) == (409, True)
    await window.open("/account/sign-in")
    await window.send("/account/second-factor")
    assert "Your password is enough from now on." in window.text
    await window.send(f"/account/passkeys/{id_}/remove")
    assert "The passkey opens nothing any more." in window.text
    assert by_hand.rows("select count(*) from passkeys") == [(0,)]


async def test_recovery_codes_are_shown_once_and_open_the_account(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    await window.open("/account/sign-in")
    await window.send("/account/recovery-codes")
    codes = re.findall(r"<code>([a-z2-7-]{29})</code>", window.page)
    assert len(set(codes)) == 10
    await window.open("/account/sign-in")
    assert "10 of 10 are left" in window.text
    assert codes[0] not in window.page
    by_hand.clock.move(STALE)
    await window.send("/account/recovery-codes")
    await window.send("/account/prove", recovery_code=codes[0])
    assert window.title == "Thank you"


async def test_a_token_is_made_shown_once_and_taken_back(by_hand: ByHand) -> None:
    await joined(by_hand, await first_admin(by_hand), ANNA)
    window = await signed_in(by_hand, ANNA)
    await window.open("/account/tokens")
    await window.send("/account/tokens", name="backup", scopes="", days="30")
    assert (window.status, window.form("/account/tokens")["name"]) == (422, "backup")
    await window.send("/account/tokens", name="backup", scopes="admin")
    assert (window.status, "hand on what you may not do" in window.text) == (422, True)
    await window.send("/account/tokens", name="backup", scopes="read", days="7")
    [secret] = re.findall(r"pst_[\w-]{43}", window.page)
    program = browser(by_hand)
    assert (await program.send("GET", "/selfies", Authorization=f"Bearer {secret}")).status_code == 200
    await window.open("/account/tokens")
    assert secret not in window.page
    [id_] = re.findall(r"/account/tokens/([0-9a-f-]{36})/revoke", window.page)
    await window.send(f"/account/tokens/{id_}/revoke")
    assert (await program.send("GET", "/selfies", Authorization=f"Bearer {secret}")).status_code == 401


async def test_forms_from_elsewhere_or_without_the_sessions_token_change_nothing(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    for headers, data in (({"Sec-Fetch-Site": "cross-site"}, {}), (NAVIGATION, {"csrf": "0" * 64})):
        for action, fields in WANT_FRESH.items():
            answer = await window.http.post(action, data={**fields, **data}, headers=headers)
            assert (answer.status_code, "<h1>" in answer.text) == (403, True), action
    assert by_hand.rows(
        "select (select count(*) from api_tokens), (select count(*) from recovery_codes)"
    ) == [(0, 0)]
    assert (await window.http.post("/receipt", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403


async def test_announced_deletions_stand_at_the_top_with_keep_them(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    id_ = (await there.ok("GET", "/me"))["id"]
    now = by_hand.clock.now()
    by_hand.run(
        """insert into photo_timers (user_id, trained_at, announced_at, strikes_at) values (%s, %s, %s, %s)""",
        id_,
        now - timedelta(days=27),
        now,
        now + timedelta(days=3, hours=1),
    )
    await window.open("/account/data")
    assert re.search(r"Your photos are deleted on \d+ \w+ \d{4}", window.text)
    await window.send("/account/keep")
    assert "Your photos stay until you delete them." in window.text
    assert "are deleted on" not in window.text
    assert (await there.ok("GET", "/account/retention"))["keep_photos"] is True
    await window.send("/account/keep")
    assert (await there.ok("GET", "/account/retention"))["keep_photos"] is False


async def test_every_timer_of_the_api_is_said_in_words(by_hand: ByHand) -> None:
    window, there = await at_home(by_hand)
    await window.open("/account/data")
    shown = re.findall(r'<ul class="rows timers">(.*?)</ul>', window.page, re.DOTALL)[0]
    timers = (await there.ok("GET", "/account/retention"))["timers"]
    off = [
        each for each in timers if each["kind"] == "pictures that were never saved" and each["days"] is None
    ]
    assert shown.count("<li>") == len(timers) - len(off) + 1
    assert "30 days after the last training that used them" in shown
    assert "7 days after you deleted them" in shown


async def test_everything_is_downloaded_in_one_zip(by_hand: ByHand) -> None:
    window, _ = await at_home(by_hand)
    await window.open("/account/data")
    form = window.form("/account/export")
    answer = await window.http.post("/account/export", data=form, headers=NAVIGATION)
    file = await window.http.get(answer.headers["location"])
    assert (answer.status_code, file.headers["content-type"], file.content[:2]) == (
        303,
        "application/zip",
        b"PK",
    )


async def test_what_was_recorded_is_said_in_words_page_behind_page(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.studio.web.account.activity.AT_ONCE", 2)
    window, there = await at_home(by_hand)
    await there.send("POST", "/session", {"email": ADMIN, "password": OTHER_PASSWORD})
    await window.open("/account/activity")
    assert "A sign-in was refused: the password was wrong Somebody who was not signed in" in window.text
    assert "No admin has looked" in window.text
    seen = []
    while older := re.search(r'href="(/account/activity\?cursor=[^"]*)"', window.page):
        seen.append(window.text)
        await window.open(older.group(1))
    assert "The account was made" in window.text
    assert len(seen) >= 1


async def test_an_admins_look_is_shown_plainly_with_its_reason(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    there = await joined(by_hand, admin, ANNA)
    id_ = (await there.ok("GET", "/me"))["id"]
    reason = {"reason": "You asked us why a picture is <broken>."}
    glass = await admin.ok("POST", f"/admin/members/{id_}/break-glass", reason)
    await admin.ok("GET", f"/admin/break-glass/{glass['id']}")
    window = await signed_in(by_hand, ANNA)
    await window.open("/account/activity")
    assert "An admin has looked at your photos and pictures once." in window.text
    assert "why a picture is &lt;broken&gt;." in window.page
    assert "The list was read; no photo or picture was opened." in window.text
    assert "It is open now." in window.text
