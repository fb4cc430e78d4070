"""The sign-in page's other doors: each is on the page where the studio has it, and nowhere else."""

from pathlib import Path

import pytest
from tests.integration.browsing import NAVIGATION, signed_in, surfer
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.people import ADMIN, first_admin
from tests.integration.test_fresh_sign_in import STALE
from tests.integration.test_mail import Mailed, mailed
from tests.integration.test_passkeys import registered
from tests.integration.test_sign_in_provider import Federated, federated

from portraitist.kit.embedded_postgres import Server

pytestmark = pytest.mark.anyio
__all__ = ["federated", "mailed"]
NUMBER = "203.0.113.5"


async def test_without_mail_and_provider_the_page_offers_neither(by_hand: ByHand) -> None:
    window = surfer(by_hand)
    await window.open("/sign-in")
    assert "Mail me" not in window.text
    assert 'id="provider"' not in window.page
    assert 'id="passkey"' in window.page  # at localhost browsers have passkeys
    for address in ("/sign-in/mail", "/sign-in/reset"):
        answer = await window.http.post(address, data={"email": ADMIN}, headers=NAVIGATION)
        assert (answer.status_code, "sends no mail" in answer.text) == (409, True)


async def test_where_browsers_have_no_passkeys_the_pages_offer_none(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    given = {"public_url": f"https://{NUMBER}"}
    async with studio_by_hand(postgres, studio_database, tmp_path, **given) as studio:
        window = surfer(studio)
        await window.open("/sign-in")
        assert "passkey" not in window.page.replace("passkey-problem", "")


async def test_a_link_is_mailed_for_every_address_alike(mailed: Mailed) -> None:
    await first_admin(mailed.studio)
    told = []
    for number, email in enumerate((ADMIN, "nobody@example.org")):
        window = surfer(mailed.studio, f"203.0.113.{number}")
        await window.open("/sign-in")
        assert "Mail me a link instead" in window.text
        answer = await window.http.post("/sign-in/mail", data={"email": email}, headers=NAVIGATION)
        told.append((answer.status_code, answer.headers["location"], answer.text))
    assert told[0] == told[1]
    await mailed.delivered()
    assert mailed.box.secret("enter")
    window = surfer(mailed.studio, "203.0.113.9")
    bad = await window.http.post("/sign-in/mail", data={"email": "<no address>"}, headers=NAVIGATION)
    assert (bad.status_code, 'value="&lt;no address&gt;"' in bad.text) == (422, True)
    foreign = await window.http.post(
        "/sign-in/reset", data={"email": ADMIN}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert foreign.status_code == 403
    reset = await window.http.post("/sign-in/reset", data={"email": ADMIN}, headers=NAVIGATION)
    await mailed.delivered()
    assert (reset.status_code, bool(mailed.box.secret("reset"))) == (303, True)


async def test_a_mailed_link_proves_it_again_and_what_was_being_done_goes_on(mailed: Mailed) -> None:
    there = await first_admin(mailed.studio)
    window = await signed_in(mailed.studio, ADMIN)
    await mailed.delivered()
    mailed.studio.clock.move(STALE)
    await window.open("/account/sign-in")
    await window.send("/account/recovery-codes")
    await window.send("/account/prove/mail")
    assert "A link is on its way to" in window.text
    await window.send("/account/prove")
    assert (window.status, window.title) == (403, "Is it still you?")
    await mailed.delivered()
    secret = mailed.box.secret("prove")
    csrf = (await window.http.get("/api/v1/session")).json()["csrf_token"]
    proved = await window.http.post(
        "/api/v1/proof", json={"link": secret}, headers=NAVIGATION | {"X-CSRF-Token": csrf}
    )
    window.page = window.page.replace(csrf, proved.json()["csrf_token"])  # as a page that is looked at again
    await window.send("/account/prove")
    await window.send("/account/recovery-codes")
    assert window.title == "Your recovery codes"
    assert (await there.send("GET", "/me")).status_code == 200


async def test_the_ways_to_prove_it_are_those_that_the_member_has(federated: Federated) -> None:
    studio = federated.studio
    there = await first_admin(studio)
    window = await signed_in(studio, ADMIN)
    await window.open("/account/prove")
    ways = ("prove-by-passkey", "/proof/provider/options", "recovery_code")
    assert [each in window.page for each in ways] == [False, False, False]
    assert 'name="password"' in window.page
    await registered(there)
    await there.ok("POST", "/recovery-codes")
    await federated.linked(there)
    await window.open("/account/prove")
    assert [each in window.page for each in ways] == [True, True, True]
    studio.run("delete from passwords")
    await window.open("/account/prove")
    assert 'name="password"' not in window.page


async def test_the_provider_stands_on_the_sign_in_page_and_is_unlinked_on_the_accounts(
    federated: Federated,
) -> None:
    window = surfer(federated.studio)
    await window.open("/sign-in")
    assert "Sign in with School" in window.text
    there = await first_admin(federated.studio)
    window = await signed_in(federated.studio, ADMIN)
    await window.open("/account/sign-in")
    assert "Link School" in window.text
    linked = await federated.linked(there)
    await window.open("/account/sign-in")
    assert linked["subject"] in window.text
    await window.send(f"/account/identities/{linked['id']}/remove")
    assert "opens your account no more" in window.text
