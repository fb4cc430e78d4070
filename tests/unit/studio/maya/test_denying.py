"""What is denied is heard as denied, and what only sounds so is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.studio.maya.test_book import answered

from portraitist.studio.maya.denying import apart

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("words", "wanted", "denied"),
    [
        ("not by the sea", "", ("the sea",)),
        ("something outdoors, not by the sea", "something outdoors,", ("the sea",)),
        ("a portrait without a hat in the garden", "a portrait in the garden", ("a hat",)),
        ("in a café instead of the office", "in a café", ("the office",)),
        ("I don't want to be at the office", "I", ("the office",)),
        ("at the sea but no hat and no sunglasses", "at the sea", ("hat", "sunglasses")),
        ("not at home but at the sea", "but at the sea", ("home",)),
        ("anything but the mountains", "", ("the mountains",)),
    ],
)
def test_what_is_denied_is_taken_out(words: str, wanted: str, denied: tuple[str, ...]) -> None:
    assert apart(words) == (wanted, denied)


@pytest.mark.parametrize(
    "words",
    [
        "why not the beach?",
        "not sure what to wear at the beach",
        "I have no idea, maybe a forest",
        "not too dark",
        "a knot in my tie",
        "I would like to be on a boat",
    ],
)
def test_what_only_sounds_like_a_denial_stays(words: str) -> None:
    assert apart(words) == (words, ())


@given(st.lists(st.sampled_from(["not", "by", "the", "sea", "and", "no", "without", ",", "a", "hat", "but"])))
def test_no_word_is_added_and_none_is_denied_and_wanted(parts: list[str]) -> None:
    words = " ".join(parts)
    wanted, denied = apart(words)
    rest = words.split()
    for word in [*wanted.split(), *" ".join(denied).split()]:
        rest.remove(word)


async def test_a_place_that_is_denied_is_in_no_card_and_it_is_said() -> None:
    answer = await answered("outdoors in the morning, not by the sea")
    assert len(answer.concepts) >= 3
    for card in answer.concepts:
        assert not {"sea", "harbour", "beach", "coast"} & set(f"{card.title} {card.prompt}".lower().split())
    assert "the sea" in answer.reply
    there = await answered("outdoors in the morning, by the sea")
    assert any("sea" in card.prompt for card in there.concepts)
