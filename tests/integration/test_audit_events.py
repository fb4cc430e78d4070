"""What is recorded, by whom, about whom: one event for each thing that matters for security, no person's word."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.people import (
    ANNA,
    BEN,
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    first_admin,
    joined,
)

pytestmark = pytest.mark.anyio
Act = Callable[[ByHand, Browser, Browser], Awaitable[Any]]


def events(studio: ByHand) -> list[tuple[str, str, str | None, str | None]]:
    """Action, kind of actor, and the addresses that actor and subject had."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in studio.rows(
            """select e.action, e.actor, a.email, s.email from audit_events e
               left join users a on a.audit_subject = e.actor_id left join users s on s.audit_subject = e.subject
               order by e.at, e.id"""
        )
    ]


async def _id(who: Browser) -> str:
    return str((await who.ok("GET", "/me"))["id"])


async def _sign_out(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.ok("DELETE", "/session")


async def _end_others(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.ok("DELETE", "/sessions")


async def _wrong(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.send("POST", "/session", {"email": ANNA, "password": OTHER_PASSWORD})


async def _wrong_address(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.send("POST", "/session", {"email": "nobody@example.org", "password": OTHER_PASSWORD})


async def _password(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.ok("PUT", "/password", {"current": PASSWORD, "new": OTHER_PASSWORD})


async def _reset(studio: ByHand, admin: Browser, anna: Browser) -> None:
    link = await admin.ok("POST", f"/admin/members/{await _id(anna)}/reset-link")
    await anna.ok("POST", "/password/reset", {"link": link["secret"], "new": OTHER_PASSWORD})


async def _token(studio: ByHand, admin: Browser, anna: Browser) -> None:
    issued = await anna.ok("POST", "/tokens", {"name": "anna's laptop", "scopes": ["read"]})
    await anna.ok("DELETE", f"/tokens/{issued['id']}")


async def _role(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await admin.ok("PATCH", f"/admin/members/{await _id(anna)}", {"role": "admin"})


async def _disable(studio: ByHand, admin: Browser, anna: Browser) -> None:
    member = await _id(anna)
    await admin.ok("PATCH", f"/admin/members/{member}", {"disabled": True})
    await admin.ok("PATCH", f"/admin/members/{member}", {"disabled": False})


async def _invite(studio: ByHand, admin: Browser, anna: Browser) -> None:
    link = await admin.ok("POST", "/admin/invitations", {"email": BEN})
    await admin.ok("DELETE", f"/admin/invitations/{link['id']}")


async def _setting(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "closed"})


async def _consent(studio: ByHand, admin: Browser, anna: Browser) -> None:
    version = (await anna.ok("GET", "/consents/wording"))["version"]
    await anna.ok("POST", "/consents", {"version": version})
    await anna.ok("POST", "/consents", {"version": version})
    await anna.ok("POST", "/consents/withdraw")


async def _erase(studio: ByHand, admin: Browser, anna: Browser) -> None:
    await anna.ok("DELETE", "/account", {"password": PASSWORD})


async def _export(studio: ByHand, admin: Browser, anna: Browser) -> None:
    assert (await anna.send("GET", "/account/export")).status_code == 200
    assert (await anna.send("GET", "/account/export", Range="bytes=100-")).status_code == 206


BY_ANNA, BY_ADMIN = ("member", ANNA, ANNA), ("admin", "ada@example.org", ANNA)
ADMIN_ALONE = ("admin", "ada@example.org", None)
ACTS: dict[str, tuple[Act, list[tuple[str, tuple[str, str | None, str | None]]]]] = {
    "signing out": (_sign_out, [("session.ended", BY_ANNA)]),
    "signing out elsewhere": (_end_others, [("session.others_ended", BY_ANNA)]),
    "a wrong password": (_wrong, [("session.refused", ("nobody", None, ANNA))]),
    "a wrong address": (_wrong_address, [("session.refused", ("nobody", None, None))]),
    "another password": (_password, [("password.changed", BY_ANNA), ("session.opened", BY_ANNA)]),
    "a reset": (_reset, [("link.made", BY_ADMIN), ("password.reset", ("nobody", None, ANNA))]),
    "a token": (_token, [("token.made", BY_ANNA), ("token.revoked", BY_ANNA)]),
    "another role": (_role, [("account.role_changed", BY_ADMIN)]),
    "disabled": (_disable, [("account.disabled", BY_ADMIN), ("account.enabled", BY_ADMIN)]),
    "an invitation": (_invite, [("link.made", ADMIN_ALONE), ("link.taken_back", ADMIN_ALONE)]),
    "a setting": (_setting, [("setting.changed", ADMIN_ALONE)]),
    "consent": (
        _consent,
        [("consent.given", BY_ANNA), ("erasure.begun", BY_ANNA), ("consent.withdrawn", BY_ANNA)],
    ),
    "an erasure": (_erase, [("erasure.begun", BY_ANNA)]),
    "an export": (_export, [("export.taken", BY_ANNA)]),
}


@pytest.mark.parametrize("act", ACTS)
async def test_each_thing_that_matters_is_recorded_once(by_hand: ByHand, act: str) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    before = len(events(by_hand))
    does, expected = ACTS[act]
    await does(by_hand, admin, anna)
    assert events(by_hand)[before:] == [(action, *who) for action, who in expected]


async def test_joining_and_signing_in_are_recorded(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    told = events(by_hand)
    assert ("link.made", "host", None, None) in told
    ada = "ada@example.org"
    assert [each for each in told if each[3] == ada] == [
        ("account.made", "member", ada, ada),
        ("session.opened", "member", ada, ada),
    ]


async def test_no_address_name_secret_or_word_stands_in_any_event(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    for act in ("a token", "consent", "a wrong password", "a setting"):
        await ACTS[act][0](by_hand, admin, anna)
    ids = [row[0] for row in by_hand.rows("select id from users")]
    whole = "\n".join(row[0] for row in by_hand.rows("select e::text from audit_events e"))
    assert len(whole) > 500
    for word in ("@", "anna", "laptop", "violet", *ids):
        assert word not in whole, word


async def test_failed_sign_ins_of_strangers_fill_no_disk(by_hand: ByHand) -> None:
    """So many a minute are recorded; those at an account that is there have their own end (the delays)."""
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    await _wrong_address(by_hand, admin, admin)
    by_hand.run("update rate_limits set tokens = -100 where name like 'audit events%%'")
    for _ in range(3):
        await _wrong_address(by_hand, admin, admin)
    await _wrong(by_hand, admin, admin)
    refused = [each[3] for each in events(by_hand) if each[0] == "session.refused"]
    assert refused == [None, ANNA]
