"""Signing in with the operator's OpenID Connect provider: who gets in, and every answer that does not hold."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey
from tests.fakes.serving import served
from tests.fakes.sign_in_provider import CLIENT, SECRET, SignInProvider
from tests.integration.by_hand import ByHand, studio_by_hand
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
from tests.integration.test_passkeys import registered

from portraitist.kit.embedded_postgres import Server

pytestmark = pytest.mark.anyio


@dataclass
class Federated:
    """A studio and the provider that its operator has configured."""

    studio: ByHand
    provider: SignInProvider

    async def back(self, here: Browser, path: str = "/session/provider/options") -> dict[str, Any]:
        """What this browser comes back from the provider with."""
        return dict(self.provider.visit((await here.ok("POST", path))["url"]))

    async def entered(self, here: Browser, **more: Any) -> httpx2.Response:
        """What whoever signs in with the provider is told."""
        answer = await here.send("POST", "/session/provider", await self.back(here) | more)
        if answer.is_success:
            here.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return answer

    async def linked(self, here: Browser) -> dict[str, Any]:
        """The provider's person, linked to whoever is signed in here."""
        found: dict[str, Any] = await here.ok(
            "POST", "/identities", await self.back(here, "/identities/options")
        )
        return found


@pytest.fixture
async def federated(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[Federated]:
    provider = SignInProvider()
    with served(provider.app()) as url:
        provider.issuer = url
        given = {
            "oidc_issuer": url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "School",
        }
        async with studio_by_hand(postgres, studio_database, tmp_path, **given) as studio:
            provider.now = lambda: studio.clock.now().timestamp()
            yield Federated(studio, provider)


def refused(answer: httpx2.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (401, "provider_refused")


async def opened(federated: Federated) -> Browser:
    """The admin of a studio that takes everybody."""
    admin = await first_admin(federated.studio)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "open"})
    return admin


async def test_in_an_open_studio_a_verified_address_makes_an_account_and_comes_back_to_it(
    federated: Federated,
) -> None:
    await opened(federated)
    here = browser(federated.studio)
    assert await here.ok("GET", "/session/provider") == {"name": "School"}
    first = (await federated.entered(here)).json()["member"]
    assert (first["email"], first["role"]) == (ANNA, "member")
    federated.provider.email, federated.provider.email_verified = "married@example.org", False
    again = (await federated.entered(browser(federated.studio))).json()["member"]
    assert again["id"] == first["id"], "known by the provider's own number, whatever the address"
    [asked, *_] = federated.provider.asked
    assert asked["redirect_uri"] == "http://localhost:8700/oidc"
    assert len(asked["state"]) > 40 and len(asked["nonce"]) >= 43


async def test_new_members_come_by_the_studios_own_rule(federated: Federated) -> None:
    admin = await first_admin(federated.studio)
    here = browser(federated.studio)
    assert (await federated.entered(here)).json()["code"] == "sign_up_closed"
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "invitation"})
    assert (await federated.entered(here)).json()["code"] == "sign_up_closed"
    bens = await admin.ok("POST", "/admin/invitations", {"email": BEN})
    assert (await federated.entered(here, link=bens["secret"])).json()["code"] == "link_not_found"
    annas = await admin.ok("POST", "/admin/invitations", {"email": ANNA})
    assert (await federated.entered(here, link=annas["secret"])).is_success


async def test_an_address_opens_no_account_that_is_there(federated: Federated) -> None:
    """Neither one that the provider only repeats, nor one that it has verified."""
    admin = await opened(federated)
    await joined(federated.studio, admin, ANNA)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "open"})
    taken = await federated.entered(browser(federated.studio))
    assert (taken.status_code, taken.json()["code"]) == (409, "identity_not_linked")
    federated.provider.email_verified = False
    for address in (ANNA, "new@example.org"):
        federated.provider.email = address
        answer = await federated.entered(browser(federated.studio))
        assert (answer.status_code, answer.json()["code"]) == (403, "identity_email_unverified")
    for odd in ("true", 1):
        federated.provider.lies = {"email_verified": odd}
        answer = await federated.entered(browser(federated.studio))
        assert answer.json()["code"] == "identity_email_unverified"
    assert federated.studio.rows("select count(*) from identities") == [(0,)]


