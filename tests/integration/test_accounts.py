"""Accounts by address and password: how people come in, where they are signed in, and how it ends."""

import sys
from datetime import timedelta

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.people import (
    ADMIN,
    ANNA,
    BEN,
    OTHER_PASSWORD,
    PASSWORD,
    browser,
    first_admin,
    joined,
)

from portraitist.studio.accounts.service import SUBJECT_WORD

pytestmark = pytest.mark.anyio


async def test_the_first_account_comes_by_the_hosts_link_once_and_is_the_admins(by_hand: ByHand) -> None:
    link = (await by_hand.operator("POST", "/api/v1/admin/first-link")).json()
    assert link["url"].endswith(f"/join#{link['secret']}")
    here, there = browser(by_hand), browser(by_hand)
    account = {"email": " Ada@Example.org ", "password": PASSWORD, "link": link["secret"]}
    assert (await here.ok("POST", "/accounts", account))["email"] == ADMIN
    again = await there.send("POST", "/accounts", account | {"email": "eve@example.org"})
    assert (again.status_code, again.json()["code"]) == (404, "link_not_found")
    signed_in = await here.sign_in(ADMIN)
    assert (signed_in["member"]["role"], signed_in["member"]["email"]) == ("admin", ADMIN)
    assert (await by_hand.operator("POST", "/api/v1/admin/first-link")).json()["code"] == "has_admin"
    assert (await here.send("POST", "/admin/first-link")).json()["code"] == "not_signed_in"


async def test_a_newer_first_link_spends_the_older_and_an_old_one_is_no_good(by_hand: ByHand) -> None:
    old = (await by_hand.operator("POST", "/api/v1/admin/first-link")).json()["secret"]
    new = (await by_hand.operator("POST", "/api/v1/admin/first-link")).json()["secret"]
    account = {"email": ADMIN, "password": PASSWORD}
    assert (await browser(by_hand).send("POST", "/accounts", account | {"link": old})).status_code == 404
    by_hand.clock.move(timedelta(days=1))
    assert (await browser(by_hand).send("POST", "/accounts", account | {"link": new})).status_code == 404


async def test_sign_up_is_closed_until_an_admin_opens_it(by_hand: ByHand) -> None:
    stranger, account = browser(by_hand), {"email": BEN, "password": PASSWORD}
    assert (await stranger.ok("GET", "/accounts/joining")) == {"sign_up": "closed"}
    assert (await stranger.send("POST", "/accounts", account)).json()["code"] == "sign_up_closed"
    admin = await first_admin(by_hand)
    assert (await admin.send("POST", "/admin/invitations", {})).json()["code"] == "joining_closed"
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "open"})
    assert (await stranger.send("POST", "/accounts", account)).status_code == 201
    await stranger.sign_in(BEN)
    assert (await stranger.ok("GET", "/me"))["role"] == "member"


async def test_an_invitation_is_good_for_its_address_and_can_be_taken_back(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "invitation"})
    bens = await admin.ok("POST", "/admin/invitations", {"email": BEN})
    account = {"email": ANNA, "password": PASSWORD, "link": bens["secret"]}
    assert (await browser(by_hand).send("POST", "/accounts", account)).status_code == 404
    listed = (await admin.ok("GET", "/admin/invitations"))["items"]
    assert [(each["email"], "secret" in each) for each in listed] == [(BEN, False)]
    await admin.ok("DELETE", f"/admin/invitations/{bens['id']}")
    late = await browser(by_hand).send("POST", "/accounts", account | {"email": BEN})
    assert late.json()["code"] == "link_not_found"


async def test_in_an_open_studio_nobody_learns_who_has_an_account(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "open"})
    stranger = browser(by_hand, "203.0.113.5")
    taken = await stranger.send("POST", "/accounts", {"email": ADMIN, "password": OTHER_PASSWORD})
    free = await stranger.send("POST", "/accounts", {"email": BEN, "password": OTHER_PASSWORD})
    assert (taken.status_code, taken.json() | {"email": ""}) == (
        free.status_code,
        free.json() | {"email": ""},
    )
    assert (
        await stranger.send("POST", "/session", {"email": ADMIN, "password": OTHER_PASSWORD})
    ).status_code == 401
    await admin.ok("GET", "/session")  # whose password is still the old one


