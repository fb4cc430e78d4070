"""Accounts under attack: guessing, other sites, stolen or narrow tokens, members who would be admins."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.people import ADMIN, ANNA, OTHER_PASSWORD, PASSWORD, browser, first_admin, joined

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import bootstrap
from portraitist.studio.accounts import hashing
from portraitist.studio.accounts.hashing import Hasher
from portraitist.studio.accounts.sign_in import forget_old_tries
from portraitist.studio.errors import Unavailable
from portraitist.studio.startup import SettingsInvalid

pytestmark = pytest.mark.anyio
WRONG = {"email": ADMIN, "password": "not " + PASSWORD}


async def test_guessing_at_one_account_from_many_places_is_slowed_down(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    guesses = [
        browser(by_hand, f"203.0.113.{number}").send("POST", "/session", WRONG) for number in range(20)
    ]
    answers = await asyncio.gather(*guesses)  # at once: no more than one after another
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 15
    late = next(answer for answer in answers if answer.status_code == 429)
    assert int(late.headers["retry-after"]) >= 1
    right = {"email": ADMIN, "password": PASSWORD}
    assert (await browser(by_hand).send("POST", "/session", right)).status_code == 429
    by_hand.clock.move(timedelta(seconds=10))
    assert (await browser(by_hand).send("POST", "/session", right)).status_code == 200
    assert (await browser(by_hand).send("POST", "/session", WRONG)).status_code == 401  # counted anew


async def test_guessing_from_one_place_is_slowed_down_and_hurts_no_other(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    attacker = browser(by_hand, "203.0.113.9")
    codes = []
    for number in range(24):
        body = {"email": f"somebody{number}@example.org", "password": PASSWORD}
        codes.append((await attacker.send("POST", "/session", body)).status_code)
    assert codes[:20] == [401] * 20
    assert codes[-1] == 429
    await browser(by_hand, "203.0.113.10").sign_in(ADMIN)
    by_hand.clock.move(timedelta(days=2, minutes=1))
    await forget_old_tries(by_hand.parts.core.db, by_hand.clock)
    assert by_hand.rows("select key from sign_in_attempts") == []


async def test_a_reset_link_opens_an_account_that_guessing_has_closed(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    account = (await anna.ok("GET", "/me"))["id"]
    assert (
        await browser(by_hand, "192.0.2.1").send("POST", "/session", WRONG | {"email": ANNA})
    ).status_code == 401
    by_hand.run("update sign_in_attempts set failures = 100 where key like 'account%%'")
    by_hand.clock.move(timedelta(hours=2))
    assert (
        await browser(by_hand, "192.0.2.1").send("POST", "/session", WRONG | {"email": ANNA})
    ).status_code == 429
    proved = await admin.ok("POST", "/proof", {"password": PASSWORD})
    admin.headers["X-CSRF-Token"] = proved["csrf_token"]
    link = await admin.ok("POST", f"/admin/members/{account}/reset-link")
    fresh = browser(by_hand, "192.0.2.2")
    await fresh.ok("POST", "/password/reset", {"link": link["secret"], "new": OTHER_PASSWORD})
    await fresh.sign_in(ANNA, OTHER_PASSWORD)


async def test_another_site_can_change_nothing_by_a_members_cookie(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    evil = {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"}
    assert (await admin.send("DELETE", "/sessions", **evil)).json()["code"] == "foreign_origin"
    token = admin.headers.pop("X-CSRF-Token")
    assert (await admin.send("DELETE", "/sessions")).json()["code"] == "csrf_token_missing"
    admin.headers["X-CSRF-Token"] = "0" * 64
    assert (await admin.send("DELETE", "/sessions")).json()["code"] == "csrf_token_missing"
    admin.headers["X-CSRF-Token"] = token
    assert (await admin.ok("GET", "/session"))["csrf_token"] == token
    assert (await admin.send("DELETE", "/sessions")).status_code == 200
    for path, body in (
        ("/session", WRONG),
        ("/accounts", WRONG),
        ("/password/reset", {"link": "x" * 43, "new": "y"}),
    ):
        answer = await browser(by_hand).send("POST", path, body, **evil)
        assert answer.json()["code"] == "foreign_origin", path


async def test_cookies_and_headers_are_what_the_public_address_allows(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    async with studio_by_hand(postgres, studio_database, tmp_path, public_url="https://studio") as studio:
        link = (await studio.operator("POST", "/api/v1/admin/first-link")).json()
        assert link["url"].startswith("https://studio/join#")
        here = browser(studio, scheme="https")
        account = {"email": ADMIN, "password": PASSWORD}
        await here.ok("POST", "/accounts", account | {"link": link["secret"]})
        answer = await here.send("POST", "/session", account)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-session=")
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert "domain" not in cookie.lower()
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert (await here.send("GET", "/me")).status_code == 200
        left = await here.send("DELETE", "/session", X_CSRF_Token=answer.json()["csrf_token"])
        assert left.headers["clear-site-data"] == '"cache", "storage"'
        assert (await here.send("GET", "/me")).status_code == 401


async def test_a_token_opens_its_scopes_until_it_ends_or_is_taken_back(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    wanted = {"name": "backup", "scopes": ["read"], "days": 1}
    issued = await admin.ok("POST", "/tokens", wanted)
    other = await admin.ok("POST", "/tokens", wanted | {"scopes": ["account"], "days": 30})
    program = browser(by_hand)
    program.headers = {"Authorization": f"Bearer {issued['token']}"}
    assert (await program.send("GET", "/generations")).status_code == 200
    for method, path in (
        ("POST", "/generations"),
        ("GET", "/tokens"),
        ("GET", "/admin/members"),
        ("GET", "/session"),
    ):
        assert (await program.send(method, path, {})).status_code == 403, path
    listed = (await admin.ok("GET", "/tokens"))["items"]
    assert "token" not in listed[0]
    assert {each["id"]: each["used_at"] is not None for each in listed}[issued["id"]]
    assert issued["token"] not in str(by_hand.rows("select api_tokens::text from api_tokens"))
    by_hand.clock.move(timedelta(days=1))
    assert (await program.send("GET", "/generations")).status_code == 401
    program.headers = {"Authorization": f"Bearer {other['token']}"}
    grown = await program.send("POST", "/tokens", wanted | {"scopes": ["full"]})
    assert grown.json()["code"] == "scope_refused"
    child = await program.ok("POST", "/tokens", wanted | {"scopes": ["account"], "days": 366})
    assert child["expires_at"] == other["expires_at"]
    assert (
        await program.send("PUT", "/password", {"current": PASSWORD, "new": OTHER_PASSWORD})
    ).status_code == 403
    await admin.sign_in(ADMIN)
    await admin.ok("DELETE", f"/tokens/{other['id']}")
    assert (await program.send("GET", "/me")).status_code == 401


def admin_routes(studio: ByHand) -> list[tuple[str, str]]:
    """Every operation that is tagged as an admin's or operator's."""
    found = []
    for path, operations in studio.web.openapi()["paths"].items():
        for method, operation in operations.items():
            if {"admin", "operator"} & set(operation.get("tags", ())):
                found.append((method.upper(), path))
    return found


async def test_every_admins_route_is_closed_to_members_and_to_nobody(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    token = (await anna.ok("POST", "/tokens", {"name": "n", "scopes": ["full"]}))["token"]
    refused = await anna.send("POST", "/tokens", {"name": "n", "scopes": ["admin"]})
    assert refused.json()["code"] == "scope_refused"
    routes = admin_routes(by_hand)
    assert len(routes) >= 12
    for method, template in routes:
        path = template
        for name in ("user_id", "training_id", "link_id", "key"):
            path = path.replace("{" + name + "}", "00000000-0000-4000-8000-000000000000")
        asked = path.removeprefix("/api/v1")
        assert (await browser(by_hand).send(method, asked, {})).status_code == 401, path
        assert (await anna.send(method, asked, {})).status_code == 403, path
        by_token = await browser(by_hand).send(method, asked, {}, Authorization=f"Bearer {token}")
        assert by_token.status_code == 403, path


async def test_an_admin_sees_accounts_and_changes_them_but_never_the_last_of_their_kind(
    by_hand: ByHand,
) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    listed = await admin.ok("GET", "/admin/members?limit=1")
    rest = await admin.ok("GET", f"/admin/members?cursor={listed['next']}")
    everybody = {each["email"]: each for each in [*listed["items"], *rest["items"]]}
    assert set(everybody) == {ADMIN, ANNA}
    assert rest["next"] is None
    me, her = everybody[ADMIN]["id"], everybody[ANNA]["id"]
    last = await admin.send("PATCH", f"/admin/members/{me}", {"role": "member"})
    assert last.json()["code"] == "last_admin"
    await admin.ok("PATCH", f"/admin/members/{her}", {"role": "admin"})
    assert (await anna.send("GET", "/me")).status_code == 401  # rotated at a change of privileges
    await anna.sign_in(ANNA)
    await anna.ok("PATCH", f"/admin/members/{me}", {"disabled": True})
    assert (await admin.send("GET", "/me")).status_code == 401
    assert (await anna.send("GET", f"/admin/members/{me}/faces")).status_code == 404


async def test_local_members_stay_the_hosts_and_open_no_account(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    account = (await admin.ok("GET", "/me"))["handle"]
    for handle in (account, "account:x"):
        answer = await by_hand.operator("POST", "/api/v1/local-members", json={"handle": handle})
        assert answer.json()["code"] == "handle_invalid"
    assert (await admin.send("POST", "/local-members", {"handle": "name:x"})).status_code == 401
    local = await by_hand.member("name:anna", photos=0)
    assert (await local.get("/api/v1/me"))["email"] is None


async def test_the_environment_overrides_and_locks_a_setting(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    async with studio_by_hand(postgres, studio_database, tmp_path, sign_up="open") as studio:
        shown = (await studio.operator("GET", "/api/v1/admin/settings")).json()["items"]
        assert [(each["key"], each["value"], each["locked"]) for each in shown] == [("sign_up", "open", True)]
        change = await studio.operator("PUT", "/api/v1/admin/settings/sign_up", json={"value": "closed"})
        assert change.json()["code"] == "setting_locked"
        superuser = {"database_url": postgres.url(studio_database)}
        powerful = studio.settings.model_copy(
            update={"database_url": type(studio.settings.database_url)(superuser["database_url"])}
        )
        with pytest.raises(SettingsInvalid, match="superuser or owner"):
            async with bootstrap.core(powerful, name="x", connections=1):
                pass


async def test_at_most_so_many_passwords_are_hashed_at_once_and_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    running = most = 0
    async with Hasher(memory_kib=1024) as hasher:
        plain = hasher._hash.hash

        def counted(password: Any, **more: Any) -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return plain(password, **more)
            finally:
                running -= 1

        monkeypatch.setattr(hasher._hash, "hash", counted)
        monkeypatch.setattr(hashing, "MOST_WAITING", 20)
        outcomes = await asyncio.gather(*(hasher.hashed("x") for _ in range(30)), return_exceptions=True)
        assert most <= hashing.AT_ONCE
        assert sum(isinstance(each, Unavailable) for each in outcomes) == 10
        stored = next(each for each in outcomes if isinstance(each, str))
        assert stored.startswith("$argon2id$")
        assert await hasher.holds("x", stored) == (True, None)
        assert await hasher.holds("x", None) == (False, None)
        compared: list[str] = []
        monkeypatch.setattr(
            hasher._hash, "verify_and_update", lambda _, kept: (compared.append(kept), (False, None))[1]
        )
        await hasher.holds("x", stored)
        await hasher.holds("x", None)  # an account that is not there takes as long
        assert [each.split("$")[1:4] for each in compared] == [stored.split("$")[1:4]] * 2
    async with Hasher(memory_kib=2048) as stronger:
        holds, better = await stronger.holds("x", stored)
        assert holds
        assert better is not None
        assert "m=2048" in better


async def test_every_answer_has_the_security_headers_errors_included(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret text")

    monkeypatch.setattr("portraitist.studio.admin.endpoints.status", broken)
    answers: list[httpx2.Response] = [await by_hand.operator("GET", "/api/v1/status")]
    assert (answers[0].status_code, "a secret text" in answers[0].text) == (500, False)
    for method, path in (("GET", "/"), ("GET", "/healthz"), ("GET", "/nowhere"), ("DELETE", "/healthz")):
        answers.append(await by_hand.http.request(method, path))
    answers.append(
        await by_hand.http.post("/api/v1/session", content=b"{", headers={"content-type": "application/json"})
    )
    answers.append(await by_hand.http.get("/api/v1/me"))
    for path in by_hand.web.openapi()["paths"]:
        answers.append(await by_hand.http.get(path))
    for answer in answers:
        told = answer.headers
        policy = told["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert told["x-content-type-options"] == "nosniff"
        # nothing leaves to other sites; between our own pages a form has to say where it comes from
        assert told["referrer-policy"] == ("same-origin" if answer.url.path == "/" else "no-referrer")
        assert told["cross-origin-opener-policy"] == "same-origin"
        assert told["cross-origin-resource-policy"] == "same-origin"
        assert told["cache-control"] in ("private, no-store", "no-store"), answer.url
        assert "strict-transport-security" not in told  # plain http here
        assert "server" not in told