async def test_a_member_links_and_unlinks_the_provider(federated: Federated) -> None:
    admin = await first_admin(federated.studio)
    anna = await joined(federated.studio, admin, ANNA)
    identity = await federated.linked(anna)
    assert (identity["issuer"], identity["subject"]) == (federated.provider.issuer, "person-1")
    assert (await federated.entered(browser(federated.studio))).json()["member"]["email"] == ANNA
    back = await federated.back(admin, "/identities/options")
    assert (await admin.send("POST", "/identities", back)).json()["code"] == "identity_taken"
    await anna.ok("DELETE", f"/identities/{identity['id']}")
    assert (await anna.ok("GET", "/identities")) == {"items": []}
    assert (await federated.entered(browser(federated.studio))).status_code == 403
    gone = await anna.send("DELETE", f"/identities/{identity['id']}")
    assert gone.json()["code"] == "identity_not_found"


async def test_the_last_way_in_stays_and_a_password_can_be_set(federated: Federated) -> None:
    await opened(federated)
    anna = browser(federated.studio)
    await federated.entered(anna)
    [identity] = (await anna.ok("GET", "/identities"))["items"]
    assert (await anna.send("DELETE", f"/identities/{identity['id']}")).json()["code"] == "last_way_in"
    assert (await anna.send("PUT", "/second-factor", {"passkey_needed": True})).json()["code"] == "no_passkey"
    await registered(anna)
    assert (await anna.send("PUT", "/second-factor", {"passkey_needed": True})).json()[
        "code"
    ] == "no_password"
    federated.studio.clock.move(timedelta(minutes=10))
    stale = await anna.send("PUT", "/password", {"new": OTHER_PASSWORD})
    assert stale.json()["code"] == "fresh_sign_in_needed"
    await federated.entered(anna)
    await anna.ok("PUT", "/password", {"new": OTHER_PASSWORD})
    await browser(federated.studio).sign_in(ANNA, OTHER_PASSWORD)


async def test_an_account_without_a_password_is_proved_by_the_provider_and_then_erased(
    federated: Federated,
) -> None:
    await opened(federated)
    anna = browser(federated.studio)
    await federated.entered(anna)
    federated.studio.clock.move(timedelta(hours=1))
    assert (await anna.send("DELETE", "/account", {})).json()["code"] == "fresh_sign_in_needed"
    back = await federated.back(anna, "/proof/provider/options")
    assert (federated.provider.asked[-1]["prompt"], federated.provider.asked[-1]["max_age"]) == ("login", "0")
    proved = await anna.ok("POST", "/proof", {"provider": back})
    anna.headers["X-CSRF-Token"] = proved["csrf_token"]
    assert (await anna.send("DELETE", "/account", {})).status_code == 202


@pytest.mark.parametrize(
    "lie", [{"auth_time": 1}, {"auth_time": None}, {"auth_time": 9**30}, {"sub": "person-2"}]
)
async def test_an_old_session_at_the_provider_or_another_person_there_proves_nothing(
    federated: Federated, lie: dict[str, Any]
) -> None:
    await opened(federated)
    anna = browser(federated.studio)
    await federated.entered(anna)
    back = await federated.back(anna, "/proof/provider/options")
    federated.provider.lies = lie
    assert refused(await anna.send("POST", "/proof", {"provider": back}))


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "for somebody else": {"aud": "another-client"},
    "for somebody else, and said to be by us": {"aud": "another-client", "azp": CLIENT},
    "for many, and not said for whom": {"aud": [CLIENT, "another-client"]},
    "for many, and said for another": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
    "for nobody": {"aud": None},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "run out": {"exp": 1},
    "without an end": {"exp": None},
    "from the future": {"iat": 9_999_999_999},
    "nobody": {"sub": None},
    "an odd subject": {"sub": 7},
    "a subject that is too long": {"sub": "x" * 256},
    "a subject that no table takes": {"sub": "a\0b"},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_does_not_hold_is_refused(federated: Federated, lie: str) -> None:
    await opened(federated)
    federated.provider.lies = LIES[lie]
    here = browser(federated.studio)
    assert refused(await federated.entered(here))
    assert federated.provider.exchanged == 1
    federated.provider.lies = {}
    assert (await federated.entered(here)).is_success, "the same without the lie gets in"


