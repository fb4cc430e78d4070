"""Passkeys: registered, used, refused; recovery codes; a password that is not enough alone."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.authenticator import Authenticator
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.people import ADMIN, ANNA, PASSWORD, Browser, browser, first_admin, joined
from tests.integration.test_privacy_erasure import traces, until_done

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.accounts import ceremonies
from portraitist.studio.accounts.passkeys import service
from portraitist.studio.errors import NotSignedIn

pytestmark = pytest.mark.anyio


async def registered(here: Browser, key: Authenticator | None = None, name: str = "phone") -> Authenticator:
    """A passkey of whoever is signed in here."""
    key = key or Authenticator()
    options = (await here.ok("POST", "/passkeys/options"))["options"]
    await here.ok("POST", "/passkeys", {"name": name, "passkey": key.register(options)})
    return key


async def answered(there: Browser, key: Authenticator) -> dict[str, Any]:
    """The key's answer to a challenge for this browser."""
    return key.sign((await there.ok("POST", "/session/passkey/options"))["options"])


async def entered(there: Browser, key: Authenticator) -> httpx2.Response:
    """What whoever holds the key is told when they sign in with it."""
    answer = await there.send("POST", "/session/passkey", {"passkey": await answered(there, key)})
    if answer.is_success:
        there.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return answer


