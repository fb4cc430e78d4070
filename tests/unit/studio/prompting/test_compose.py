"""A prompt is the trigger word once, the subject, and the member's words as they are."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portraitist.studio.architecture import trigger_word
from portraitist.studio.prompting.compose import (
    LONGEST_PROMPT,
    EmptyPrompt,
    EmptySubject,
    PromptTooLong,
    compose,
)

TRIGGER = trigger_word("ab12cd34ef56")


def prompt(words: str, subject: str = "person") -> str:
    return compose(words, trigger=TRIGGER, subject=subject)


def test_words_follow_trigger_and_subject_verbatim() -> None:
    assert prompt("in a garden, soft morning light") == f"{TRIGGER} person in a garden, soft morning light"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (f"{TRIGGER} in a garden", "in a garden"),
        (f"{TRIGGER}, in a garden", "in a garden"),
        (f"in a garden, {TRIGGER}, smiling", "in a garden, smiling"),
        (f"in a garden with {TRIGGER.upper()}", "in a garden with"),
        (f"user{TRIGGER}ab12cd34ef56 smiling", "user ab12cd34ef56 smiling"),
        ("in\ta \n garden\r\n", "in a garden"),
        ("in a gar\x00den\x1b, \u202esmiling", "in a garden, smiling"),
        ("en el jardín, luz suave — 庭で", "en el jardín, luz suave — 庭で"),
    ],
)
def test_typed_trigger_words_controls_and_spare_white_space_go(typed: str, words: str) -> None:
    assert prompt(typed) == f"{TRIGGER} person {words}"


def test_words_that_begin_with_the_subject_keep_it_once() -> None:
    assert prompt("person in a garden") == f"{TRIGGER} person in a garden"
    assert prompt("personal library") == f"{TRIGGER} person personal library"


@pytest.mark.parametrize("nothing", ["", "   \n", TRIGGER, f" {TRIGGER.upper()} , ", "\x00\u200b"])
def test_nothing_said_is_an_empty_prompt_that_says_what_to_do(nothing: str) -> None:
    with pytest.raises(EmptyPrompt) as caught:
        prompt(nothing)
    assert caught.value.code == "prompt_empty"
    assert caught.value.next_step is not None and "garden" in caught.value.next_step


def test_two_thousand_characters_fit_and_one_more_does_not() -> None:
    assert prompt("x" * LONGEST_PROMPT).endswith("x" * LONGEST_PROMPT)
    with pytest.raises(PromptTooLong) as caught:
        prompt("x" * (LONGEST_PROMPT + 1))
    assert "2,001 characters; at most 2,000" in caught.value.message
    assert caught.value.code == "prompt_too_long"


@pytest.mark.parametrize("subject", ["", "  ", TRIGGER])
def test_a_subject_is_never_assumed(subject: str) -> None:
    with pytest.raises(EmptySubject):
        prompt("in a garden", subject)


PIECES = st.lists(
    st.sampled_from([TRIGGER, TRIGGER.upper(), "user", "ab12cd34ef56", " ", ",", "ſ", "\x00", "person"])
)
WORDS = st.text(max_size=300) | PIECES.map("".join)


@given(WORDS, st.sampled_from(["person", "woman", "Frau mit Hut"]))
@example(f"ab12{TRIGGER}cd34ef56 {TRIGGER}", "person")
@example("uſer" + TRIGGER[4:], "person")
def test_every_prompt_begins_with_the_trigger_word_and_has_it_once(words: str, subject: str) -> None:
    try:
        composed = prompt(words, subject)
    except EmptyPrompt:
        return
    assert composed.startswith(f"{TRIGGER} {subject}")
    assert len(re.findall(TRIGGER, composed, re.IGNORECASE)) == 1
    assert composed == " ".join(composed.split())
    composed.encode()
    assert "\x00" not in composed


@given(st.text(max_size=300))
def test_composing_a_composed_prompt_changes_nothing(words: str) -> None:
    try:
        composed = prompt(words)
    except EmptyPrompt:
        return
    assert prompt(composed) == composed


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), min_size=1, max_size=20))
def test_words_without_a_trigger_stay_in_their_order(words: list[str]) -> None:
    assert prompt(" ".join(words)).endswith(" ".join(words))
