"""An address that there is not: a page for a browser, a problem for a program."""

import pytest
from tests.integration.by_hand import ByHand

pytestmark = pytest.mark.anyio
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_a_browser_gets_a_page_and_a_program_a_problem(by_hand: ByHand) -> None:
    for path in ("/no-such-page", "/gallery/one/two/three", "/static/nothing.js"):
        page = await by_hand.http.get(path, headers={"Accept": BROWSER})
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert "There is no page at this address." in page.text
        assert 'href="/"' in page.text
        for accept in ("*/*", "application/json"):
            problem = await by_hand.http.get(path, headers={"Accept": accept})
            assert problem.status_code == 404
            assert problem.json()["code"] == "not_found"
    api = await by_hand.http.get("/api/v1/no-such-thing", headers={"Accept": BROWSER})
    assert (api.status_code, api.headers["content-type"]) == (404, "application/problem+json")
    other = await by_hand.http.post("/status", headers={"Accept": BROWSER})
    assert (other.status_code, "not one to look at" in other.text, other.headers["allow"]) == (
        405,
        True,
        "GET",
    )


async def test_a_name_in_the_address_is_never_markup(by_hand: ByHand) -> None:
    page = await by_hand.http.get("/<script>alert(1)</script>", headers={"Accept": BROWSER})
    assert page.status_code == 404
    assert "<script>alert" not in page.text