def refused(answer: httpx2.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (422, "passkey_refused")


async def test_whoever_holds_a_passkey_signs_in_with_nothing_else(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    key = await registered(admin)
    there = browser(by_hand)

    answer = await entered(there, key)

    assert answer.json()["member"]["email"] == ADMIN
    await there.ok("DELETE", "/sessions")
    [passkey] = (await there.ok("GET", "/passkeys"))["items"]
    assert (passkey["name"], passkey["used_at"] is not None) == ("phone", True)


async def test_passkeys_are_listed_renamed_and_removed_and_then_open_nothing(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    first, second = await registered(admin), await registered(admin, name="laptop")
    listed = (await admin.ok("GET", "/passkeys"))["items"]
    [one] = [each for each in listed if each["name"] == "phone"]
    renamed = await admin.ok("PATCH", f"/passkeys/{one['id']}", {"name": "old phone"})
    assert {each["name"] for each in renamed["items"]} == {"old phone", "laptop"}
    await admin.ok("DELETE", f"/passkeys/{one['id']}")
    assert refused(await entered(browser(by_hand), first))
    assert (await entered(browser(by_hand), second)).is_success
    again = await admin.send("DELETE", f"/passkeys/{one['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "passkey_not_found")


async def test_the_same_passkey_is_registered_once_and_twenty_at_most(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    key = await registered(admin)
    options = (await anna.ok("POST", "/passkeys/options"))["options"]
    assert refused(await anna.send("POST", "/passkeys", {"name": "x", "passkey": key.register(options)}))
    by_hand.run(
        """insert into passkeys (user_id, id, credential_id, public_key, sign_count, name, backed_up, created_at)
           select user_id, gen_random_uuid(), int4send(n), public_key, 0, 'n', false, now()
           from passkeys, generate_series(1, 19) n"""
    )
    assert (await admin.send("POST", "/passkeys/options")).json()["code"] == "too_many_passkeys"


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example"},
    "the same host over http elsewhere": {"origin": "http://localhost:9999"},
    "another relying party": {"rp_id": "evil.example"},
    "no user verification": {"verifies": False},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_when_registering_and_when_signing_in(by_hand: ByHand, lie: str) -> None:
    admin = await first_admin(by_hand)
    options = (await admin.ok("POST", "/passkeys/options"))["options"]
    liar = Authenticator(**LIES[lie])
    assert refused(await admin.send("POST", "/passkeys", {"name": "x", "passkey": liar.register(options)}))
    key = await registered(admin)
    for name, value in LIES[lie].items():
        setattr(key, name, value)
    assert refused(await entered(browser(by_hand), key))


async def test_an_answer_counts_once_in_its_browser_for_its_purpose_and_in_time(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    key = await registered(admin)
    there, elsewhere = browser(by_hand), browser(by_hand)
    answer = {"passkey": await answered(there, key)}
    assert refused(await elsewhere.send("POST", "/session/passkey", answer)), "another browser's challenge"
    assert (await there.send("POST", "/session/passkey", answer)).is_success
    assert refused(await there.send("POST", "/session/passkey", answer)), "a replay"
    proof = {"passkey": key.sign((await admin.ok("POST", "/proof/options"))["options"])}
    assert refused(await admin.send("POST", "/session/passkey", proof)), "a challenge for something else"
    late = {"passkey": await answered(there, key)}
    by_hand.clock.move(timedelta(minutes=5, seconds=1))
    assert refused(await there.send("POST", "/session/passkey", late)), "too late"
    by_hand.clock.move(timedelta(hours=2))
    await ceremonies.forget_old(by_hand.parts.core.db, by_hand.clock)
    assert by_hand.rows("select 1 from ceremonies") == []


async def test_two_answers_at_once_are_one_sign_in(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    key = await registered(admin)
    there = browser(by_hand)
    answer = {"passkey": await answered(there, key)}
    answers = await asyncio.gather(*(there.send("POST", "/session/passkey", answer) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [422] * 7


async def test_a_copied_key_is_known_by_its_count(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    key = await registered(admin)
    for _ in range(3):
        assert (await entered(browser(by_hand), key)).is_success
    key.count = 1  # what the thief's copy, or the owner's after the thief, counts next is 2
    assert refused(await entered(browser(by_hand), key))
    told = by_hand.rows("select detail->>'how' from audit_events where action = 'session.refused'")
    assert told == [("passkey-copied",)]
    key.count = 7
    assert (await entered(browser(by_hand), key)).is_success
    never = await registered(admin, Authenticator(counts=False))
    for _ in range(2):
        assert (await entered(browser(by_hand), never)).is_success, "one that never counts says nothing"


async def test_another_members_passkey_proves_nothing_and_stands_beside_no_other_password(
    by_hand: ByHand,
) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    annas, admins = await registered(anna), await registered(admin)
    options = (await anna.ok("POST", "/proof/options"))["options"]
    wrong = await anna.send("POST", "/proof", {"passkey": admins.sign(options)})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "sign_in_refused")
    admins.user = annas.user  # says to be hers
    assert refused(await entered(browser(by_hand), admins))
    await anna.ok("PUT", "/second-factor", {"passkey_needed": True})
    there, admins.user = browser(by_hand), b""
    body = {"email": ANNA, "password": PASSWORD, "passkey": await answered(there, admins)}
    assert (await there.send("POST", "/session", body)).json()["code"] == "sign_in_refused"


async def test_where_it_is_asked_for_a_password_alone_is_not_enough(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    assert (await admin.send("PUT", "/second-factor", {"passkey_needed": True})).json()[
        "code"
    ] == "no_passkey"
    key = await registered(admin)
    token = (await admin.ok("POST", "/tokens", {"name": "n", "scopes": ["read"]}))["token"]
    assert await admin.ok("PUT", "/second-factor", {"passkey_needed": True}) == {"passkey_needed": True}
    there, account = browser(by_hand), {"email": ADMIN, "password": PASSWORD}
    alone = await there.send("POST", "/session", account)
    assert (alone.status_code, alone.json()["code"]) == (401, "passkey_needed")
    wrong = await there.send("POST", "/session", account | {"password": "not the password"})
    assert wrong.json()["code"] == "sign_in_refused", "who doesn't know it isn't told what else it takes"
    both = account | {"passkey": await answered(there, key)}
    assert (await there.send("POST", "/session", both)).is_success
    program = browser(by_hand)
    assert (await program.send("GET", "/trainings", Authorization=f"Bearer {token}")).is_success
    [passkey] = (await admin.ok("GET", "/passkeys"))["items"]
    assert (await admin.send("DELETE", f"/passkeys/{passkey['id']}")).json()["code"] == "last_passkey"
    await admin.ok("PUT", "/second-factor", {"passkey_needed": False})
    await admin.ok("DELETE", f"/passkeys/{passkey['id']}")
    assert (await there.send("POST", "/session", account)).is_success


async def test_a_recovery_code_stands_for_the_passkey_once(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await registered(admin)
    old = (await admin.ok("POST", "/recovery-codes"))["codes"]
    codes = (await admin.ok("POST", "/recovery-codes"))["codes"]
    assert len(set(codes)) == 10
    await admin.ok("PUT", "/second-factor", {"passkey_needed": True})
    account, there = {"email": ADMIN, "password": PASSWORD}, browser(by_hand)
    for wrong in (old[0], "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"):
        answer = await there.send("POST", "/session", account | {"recovery_code": wrong})
        assert answer.json()["code"] == "sign_in_refused"
    typed = codes[0].upper().replace("-", " ")
    assert (await there.send("POST", "/session", account | {"recovery_code": typed})).is_success
    again = await there.send("POST", "/session", account | {"recovery_code": codes[0]})
    assert again.json()["code"] == "sign_in_refused"
    kept = str(by_hand.rows("select recovery_codes::text from recovery_codes"))
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


async def test_many_at_once_spend_a_recovery_code_once(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    [code, *_] = (await admin.ok("POST", "/recovery-codes"))["codes"]
    [(user_id,)] = by_hand.rows("select id from users where email = %s", ADMIN)
    db, now = by_hand.parts.core.db, by_hand.clock.now()

    async def spent() -> bool:
        try:
            async with db.member(user_id) as tx:
                await service.spend_code(tx, code, now)
        except NotSignedIn:
            return False
        return True

    assert sum(await asyncio.gather(*(spent() for _ in range(10)))) == 1
    left = await admin.ok("GET", "/recovery-codes")
    assert (left["made"], left["left"], left["next_step"]) == (10, 9, None)
    by_hand.run("update recovery_codes set used_at = now()")
    assert "new ones" in (await admin.ok("GET", "/recovery-codes"))["next_step"]


async def test_whoever_lost_the_device_gets_in_again_by_the_admins_link(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    await registered(anna)
    member = await anna.ok("GET", "/me")
    await anna.ok("PUT", "/second-factor", {"passkey_needed": True})
    link = await admin.ok("POST", f"/admin/members/{member['id']}/reset-link")
    await browser(by_hand).ok("POST", "/password/reset", {"link": link["secret"], "new": PASSWORD + " seven"})
    await browser(by_hand).sign_in(ANNA, PASSWORD + " seven")


async def test_nothing_of_it_outlives_the_member(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    member = await anna.ok("GET", "/me")
    await registered(anna)
    await anna.ok("POST", "/recovery-codes")
    for statement in (
        "insert into identities values (%s, gen_random_uuid(), 'https://id.example.org', 'person-1', now())",
        "insert into mails values (%s, gen_random_uuid(), 'proof', '{}', now(), now())",
        "insert into mail_wishes select gen_random_uuid(), 'sign_in', email, now() from users where id = %s",
    ):
        by_hand.run(statement, member["id"])
    begun = await anna.ok("DELETE", "/account", {"password": PASSWORD})
    for table in ("passkeys", "recovery_codes", "identities", "mails"):
        assert by_hand.rows(f"select 1 from {table}") == [], "the doors shut at once"
    await until_done(by_hand, begun["receipt_token"])
    assert traces(by_hand, member["id"]) == []
    assert traces(by_hand, ANNA) == []


@pytest.mark.parametrize(
    ("address", "host"),
    [("http://192.168.1.5", None), ("https://192.168.1.5", None), ("https://studio", "studio")],
)
async def test_passkeys_are_where_browsers_have_them_and_it_is_said_where_not(
    postgres: Server, studio_database: str, tmp_path: Path, address: str, host: str | None
) -> None:
    async with studio_by_hand(postgres, studio_database, tmp_path, public_url=address) as studio:
        there = browser(studio, scheme=address.partition(":")[0])
        answer = await there.send("POST", "/session/passkey/options", Origin=address)
        if host is None:
            assert (answer.status_code, answer.json()["code"]) == (409, "passkeys_unavailable")
        else:
            assert answer.json()["options"]["rpId"] == host
            assert answer.headers["set-cookie"].startswith("__Host-ceremony=")


async def test_a_challenge_is_good_for_its_purpose_in_its_browser_once_and_in_time(by_hand: ByHand) -> None:
    now = by_hand.clock.now()
    until = now + timedelta(minutes=5)
    async with by_hand.parts.core.db.nobody() as tx:
        for purpose, secret, at, good in (
            ("link", "browser", now, False),
            ("enter", "another browser", now, False),
            ("enter", "browser", until, False),
            ("enter", "browser", now, True),
        ):
            challenge = await ceremonies.begin(tx, "enter", "browser", until)
            assert await ceremonies.take(tx, purpose, secret, challenge, at) is good
            again = await ceremonies.take(tx, "enter", "browser", challenge, at)
            assert again is (not good and at == now), "a right answer is the last one"
