"""Delays against guessing: free at first, doubled, an hour at most; by account and by source, told apart by nobody."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.accounts.guessing import (
    ACCOUNT,
    FORGOTTEN_AFTER,
    LONGEST,
    SOURCE,
    Tries,
    account_key,
    counted,
    delay_after,
    source_key,
    wait,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_the_first_tries_are_free_and_the_rest_double() -> None:
    delays = [delay_after(failures, ACCOUNT).total_seconds() for failures in range(9)]
    assert delays == [0, 0, 0, 0, 0, 1, 2, 4, 8]


@given(st.integers(0, 10_000))
def test_a_delay_never_shrinks_and_is_an_hour_at_most(failures: int) -> None:
    assert delay_after(failures, SOURCE) <= delay_after(failures + 1, SOURCE) <= LONGEST


def test_a_try_counts_as_failed_before_it_is_made() -> None:
    tries = None
    for _ in range(5):
        assert wait(tries, ACCOUNT, NOW) == timedelta(0)
        tries = counted(tries, ACCOUNT, NOW)
    assert wait(tries, ACCOUNT, NOW) == timedelta(seconds=1)
    assert wait(tries, ACCOUNT, NOW + timedelta(seconds=1)) == timedelta(0)


def test_in_a_year_of_guessing_an_account_lets_a_hundred_tries_through() -> None:
    tries, now, made = None, NOW, 0
    while now < NOW + timedelta(days=365):
        pause = wait(tries, ACCOUNT, now)
        if pause:
            now += pause
            continue
        tries, made = counted(tries, ACCOUNT, now), made + 1
    assert made == ACCOUNT.most == 100
    assert wait(Tries(100, NOW), ACCOUNT, now) == FORGOTTEN_AFTER


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),  # one network of one household
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("unknown", "unknown", True),
    ],
)
def test_a_source_is_an_address_or_a_network_of_64_bits(one: str, other: str, same: bool) -> None:
    assert (source_key(one, "s") == source_key(other, "s")) is same


def test_no_address_can_be_read_from_a_key() -> None:
    keys = account_key("anna@example.org", "s") + source_key("198.51.100.7", "s")
    assert "anna" not in keys
    assert account_key("anna@example.org", "s") != account_key("anna@example.org", "t")
