"""What touches everything of a member's, or what they sign in with, wants a sign-in of the last minutes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.authenticator import Authenticator
from tests.integration.by_hand import ByHand
from tests.integration.people import ADMIN, ANNA, OTHER_PASSWORD, PASSWORD, browser, first_admin, joined
from tests.integration.test_passkeys import registered

pytestmark = pytest.mark.anyio
NOBODYS = "00000000-0000-4000-8000-000000000000"
CREDENTIAL = {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": "x"}}
STALE = timedelta(minutes=10)

WANT_FRESH: dict[tuple[str, str], Any] = {
    ("GET", "/account/export"): None,
    ("POST", "/passkeys/options"): None,
    ("POST", "/passkeys"): {"name": "n", "passkey": CREDENTIAL},
    ("DELETE", "/passkeys/{passkey_id}"): None,
    ("POST", "/recovery-codes"): None,
    ("POST", "/identities/options"): None,
    ("POST", "/identities"): {"code": "c", "state": "link.s"},
    ("DELETE", "/identities/{identity_id}"): None,
    ("PUT", "/second-factor"): {"passkey_needed": True},
    ("POST", "/tokens"): {"name": "n", "scopes": ["full"]},
    ("DELETE", "/sessions"): None,
    ("DELETE", "/sessions/{session_id}"): None,
}
"""Routes that a session of eleven minutes ago is not enough for, with a body that passes."""

WANT_THE_PASSWORD: dict[tuple[str, str], Any] = {
    ("PUT", "/password"): {"current": "x", "new": OTHER_PASSWORD},
    ("DELETE", "/account"): {},
}
"""Routes that ask for the password in the same request, however fresh the session; else as above."""

ENOUGH_AS_IT_IS = {
    ("POST", "/proof"): "is the way to be fresh again",
    ("POST", "/proof/options"): "the same",
    ("POST", "/mail/proof"): "is the way to be fresh again",
    ("POST", "/proof/provider/options"): "is the way to be fresh again",
    ("GET", "/identities"): "shows no secret",
    ("PATCH", "/passkeys/{passkey_id}"): "a name opens nothing",
    ("GET", "/passkeys"): "shows no secret",
    ("GET", "/recovery-codes"): "says how many there are",
    ("GET", "/second-factor"): "shows no secret",
    ("GET", "/session"): "whose session it is knows it anyway",
    ("GET", "/sessions"): "shows no secret",
    ("DELETE", "/session"): "whoever leaves is not asked in again",
    ("GET", "/tokens"): "shows no secret",
    ("DELETE", "/tokens/{token_id}"): "takes back what was given",
    ("GET", "/me"): "shows no secret",
    ("PATCH", "/me"): "a word for prompts",
    ("POST", "/consents"): "has to be as easy as taking it back",
    ("GET", "/consents"): "shows no secret",
    ("GET", "/consents/wording"): "shows no secret",
    ("POST", "/consents/withdraw"): "taking consent back has to be as easy as giving it",
    ("GET", "/account/retention"): "shows no secret",
    ("PUT", "/account/retention"): "keeps photos longer, or as long as was agreed",
    ("GET", "/account/openings"): "shows no secret",
    ("GET", "/account/events"): "shows no secret",
}
AREAS = ("/account", "/proof", "/passkeys", "/recovery", "/second", "/session", "/tokens", "/me", "/consents")
AREAS += ("/password", "/identities", "/mail")


def filled(path: str) -> str:
    for name in ("passkey_id", "session_id", "token_id", "identity_id"):
        path = path.replace("{" + name + "}", NOBODYS)
    return path


def account_routes(studio: ByHand) -> set[tuple[str, str]]:
    """Every operation on an account that asks who it is."""
    found = set()
    for path, operations in studio.web.openapi()["paths"].items():
        short = path.removeprefix("/api/v1")
        for method, operation in operations.items():
            if short.startswith(AREAS) and operation.get("security"):
                found.add((method.upper(), short))
    return found


async def test_every_route_of_an_account_says_whether_it_wants_a_fresh_sign_in(by_hand: ByHand) -> None:
    known = {*WANT_FRESH, *WANT_THE_PASSWORD, *ENOUGH_AS_IT_IS}
    assert account_routes(by_hand) - known == set(), "add it to one of the three"


async def test_an_old_session_is_refused_where_it_counts_until_it_is_proved_anew(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    by_hand.clock.move(STALE)
    for (method, path), body in WANT_FRESH.items():
        answer = await admin.send(method, filled(path), body)
        assert (answer.status_code, answer.json()["code"]) == (403, "fresh_sign_in_needed"), path
        assert "POST /api/v1/proof" in answer.json()["next_step"]
    for (method, path), body in WANT_THE_PASSWORD.items():
        assert (await admin.send(method, path, body)).json()["code"] == "password_wrong", path

    old = admin.http.cookies["session"]
    admin.headers["X-CSRF-Token"] = (await admin.ok("POST", "/proof", {"password": PASSWORD}))["csrf_token"]

    assert admin.http.cookies["session"] != old, "who proves it gets another secret"
    assert (await browser(by_hand).send("GET", "/me", Cookie=f"session={old}")).status_code == 401
    for (method, path), body in WANT_FRESH.items():
        answer = await admin.send(method, filled(path), body)
        assert "fresh_sign_in_needed" not in answer.text, path


@pytest.mark.parametrize("kind", ["password", "passkey", "recovery_code"])
async def test_a_session_is_proved_by_each_kind_for_ten_minutes(by_hand: ByHand, kind: str) -> None:
    admin = await first_admin(by_hand)
    key = await registered(admin)
    [code, *_] = (await admin.ok("POST", "/recovery-codes"))["codes"]
    by_hand.clock.move(timedelta(days=1))
    proofs = {
        "password": PASSWORD,
        "recovery_code": code,
        "passkey": key.sign((await admin.ok("POST", "/proof/options"))["options"]),
    }
    proved = await admin.ok("POST", "/proof", {kind: proofs[kind]})
    admin.headers["X-CSRF-Token"] = proved["csrf_token"]
    by_hand.clock.move(STALE - timedelta(seconds=1))
    await admin.ok("POST", "/recovery-codes")
    by_hand.clock.move(timedelta(seconds=1))
    assert (await admin.send("POST", "/recovery-codes")).json()["code"] == "fresh_sign_in_needed"


async def test_a_wrong_proof_is_none_and_tries_are_counted(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    by_hand.clock.move(STALE)
    liar = Authenticator()
    liar.user = b"x"
    options = (await admin.ok("POST", "/proof/options"))["options"]
    for body in (
        {"password": OTHER_PASSWORD},
        {"recovery_code": "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"},
        {"passkey": liar.sign(options)},
        {},
        {"password": PASSWORD, "recovery_code": "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"},
    ):
        assert (await admin.send("POST", "/proof", body)).status_code in (401, 422), body
    assert (await admin.send("POST", "/recovery-codes")).json()["code"] == "fresh_sign_in_needed"
    for _ in range(8):
        answer = await admin.send("POST", "/proof", {"password": OTHER_PASSWORD})
    assert answer.json()["code"] == "too_many_tries"


async def test_a_token_exports_after_a_proof_and_changes_no_credential(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    token = (await anna.ok("POST", "/tokens", {"name": "n", "scopes": ["full"]}))["token"]
    program = browser(by_hand)
    program.headers = {"Authorization": f"Bearer {token}"}
    for (method, path), body in WANT_FRESH.items():
        answer = await program.send(method, filled(path), body)
        assert answer.json()["code"] in ("fresh_sign_in_needed", "session_needed"), path
    assert await program.ok("POST", "/proof", {"password": PASSWORD}) | {"proved_until": ""} == {
        "proved_until": "",
        "csrf_token": None,
    }
    assert (await program.send("GET", "/account/export")).is_success
    for method, path in (
        ("POST", "/recovery-codes"),
        ("PUT", "/second-factor"),
        ("POST", "/passkeys/options"),
    ):
        answer = await program.send(method, path, WANT_FRESH[method, path])
        assert answer.json()["code"] == "session_needed", path
    by_hand.clock.move(STALE)
    assert (await program.send("GET", "/account/export")).json()["code"] == "fresh_sign_in_needed"


async def test_an_admin_hands_out_links_and_roles_from_a_fresh_session_or_by_a_token_made_for_it(
    by_hand: ByHand,
) -> None:
    admin = await first_admin(by_hand)
    member = await (await joined(by_hand, admin, ANNA)).ok("GET", "/me")
    token = (await admin.ok("POST", "/tokens", {"name": "n", "scopes": ["admin"]}))["token"]
    by_hand.clock.move(STALE)
    asked = (("POST", f"/admin/members/{member['id']}/reset-link", None),)
    asked += (("PATCH", f"/admin/members/{member['id']}", {"role": "admin"}),)
    for method, path, body in asked:
        assert (await admin.send(method, path, body)).json()["code"] == "fresh_sign_in_needed"
    proved = await admin.ok("POST", "/proof", {"password": PASSWORD})
    admin.headers["X-CSRF-Token"] = proved["csrf_token"]
    for method, path, body in asked:
        assert (await admin.send(method, path, body)).is_success
    program = browser(by_hand)
    assert (await program.send(*asked[0], Authorization=f"Bearer {token}")).is_success
    assert (await by_hand.operator("POST", f"/api/v1{asked[0][1]}")).is_success


async def test_a_local_member_has_the_token_in_their_folder_and_that_is_enough(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    by_hand.clock.move(timedelta(days=100))
    assert (await member.http.get("/api/v1/account/export")).status_code == 200
    erased = await member.http.request("DELETE", "/api/v1/account", json={})
    assert erased.status_code == 202


async def test_of_two_proofs_at_once_the_later_secret_is_the_sessions(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    both = await asyncio.gather(*(admin.send("POST", "/proof", {"password": PASSWORD}) for _ in range(2)))
    assert 200 in {each.status_code for each in both}
    secrets = [each.headers["set-cookie"].partition(";")[0] for each in both if each.is_success]
    alive = [(await browser(by_hand).send("GET", "/me", Cookie=each)).status_code for each in secrets]
    assert alive.count(200) == 1
    assert ADMIN in str(by_hand.rows("select email from users"))
