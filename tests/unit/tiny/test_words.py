"""Free text becomes a caption of the vocabulary, and what it lacks is named."""

import pytest

from portraitist.engine.tiny.words import CONCEPTS, MEMBER_GROUPS, ONE_OF, caption, normalise


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("person in a garden, soft morning light", "person, in a garden, warm light"),
        ("woman at the beach", "person, on a beach"),
        ("a b&w headshot", "person, close-up, black and white"),
        ("black and white portrait", "person, black and white"),
        ("Studio headshot", "person, grey background, close-up"),
        ("close-up of a man in the snow at night", "person, in the snow, close-up"),
        ("", "person"),
    ],
)
def test_free_text_becomes_a_caption_in_the_vocabularys_order(prompt: str, expected: str) -> None:
    assert normalise(prompt)[0] == expected


def test_words_without_a_picture_of_their_own_are_not_complained_about() -> None:
    assert normalise("a photo of a person in a garden")[1] == []


def test_unknown_words_are_named_once_and_in_order() -> None:
    assert normalise("spaceship, zebra and spaceship in a garden")[1] == ["spaceship", "zebra"]


def test_a_second_place_is_named_as_left_out() -> None:
    text, unknown = normalise("in a library on a beach")
    assert text == "person, in a library"
    assert unknown == ["on a beach"]


def test_clothes_and_hair_are_not_promised_for_a_member() -> None:
    assert normalise("red shirt")[1] == ["red", "shirt"]


def test_a_prompt_of_two_thousand_characters_keeps_what_it_can_draw() -> None:
    text, unknown = normalise("wondrous " * 220 + "at night")
    assert text == "person, at night"
    assert unknown == ["wondrous"]


def test_every_concept_belongs_to_one_group_only() -> None:
    assert len(set(CONCEPTS)) == len(CONCEPTS) == sum(len(group) for group in ONE_OF)


def test_a_caption_is_its_own_normal_form() -> None:
    text = caption([group[-1] for group in MEMBER_GROUPS])
    assert normalise(text) == (text, [])
