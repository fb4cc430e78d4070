"""A change counts as ours when the browser says so, and by cookie only with the token of the session."""

import pytest

from portraitist.studio.accounts.domain import csrf_token
from portraitist.studio.accounts.same_origin import is_foreign, lacks_token

HTTPS = "https://studio.example.org"


@pytest.mark.parametrize(
    ("headers", "public_url", "foreign"),
    [
        ({}, "", False),  # a program, not a browser
        ({"sec-fetch-site": "same-origin"}, "", False),
        ({"sec-fetch-site": "cross-site"}, "", True),
        ({"sec-fetch-site": "same-site"}, "", True),
        ({"sec-fetch-site": "none"}, "", True),
        ({"origin": "http://localhost:8700", "host": "localhost:8700"}, "", False),
        ({"origin": "http://evil.example", "host": "localhost:8700"}, "", True),
        ({"origin": "http://localhost:9999", "host": "localhost:8700"}, "", True),
        ({"origin": "null", "host": "localhost:8700"}, "", True),
        ({"origin": HTTPS}, HTTPS, False),
        ({"origin": "http://studio.example.org"}, HTTPS, True),
        ({"origin": "https://studio.example.org.evil.example"}, HTTPS, True),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, HTTPS, True),
    ],
)
def test_a_change_from_another_site_is_foreign(
    headers: dict[str, str], public_url: str, foreign: bool
) -> None:
    assert is_foreign("POST", headers, public_url) is foreign
    assert not is_foreign("GET", headers, public_url)


def test_a_change_by_cookie_needs_the_token_of_that_session() -> None:
    assert lacks_token("DELETE", {}, "secret")
    assert lacks_token("DELETE", {"x-csrf-token": csrf_token("another")}, "secret")
    assert lacks_token("DELETE", {"x-csrf-token": "ü"}, "secret")
    assert not lacks_token("DELETE", {"x-csrf-token": csrf_token("secret")}, "secret")
    assert not lacks_token("GET", {}, "secret")
    assert lacks_token("POST", {}, "secret", csrf_token("another"))
    assert not lacks_token("POST", {}, "secret", csrf_token("secret"))