@pytest.mark.parametrize("alg", ["none", "HS256", "wrong key"])
async def test_a_token_that_the_provider_has_not_signed_is_refused(federated: Federated, alg: str) -> None:
    await opened(federated)
    federated.provider.alg = alg if alg != "wrong key" else "ES256"
    federated.provider.wrong_key = alg == "wrong key"
    assert refused(await federated.entered(browser(federated.studio)))


async def test_a_provider_may_change_its_key(federated: Federated) -> None:
    await opened(federated)
    assert (await federated.entered(browser(federated.studio))).is_success
    federated.studio.clock.move(timedelta(minutes=2))
    federated.provider.key = ECKey.generate_key("P-256", {"kid": "k2", "use": "sig"})
    assert (await federated.entered(browser(federated.studio))).is_success


async def test_state_and_code_count_once_in_their_browser_and_for_their_purpose(federated: Federated) -> None:
    admin = await opened(federated)
    here, elsewhere = browser(federated.studio), browser(federated.studio)
    await elsewhere.ok("POST", "/session/provider/options")
    back = await federated.back(here)
    assert refused(await elsewhere.send("POST", "/session/provider", back)), "another browser's"
    assert (await here.send("POST", "/session/provider", back)).is_success
    assert refused(await here.send("POST", "/session/provider", back)), "a replay"
    used = await federated.back(here)
    assert refused(await here.send("POST", "/session/provider", used | {"code": back["code"]})), "an old code"
    linking = await federated.back(admin, "/identities/options")
    assert refused(await admin.send("POST", "/session/provider", linking)), "for another purpose"
    renamed = linking | {"state": linking["state"].replace("link.", "prove.")}
    assert refused(await admin.send("POST", "/proof", {"provider": renamed}))
    late = await federated.back(here)
    federated.studio.clock.move(timedelta(minutes=10, seconds=1))
    assert refused(await here.send("POST", "/session/provider", late))


async def test_an_answer_of_another_provider_is_not_asked_about_at_this_one(federated: Federated) -> None:
    """The mix-up: a browser that comes back from elsewhere with this studio's state."""
    await opened(federated)
    here = browser(federated.studio)
    for issuer in ("https://evil.example", None):
        assert refused(
            await here.send("POST", "/session/provider", await federated.back(here) | {"issuer": issuer})
        )
    assert federated.provider.exchanged == 0, "the code was not sent anywhere"


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
)
async def test_what_a_provider_publishes_leads_nowhere_else(
    federated: Federated, published: dict[str, Any]
) -> None:
    await opened(federated)
    federated.provider.published = published
    here = browser(federated.studio)
    begun = await here.send("POST", "/session/provider/options")
    if begun.is_success:
        back = federated.provider.visit(begun.json()["url"])
        begun = await here.send("POST", "/session/provider", back)
    assert (begun.status_code, begun.json()["code"]) == (503, "provider_away")


async def test_a_provider_that_is_away_is_said_to_be_and_other_ways_stay(federated: Federated) -> None:
    await first_admin(federated.studio)
    federated.provider.away = True
    there = browser(federated.studio)
    answer = await there.send("POST", "/session/provider/options")
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
    await there.sign_in(ADMIN, PASSWORD)


async def test_without_a_provider_it_is_said(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    assert await admin.ok("GET", "/session/provider") == {"name": None}
    for path in ("/session/provider/options", "/identities/options", "/proof/provider/options"):
        assert (await admin.send("POST", path)).json()["code"] == "provider_unavailable"


async def test_a_disabled_account_is_not_opened_by_the_provider(federated: Federated) -> None:
    admin = await opened(federated)
    here = browser(federated.studio)
    member = (await federated.entered(here)).json()["member"]
    await admin.ok("PATCH", f"/admin/members/{member['id']}", {"disabled": True})
    assert (await federated.entered(browser(federated.studio))).json()["code"] == "identity_not_linked"
    assert (await here.send("GET", "/me")).status_code == 401
