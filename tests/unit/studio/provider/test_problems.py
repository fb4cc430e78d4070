"""Refusals are told apart by what can be done about them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.provider.port import ProviderError, ProviderRateLimited, ProviderUnauthorized
from portraitist.studio.provider.problems import problem


def retry_after(headers: dict[str, str], body: object) -> float:
    found = problem(429, headers, json.dumps(body).encode())
    assert isinstance(found, ProviderRateLimited)
    return found.retry_after_s


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {"retry_after": 3, "detail": "~30s"}, 7),
        ({}, {"retry_after": 3, "detail": "Your rate limit resets in ~30s."}, 3),
        ({}, {"detail": "Request was throttled. Your rate limit resets in ~30s."}, 30),
        ({}, {"detail": "reduced to 6 requests per minute"}, 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"retry_after": None}, 10),
        ({"retry-after": "-5"}, {}, 10),
        ({"retry-after": "999999"}, {}, 300),
        ({}, [], 10),
    ],
)
def test_the_wait_is_taken_from_header_then_field_then_text(
    headers: dict[str, str], body: object, seconds: float
) -> None:
    assert retry_after(headers, body) == seconds


def test_an_error_says_what_to_do_and_keeps_the_providers_words_for_the_operator() -> None:
    body = {
        "title": "Unauthenticated",
        "detail": "You did not pass a valid\nauthentication token",
        "status": 401,
    }
    error = problem(401, {}, json.dumps(body).encode())
    assert isinstance(error, ProviderUnauthorized)
    assert error.detail == "HTTP 401: Unauthenticated: You did not pass a valid authentication token"
    assert "operator must set a valid one" in error.message
    assert error.code == "provider_unauthorized"


@given(st.integers(100, 999), st.dictionaries(st.sampled_from(["retry-after"]), st.text()), st.binary())
def test_every_status_is_a_success_or_an_error_of_ours(
    status: int, headers: dict[str, str], content: bytes
) -> None:
    found = problem(status, headers, content)
    assert (found is None) == (200 <= status < 300)
    assert found is None or (isinstance(found, ProviderError) and len(found.detail) < 600)
