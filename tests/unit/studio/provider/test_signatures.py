"""A webhook is taken when its signature is right and fresh, and otherwise refused without a sound."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.provider.signatures import verify_webhook

# The vector of the official clients' own test suites.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = datetime.fromtimestamp(1614265330, UTC)


def test_the_official_vector_verifies() -> None:
    assert verify_webhook(SECRET, HEADERS, BODY, NOW)


def test_header_names_have_no_case_and_one_good_entry_is_enough() -> None:
    headers = {name.title(): value for name, value in HEADERS.items()}
    headers["Webhook-Signature"] = f"v1,AAAA v1a,zz {HEADERS['webhook-signature']}"
    assert verify_webhook(SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_fresh(seconds: int) -> None:
    assert verify_webhook(SECRET, HEADERS, BODY, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_older_and_future_ones_are_refused(seconds: int) -> None:
    assert not verify_webhook(SECRET, HEADERS, BODY, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": "\ud800"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "１６１４２６５３３０"},
        {"webhook-timestamp": "1614265330.0"},
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF="},
        {"webhook-signature": "v1,ü \ud800"},
    ],
)
def test_malformed_and_altered_headers_are_refused(change: dict[str, str]) -> None:
    assert not verify_webhook(SECRET, HEADERS | change, BODY, NOW)


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_missing_headers_are_refused(name: str) -> None:
    assert not verify_webhook(SECRET, {key: HEADERS[key] for key in HEADERS if key != name}, BODY, NOW)


def test_altered_bodies_are_refused() -> None:
    assert not verify_webhook(SECRET, HEADERS, BODY + b" ", NOW)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_ä", "whsec_a", "whsec_A-_A"]
)
def test_a_secret_that_is_none_verifies_nothing_not_even_what_the_empty_key_signed(secret: str) -> None:
    signed = b"m.1614265330." + BODY
    forged = base64.b64encode(hmac.digest(b"", signed, hashlib.sha256)).decode()
    headers = HEADERS | {"webhook-id": "m", "webhook-signature": f"v1,{forged}"}
    assert not verify_webhook(secret, headers, BODY, NOW)


@given(st.text(), st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text()), st.binary())
def test_nothing_random_verifies_or_raises(secret: str, headers: dict[str, str], body: bytes) -> None:
    assert not verify_webhook(secret, headers, body, NOW)
    assert not verify_webhook(SECRET, HEADERS | headers, body, NOW)