async def test_every_refused_sign_in_looks_the_same(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    account = (await anna.ok("GET", "/me"))["id"]
    await admin.ok("PATCH", f"/admin/members/{account}", {"disabled": True})
    answers = []
    for email, password in (
        (ADMIN, "wrong " + PASSWORD),
        ("no@example.org", PASSWORD),
        (ANNA, PASSWORD),
        ("x", "y"),
    ):
        answer = await browser(by_hand).send("POST", "/session", {"email": email, "password": password})
        seen = answer.json() | {"request_id": ""}
        answers.append((answer.status_code, seen, sorted(answer.headers)))
    assert answers[0][1]["code"] == "sign_in_refused"
    assert all(answer == answers[0] for answer in answers)


async def test_a_session_is_a_new_secret_each_time_and_only_its_hash_is_kept(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    first = admin.http.cookies["session"]
    await admin.sign_in(ADMIN)
    second = admin.http.cookies["session"]
    assert first != second
    assert len(second) >= 43  # 256 bits
    stale = browser(by_hand)
    assert (await stale.send("GET", "/me", cookie=f"session={first}")).status_code == 401
    assert (await stale.send("GET", "/me", cookie=f"session={second}")).status_code == 200
    kept = by_hand.rows("select sessions::text from sessions")
    assert len(kept) == 1
    assert second not in kept[0][0]


async def test_sessions_end_without_use_and_after_their_time(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    for _ in range(5):  # used now and then, it lives to its absolute end
        by_hand.clock.move(timedelta(days=5, hours=23))
        answer = await admin.send("GET", "/me")
    assert answer.status_code == 200
    by_hand.clock.move(timedelta(hours=6))
    assert (await admin.send("GET", "/me")).status_code == 401
    await admin.sign_in(ADMIN)
    by_hand.clock.move(timedelta(days=7, minutes=1))
    assert (await admin.send("GET", "/me")).status_code == 401


async def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    others = [browser(by_hand) for _ in range(3)]
    for other in others:
        other.headers["User-Agent"] = "Phone"
        await other.sign_in(ADMIN)
    listed = (await admin.ok("GET", "/sessions"))["items"]
    assert sorted((each["label"], each["current"]) for each in listed)[:3] == [("Phone", False)] * 3
    assert sum(each["current"] for each in listed) == 1
    one = next(each["id"] for each in listed if each["label"] == "Phone")
    await admin.ok("DELETE", f"/sessions/{one}")
    assert sorted([(await other.send("GET", "/me")).status_code for other in others]) == [200, 200, 401]
    assert (await admin.ok("DELETE", "/sessions")) == {"ended": 2}
    assert [(await other.send("GET", "/me")).status_code for other in others] == [401] * 3
    await admin.ok("DELETE", "/session")
    assert (await admin.send("GET", "/me")).status_code == 401


async def test_another_password_ends_every_session_and_token(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    phone = browser(by_hand)
    await phone.sign_in(ADMIN)
    token = (await phone.ok("POST", "/tokens", {"name": "n", "scopes": ["read"]}))["token"]
    old = admin.http.cookies["session"]
    wrong = await admin.send("PUT", "/password", {"current": OTHER_PASSWORD, "new": OTHER_PASSWORD})
    assert wrong.json()["code"] == "password_wrong"
    body = await admin.ok("PUT", "/password", {"current": PASSWORD, "new": OTHER_PASSWORD})
    admin.headers["X-CSRF-Token"] = body["csrf_token"]
    assert admin.http.cookies["session"] != old
    assert (await admin.send("GET", "/me")).status_code == 200
    assert (await phone.send("GET", "/me")).status_code == 401
    assert (await browser(by_hand).send("GET", "/me", Authorization=f"Bearer {token}")).status_code == 401
    assert (await phone.send("POST", "/session", {"email": ADMIN, "password": PASSWORD})).status_code == 401
    await phone.sign_in(ADMIN, OTHER_PASSWORD)


async def test_a_forgotten_password_is_set_anew_by_the_admins_link_once(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    account = (await anna.ok("GET", "/me"))["id"]
    link = await admin.ok("POST", f"/admin/members/{account}/reset-link")
    assert link["url"].endswith(f"/reset#{link['secret']}")
    reset = {"link": link["secret"], "new": OTHER_PASSWORD}
    assert (await browser(by_hand).send("POST", "/password/reset", reset)).status_code == 204
    assert (await browser(by_hand).send("POST", "/password/reset", reset)).json()["code"] == "link_not_found"
    assert (await anna.send("GET", "/me")).status_code == 401
    await anna.sign_in(ANNA, OTHER_PASSWORD)
    as_invitation = {"email": BEN, "password": PASSWORD, "link": link["secret"]}
    assert (await browser(by_hand).send("POST", "/accounts", as_invitation)).status_code == 404


async def test_weak_passwords_are_refused_wherever_one_is_set(by_hand: ByHand) -> None:
    link = (await by_hand.operator("POST", "/api/v1/admin/first-link")).json()["secret"]
    here = browser(by_hand)
    for weak in ("password", "Password123456!", "ada@example.org1", "aaaaaaaaaaaaaaaa"):
        answer = await here.send("POST", "/accounts", {"email": ADMIN, "password": weak, "link": link})
        assert answer.json()["code"] == "password_weak", weak
    await here.ok("POST", "/accounts", {"email": ADMIN, "password": PASSWORD, "link": link})
    await here.sign_in(ADMIN)
    assert (
        await here.send("PUT", "/password", {"current": PASSWORD, "new": "qwertyuiop123"})
    ).status_code == 422


async def test_every_word_for_a_person_that_the_service_takes_the_database_takes_too(by_hand: ByHand) -> None:
    """What a letter is, Python and the server's locale say differently: superscripts, fractions, other scripts."""
    anna = await by_hand.member(photos=0)
    letters = [chr(code) for code in range(sys.maxunicode + 1) if SUBJECT_WORD.fullmatch(chr(code))]
    assert {"ä", "²", "½", "Ⅷ", "人"} <= set(letters)
    for start in range(0, len(letters), 40):
        word = "".join(letters[start : start + 40])
        by_hand.superuser.execute("update users set subject_word = %s where id = %s", (word, anna.id))
    for word in ("femme âgée", "Mädchen-2", "x²", "人"):
        answer = await anna.http.patch("/api/v1/me", json={"subject_word": word})
        assert (answer.status_code, answer.json().get("subject_word")) == (200, word)
    for word in ("<b>", "a  b", "-a", "a ", "a.b", "", "x" * 41):
        assert (await anna.http.patch("/api/v1/me", json={"subject_word": word})).status_code == 422, word
