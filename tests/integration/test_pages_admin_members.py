"""The admin's pages on members, settings and events: invitations, roles, holds, looks, erasure, the chain of events."""

import re
from datetime import timedelta

import pytest
from tests.integration.browsing import Surfer, signed_in
from tests.integration.by_hand import ByHand
from tests.integration.people import (
    ADMIN,
    ANNA,
    BEN,
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    browser,
    first_admin,
    joined,
)
from tests.integration.test_pages_admin import actions, anna_and_admin, item

pytestmark = pytest.mark.anyio
REASON = "Order 12/26 of the district court: keep everything of this account."
MEMBERS = "/admin/members"


def secret(window: Surfer) -> str:
    """What is shown this once."""
    found = re.search(r'id="secret">([^<]+)<', window.page)
    assert found, window.text
    return found.group(1)


def opened_by(address: str) -> str:
    """The secret of a one-time link."""
    return address.partition("#")[2]


async def test_an_invitation_is_made_shown_once_and_taken_back(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    window = await signed_in(by_hand, ADMIN)
    await window.open(MEMBERS)
    assert "Nobody can join now" in window.text
    await window.open("/admin/settings")
    await window.send("/admin/settings/sign_up", value="invitation")
    assert "The setting is changed." in window.text
    await window.open(MEMBERS)
    await window.send("/admin/invitations", email="no address", role="admin")
    assert (window.status, window.form("/admin/invitations")["email"]) == (422, "no address")
    assert "no e-mail address" in window.text
    await window.send("/admin/invitations", email=BEN, role="member")
    link = secret(window)
    assert link.startswith("http://localhost")
    assert opened_by(link) not in str(window.address)
    await browser(by_hand).ok(
        "POST", "/accounts", {"email": BEN, "password": PASSWORD, "link": opened_by(link)}
    )
    await window.open(MEMBERS)
    assert BEN in window.text
    await window.send("/admin/invitations", email="", role="member")
    other = secret(window)
    await window.open(MEMBERS)
    assert opened_by(other) not in window.page
    [taken] = re.findall(r'action="(/admin/invitations/[^"]+)"', window.page)
    await window.send(taken)
    assert "opens nothing any more" in window.text
    refused = await browser(by_hand).send(
        "POST", "/accounts", {"email": ANNA, "password": PASSWORD, "link": opened_by(other)}
    )
    assert refused.status_code == 404


async def test_what_changes_an_account_wants_a_fresh_sign_in_and_then_is_done(by_hand: ByHand) -> None:
    anna, user_id, window = await anna_and_admin(by_hand, photos=0)
    by_hand.clock.move(timedelta(minutes=11))
    page = f"{MEMBERS}/{user_id}"
    await window.open(page)
    await window.send(f"{page}/change")
    assert (window.status, "account/prove" in window.page) == (403, True)
    assert (await anna.send("GET", "/me")).status_code == 200
    await window.send("/account/prove", password=PASSWORD)
    await window.send(f"{page}/change", disabled="true", role="")
    assert "Shut since" in window.text
    assert (await anna.send("GET", "/me")).status_code == 401
    await window.send(f"{page}/change", disabled="false", role="")
    await window.send(f"{page}/reset-link")
    there = browser(by_hand)
    new = {"link": opened_by(secret(window)), "new": OTHER_PASSWORD}
    assert (await there.send("POST", "/password/reset", new)).is_success
    assert [each for each, who in actions(by_hand) if who == ADMIN][-3:] == [
        "account.disabled",
        "account.enabled",
        "link.made",
    ]


async def test_the_only_admin_can_neither_be_shut_nor_erased_here(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    user_id = (await admin.ok("GET", "/me"))["id"]
    window = await signed_in(by_hand, ADMIN)
    page = f"{MEMBERS}/{user_id}"
    await window.open(page)
    assert "The only admin stays an admin." in window.text
    assert "Erase this member" not in window.text
    fields = {"csrf": window.form("/sign-out")["csrf"], "disabled": "true"}
    answer = await window.http.post(f"{page}/change", data=fields, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 409
    assert 'href="/admin/members"' in answer.text


async def test_a_member_is_erased_only_by_their_address_typed_and_a_receipt_is_handed_out(
    by_hand: ByHand,
) -> None:
    anna, user_id, window = await anna_and_admin(by_hand, photos=1)
    page = f"{MEMBERS}/{user_id}"
    await window.open(page)
    await window.send(f"{page}/erase", typed=BEN)
    assert "Nothing was erased" in window.text
    assert (await anna.send("GET", "/me")).status_code == 200
    await window.send(f"{page}/erase", typed=f" {ANNA.upper()} ")
    assert window.title == "It is being erased"
    token = secret(window)
    assert (await anna.send("GET", "/me")).status_code == 401
    receipt = await by_hand.http.get("/api/v1/receipt", headers={"Receipt-Token": token})
    assert receipt.json()["scope"] == "account"


async def held_and_released(window: Surfer, page: str) -> None:
    await window.open(page)
    await window.send(f"{page}/hold", reason="short")
    assert "Say why" in window.text
    await window.send(f"{page}/hold", reason=REASON)
    assert "is kept as it is" in window.text
    await window.open("/admin/oversight")
    assert REASON in item(window, ANNA)
    await window.send(f"{page}/release")
    assert "The hold has ended." in window.text


async def test_holds_and_looks_begin_with_a_reason_and_what_is_opened_is_told(by_hand: ByHand) -> None:
    anna, user_id, window = await anna_and_admin(by_hand, photos=2)
    page = f"{MEMBERS}/{user_id}"
    await held_and_released(window, page)
    await window.send(f"{page}/look", reason=REASON)
    assert "/admin/looks/" in window.address
    things = re.findall(r'href="(/api/v1/admin/break-glass/[^"]+/photo/[^"]+)"', window.page)
    assert len(things) == 2
    assert "<img" not in window.page
    assert (await window.http.get(things[0])).content.startswith(b"a photo of")
    [told] = (await anna.ok("GET", "/account/openings"))["items"]
    assert (told["reason"], [view["kind"] for view in told["views"]]) == (REASON, ["list", "photo"])
    [end] = re.findall(r'action="(/admin/looks/[^"]+/end)"', window.page)
    await window.send(end)
    assert "The look has ended." in window.text
    assert (await window.http.get(things[0])).status_code == 404
    assert (
        await window.http.get(str(window.address).replace("oversight", f"looks/{user_id}"))
    ).status_code == 422


async def test_events_are_read_about_one_member_and_a_change_of_the_chain_is_told(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, ANNA)
    user_id = (await anna.ok("GET", "/me"))["id"]
    await sealed(by_hand)
    window = await signed_in(by_hand, ADMIN)
    await window.open(f"{MEMBERS}/{user_id}/events")
    assert f"About {ANNA}." in window.text
    assert "account.made" in window.text
    assert "setting.changed" not in window.text
    await window.open("/admin/events")
    assert "setting.changed" in window.text
    await window.open("/admin/events?verify=1")
    assert "The chain is whole" in window.text
    by_hand.run("alter table audit_events disable trigger all")
    by_hand.run("update audit_events set action = 'session.ended' where action = 'setting.changed'")
    await window.open("/admin/events?verify=1")
    assert "The chain is broken" in window.text
    assert "An event was changed" in window.text
    await window.open(f"{MEMBERS}/nobody/events")
    assert window.status == 404


async def sealed(studio: ByHand) -> None:
    from portraitist.studio.trail.sealing import Sealer

    core = studio.parts.core
    await Sealer(core.db, core.objects, core.clock).sweep()


async def test_settings_of_the_environment_are_shown_and_secrets_are_not(by_hand: ByHand) -> None:
    await first_admin(by_hand)
    window = await signed_in(by_hand, ADMIN)
    await window.open("/admin/settings")
    given = item(window, "<code>DATABASE_URL</code>")
    assert "<code>set</code>" in given
    assert "<code>20.0</code>" in item(window, "<code>POLL_SECONDS</code>")
    told = by_hand.settings
    for hidden in (told.database_url, told.replicate_api_token, told.instance_token, told.secret_key):
        assert hidden.get_secret_value() not in window.page
    answer = await by_hand.operator("GET", "/api/v1/admin/environment")
    assert told.database_url.get_secret_value() not in answer.text
    [poll] = [each for each in answer.json()["items"] if each["name"] == "POLL_SECONDS"]
    assert (poll["value"], poll["given"]) == ("20.0", True)


async def test_members_are_listed_page_behind_page(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    from portraitist.studio.web.admin_pages import members

    monkeypatch.setattr(members, "AT_ONCE", 1)
    admin: Browser = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    window = await signed_in(by_hand, ADMIN)
    await window.open(MEMBERS)
    shown = [email for email in (ADMIN, ANNA) if email in window.text]
    [more] = re.findall(r'href="(/admin/members\?after=[^"]+)"', window.page)
    await window.open(more)
    assert {*shown, *(email for email in (ADMIN, ANNA) if email in window.text)} == {ADMIN, ANNA}
    assert len(shown) == 1
    await window.open(f"{MEMBERS}?q=NNA@")
    assert (ANNA in window.text, ADMIN in window.text) == (True, False)
    await window.open(f"{MEMBERS}?q=%25")
    assert "No account has this in its address." in window.text
