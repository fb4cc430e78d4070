"""Whom passkeys are for, when a count tells of a copy, and how recovery codes are written and read."""

from datetime import UTC, datetime, timedelta

import pytest

from portraitist.studio.accounts.mail.letters import is_given_up, pause, with_link
from portraitist.studio.accounts.passkeys.domain import CODE_BYTES, is_copied, read, relying_party, spelled

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "host", "origin"),
    [
        ("https://studio.example.org", "studio.example.org", "https://studio.example.org"),
        (
            "https://Studio.Example.org:8443/portraits",
            "studio.example.org",
            "https://studio.example.org:8443",
        ),
        ("http://localhost:8700", "localhost", "http://localhost:8700"),
    ],
)
def test_passkeys_are_for_the_host_and_the_one_origin(address: str, host: str, origin: str) -> None:
    party = relying_party(address)
    assert party is not None
    assert (party.id, party.origin) == (host, origin)


@pytest.mark.parametrize(
    "address",
    ["http://studio.example.org", "https://10.0.0.5", "https://[::1]", "http://127.0.0.1:8700", "https://"],
)
def test_where_browsers_have_no_passkeys_there_is_nobody_they_are_for(address: str) -> None:
    assert relying_party(address) is None


@pytest.mark.parametrize(
    ("known", "told", "copied"),
    [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 0, True), (5, 4, True)],
)
def test_a_count_that_does_not_rise_tells_of_a_copy(known: int, told: int, copied: bool) -> None:
    assert is_copied(known, told) is copied


def test_a_recovery_code_is_the_same_however_it_is_typed() -> None:
    code = spelled(bytes(range(CODE_BYTES)))
    assert [len(part) for part in code.split("-")] == [4] * 6
    assert read(f" {code.upper().replace('-', ' ')} ") == read(code)
    assert CODE_BYTES * 8 >= 112  # below that a plain digest would not do


def test_letters_are_tried_later_and_later_and_links_are_given_up_sooner() -> None:
    assert [pause(tries).total_seconds() for tries in (0, 1, 2, 99)] == [30, 60, 120, 3600]
    late = NOW + timedelta(minutes=30)
    assert is_given_up("sign_in", NOW, late) and not is_given_up("signed_in", NOW, late)
    assert is_given_up("signed_in", NOW, NOW + timedelta(days=1))


def test_a_links_secret_stands_behind_the_hash() -> None:
    letter = with_link("proof", "https://studio", "secret", timedelta(minutes=10))
    assert "https://studio/prove#secret" in letter.text
    assert "10 minutes" in letter.text
