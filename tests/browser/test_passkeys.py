"""Passkeys in a real browser, with the authenticator that Chromium pretends to have: registered, used, asked again."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.running import Live
from tests.browser.steps import joins
from tests.browser.windows import Opens, Window

pytestmark = pytest.mark.slow
EMAIL = "ada@example.org"
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_passkey_is_registered_signs_in_and_proves_it_again(live: Live, window: Opens) -> None:
    here = window(live.url)
    device(here)
    joins(here, live.first_link(), EMAIL)
    here.open("/account/sign-in")
    here.press("Register a passkey")
    here.reads("Your passkey is registered.")
    expect(here.page.locator("#passkeys-title ~ ul li")).to_have_count(1)

    here.press("Sign out")
    here.reads("You are signed out here.")
    here.press("Use a passkey")
    here.page.wait_for_url(f"{live.url}/")
    here.reads(re.compile("First you read"))

    live.rows("update sessions set proved_at = proved_at - interval '1 hour' returning id")
    here.open("/account/sign-in")
    here.press("Make recovery codes")
    here.reads("Is it still you?")
    here.press("Use a passkey")
    here.reads("Your recovery codes")
    expect(here.page.locator("#codes li")).to_have_count(10)


def test_a_passkey_that_is_not_given_says_so_and_the_form_stays(live: Live, window: Opens) -> None:
    here = window(live.url)
    device(here, isUserVerified=False)
    here.open("/sign-in")
    here.fill("E-mail address", EMAIL)
    here.press("Use a passkey")
    here.reads("The passkey was not used.")
    assert here.page.get_by_label("E-mail address").input_value() == EMAIL


def device(window: Window, **other: bool) -> None:
    """Chromium's own make-believe authenticator, in this window."""
    protocol = window.page.context.new_cdp_session(window.page)
    protocol.send("WebAuthn.enable")
    protocol.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | other})
