"""The pages behind one-time links: what is served, and that the script speaks to the API as it is."""

import re
from pathlib import Path

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.people import ANNA, OTHER_PASSWORD, PASSWORD, browser, first_admin, joined

from portraitist.studio.web.rendering import TEMPLATES
from portraitist.studio.web.static_files import STATIC

pytestmark = pytest.mark.anyio
SCRIPT = (Path(STATIC) / "link.js").read_text()
PAGE = (TEMPLATES / "link.html").read_text()


async def test_every_link_that_is_handed_out_leads_to_a_page_without_foreign_or_inline_scripts(
    by_hand: ByHand,
) -> None:
    admin = await first_admin(by_hand)
    await joined(by_hand, admin, ANNA)
    [anna] = [each for each in (await admin.ok("GET", "/admin/members"))["items"] if each["email"] == ANNA]
    invitation = await admin.ok("POST", "/admin/invitations", {})
    reset = await admin.ok("POST", f"/admin/members/{anna['id']}/reset-link")
    for link in (invitation, reset):
        address = "/" + link["url"].partition("#")[0].partition("//")[2].partition("/")[2]
        answer = await browser(by_hand).http.get(address)
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "private, no-store"
        assert re.findall(r"<script[^>]*>", answer.text) == ['<script type="module" src="/static/link.js">']
        assert not re.search(r"\son\w+=|style=|https?://", answer.text)


async def test_what_the_script_sends_is_what_the_api_takes(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    await admin.ok("PUT", "/admin/settings/sign_up", {"value": "invitation"})
    link = await admin.ok("POST", "/admin/invitations", {})
    for path, body in (
        ("/api/v1/accounts", "{ email, password, link: secret }"),
        ("/api/v1/password/reset", "{ new: password, link: secret }"),
    ):
        assert f'["{path}", {body}]' in SCRIPT
    page = browser(by_hand)
    await page.ok("POST", "/accounts", {"email": ANNA, "password": PASSWORD, "link": link["secret"]})
    member = (await page.sign_in(ANNA))["member"]
    reset = await admin.ok("POST", f"/admin/members/{member['id']}/reset-link")
    await page.ok("POST", "/password/reset", {"new": OTHER_PASSWORD, "link": reset["secret"]})
    await page.sign_in(ANNA, OTHER_PASSWORD)


def test_password_fields_are_masked_may_be_shown_and_take_what_is_pasted() -> None:
    [field] = re.findall(r'<input id="password"[^>]*>', PAGE)
    assert 'type="password"' in field
    assert 'autocomplete="new-password"' in field
    assert '.type = shown ? "text" : "password"' in SCRIPT
    assert not re.search(r"paste|onkey|keydown|autocomplete=.off", PAGE + SCRIPT)


ENTER = (Path(STATIC) / "enter.js").read_text()


async def test_mailed_links_lead_to_a_page_that_speaks_to_the_api_as_it_is(by_hand: ByHand) -> None:
    paths = by_hand.web.openapi()["paths"]
    for page in ("/enter", "/prove", "/oidc"):
        answer = await browser(by_hand).http.get(page)
        assert answer.status_code == 200
        assert re.findall(r"<script[^>]*>", answer.text) == ['<script type="module" src="/static/enter.js">']
        assert not re.search(r"\son\w+=|style=|https?://", answer.text)
    asked = set(re.findall(r'"(/[a-z/]+)"', ENTER))
    assert {f"/api/v1{path}" for path in asked} <= set(paths)
    assert 'history.replaceState(null, "", location.pathname)' in ENTER
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Storage|cookie", ENTER)


def test_the_secret_leaves_the_address_and_nothing_is_set_as_markup() -> None:
    assert 'history.replaceState(null, "", location.pathname)' in SCRIPT
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Storage|cookie", SCRIPT)
