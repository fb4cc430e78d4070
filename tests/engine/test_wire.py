"""Replicate's small languages: version names, headers, addresses, log bars, cursors, limits, signatures."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.webhook import Webhooks, WebhookSigningSecret

from portraitist.engine import bars, limits, pages, signing, wire
from portraitist.engine.errors import Problem

ID = hashlib.sha256(b"version").hexdigest()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_version_names_are_a_hash_with_or_without_its_model() -> None:
    assert wire.version_name(ID) == wire.VersionName(ID, None)
    assert wire.version_name(f"me/mine:{ID}") == wire.VersionName(ID, "me/mine")


@pytest.mark.parametrize(
    "text", ["me/mine", "me/mine:latest", ID[:8], ID.upper(), f"{ID}\n", f"a/b/c:{ID}", ""]
)
def test_anything_else_is_no_version_name(text: str) -> None:
    assert wire.version_name(text) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("wait", 60), ("wait=1", 1), ("wait=60", 60), ("wait=61", None), ("wait=0", None), ("later", None)],
)
def test_prefer_wait_takes_1_to_60_seconds(header: str, seconds: int | None) -> None:
    assert wire.prefer_wait(header) == seconds


@pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445)])
def test_cancel_after_takes_durations(header: str, seconds: int) -> None:
    assert wire.cancel_after(header) == timedelta(seconds=seconds)


@pytest.mark.parametrize("header", ["4", "4s", "", "soon", "-5", "1d", "30s5m"])
def test_cancel_after_refuses_what_is_no_duration_of_five_seconds(header: str) -> None:
    with pytest.raises(Problem) as refusal:
        wire.cancel_after(header)
    assert refusal.value.status == 422


@pytest.mark.parametrize(
    ("url", "file_id"),
    [
        ("http://engine:1/v1/files/YWJjZGVmZ2hpamtsbW5vcA", "YWJjZGVmZ2hpamtsbW5vcA"),
        ("http://engine:1/v1/files/YWJjZGVmZ2hpamtsbW5vcA/download?expiry=1", "YWJjZGVmZ2hpamtsbW5vcA"),
        ("http://engine:12/v1/files/YWJjZGVmZ2hpamtsbW5vcA", None),
        ("http://engine:1.evil.org/v1/files/YWJjZGVmZ2hpamtsbW5vcA", None),
        ("http://engine:1/v1/files/../trainings/YWJjZGVmZ2hpamtsbW5vcA", None),
    ],
)
def test_only_our_own_addresses_name_our_files(url: str, file_id: str | None) -> None:
    assert wire.own_file(url, "http://engine:1") == file_id


def test_times_are_utc_with_z() -> None:
    assert wire.time(datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)) == "2026-01-02T03:04:05.678Z"


def test_the_signature_is_that_of_the_clients_own_test_vector() -> None:
    headers = signing.webhook_headers(
        SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_replicates_own_validator_accepts_what_we_sign_and_nothing_else() -> None:
    body = b'{"id": "x"}'
    headers = signing.webhook_headers(SECRET, "msg_1", 1614265330, body)
    secret = WebhookSigningSecret(key=SECRET)
    Webhooks.validate(headers=headers, body=body.decode(), secret=secret)
    with pytest.raises(ValueError, match="signature"):
        Webhooks.validate(headers=headers, body=body.decode() + " ", secret=secret)


def test_a_signed_link_is_good_for_its_file_until_it_expires() -> None:
    signature = signing.link_signature("key", "me", "file", 100)
    assert signing.link_valid("key", "me", "file", expiry=100, signature=signature, now=99)
    assert not signing.link_valid("key", "me", "file", expiry=100, signature=signature, now=100)
    assert not signing.link_valid("key", "me", "file", expiry=101, signature=signature, now=99)
    assert not signing.link_valid("key", "me", "other", expiry=100, signature=signature, now=99)
    assert not signing.link_valid("key2", "me", "file", expiry=100, signature=signature, now=99)


def test_the_training_bar_is_the_clouds_to_the_letter() -> None:
    line = bars.training_bar(2483, 3000, 2607.2, 0.2472, 4e-4)
    assert line == (
        "flux_train_replicate:  83%|████████▎ | 2482/3000 [43:27<09:04,  1.05s/it, lr: 4.0e-04 loss: 2.472e-01]"
    )


def test_the_training_bar_begins_without_a_rate_and_ends_one_short() -> None:
    first = bars.training_bar(0, 1000, 0, 0.5, 4e-4)
    assert first.startswith("flux_train_replicate:   0%|          | 0/1000 [00:00<?, ?it/s")
    assert "| 999/1000 [" in bars.training_bar(1000, 1000, 60, 0.5, 4e-4)


def test_unknown_words_are_named_after_a_stable_beginning() -> None:
    assert bars.unknown_words(["soft", "velvet"]) == 'Words this small model does not know: "soft", "velvet"'


@given(
    st.sampled_from(["next", "previous"]),
    st.datetimes(timezones=st.just(UTC)),
    st.text(max_size=40),
)
def test_cursors_survive_the_way_through_an_address(
    direction: pages.Direction, moment: datetime, key: str
) -> None:
    cursor = pages.Cursor(direction, moment, key)
    assert pages.decode(cursor.encode()) == cursor


@given(st.text(max_size=60))
def test_a_cursor_that_is_not_ours_is_a_bad_request(text: str) -> None:
    try:
        pages.decode(text)
    except Problem as problem:
        assert problem.status == 400


def test_a_limit_refuses_until_its_window_is_over() -> None:
    windows = limits.Limits()
    answers = [windows.take("create_prediction", 10.0) for _ in range(601)]
    assert [a.allowed for a in answers[-2:]] == [True, False]
    assert answers[0].remaining == 599
    assert answers[-1].reset_s == 60
    assert windows.take("other", 10.0).allowed
    assert windows.take("create_prediction", 70.0).allowed
