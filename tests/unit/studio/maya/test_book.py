"""The look book: cards that fit the words, keep the rules and the member's wishes, in a warm voice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portraitist.studio.maya import weaving
from portraitist.studio.maya.book import Book
from portraitist.studio.maya.domain import MOST_SUGGESTIONS, REFINEMENTS, Role, Style
from portraitist.studio.maya.matching import Shelf, table, topics
from portraitist.studio.maya.mind import Answer, Asked, Line
from portraitist.studio.photoshoot.reading import read
from portraitist.studio.prompting.craft import ShotType, lint_card

pytestmark = pytest.mark.anyio
BOOK = Book(read())


async def answered(words: str, **known: object) -> Answer:
    pieces = [piece async for piece in BOOK.answer(Asked(words, **known))]  # type: ignore[arg-type]
    *said, last = pieces
    assert isinstance(last, Answer)
    assert "".join(str(piece) for piece in said) == last.reply
    return last


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("something by the ocean", "On the harbour wall"),
        ("a headshot for LinkedIn, I'm a lawyer", "Clean and grey"),
        ("hiking in the alps", "Over the pass"),
        ("I write novels", "The author"),
        ("snow", "North of the trees"),
        ("black and white, like an old movie", "Film noir"),
        ("yoga", "Sunrise on the mat"),
    ],
)
async def test_words_find_looks_that_mean_the_same(words: str, title: str) -> None:
    assert title in [concept.title for concept in (await answered(words)).concepts]


async def test_a_place_and_clothes_that_are_named_are_in_the_first_card_as_they_were_said() -> None:
    first, *_ = (await answered("me on a sailing boat in a yellow raincoat, at sunset")).concepts
    assert "a yellow raincoat" in first.prompt
    assert "on a sailing boat" in first.prompt
    assert "sunset" in first.prompt


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *table("synonyms"),
                *table("garments"),
                *table("lights")["times"],
                "in a",
                "on the",
                "navy",
                "old",
            ]
        ),
        min_size=1,
        max_size=7,
    )
)
async def test_every_card_keeps_every_rule_whatever_is_said(words: list[str]) -> None:
    text = " ".join(words)
    answer = await answered(text)
    assert len(answer.concepts) in (0, 3, 4)
    assert 2 <= len(answer.suggestions) <= MOST_SUGGESTIONS
    for concept in answer.concepts:
        mono = "in black and white" in concept.prompt
        assert (
            lint_card(
                concept.prompt, trigger=None, subject=None, shot=concept.shot, said=text, monochrome=mono
            )
            == ()
        )


@pytest.mark.parametrize(
    "wish", [*REFINEMENTS, "cooler", "softer", "bolder", "closer", "another outfit", "in black and white"]
)
async def test_a_card_is_changed_as_asked_and_stays_recognisable(wish: str) -> None:
    card = (await answered("a quiet morning at the harbour")).concepts[1]
    assert card.parts is not None
    changed = (await answered(wish, refining=card)).concepts
    assert len(changed) >= 3
    assert card.prompt not in [each.prompt for each in changed]
    first = changed[0]
    assert first.parts is not None
    kept = weaving.wish(wish)
    if kept in ("warmer", "cooler", "softer", "bolder", "evening", "same_evening"):
        assert (first.parts.outfit, first.parts.place) == (card.parts.outfit, card.parts.place)
        assert first.parts.light in weaving.lights("evening" if kept == "same_evening" else kept)
    if kept == "place":
        assert first.parts.outfit == card.parts.outfit
        assert first.parts.place != card.parts.place
    if kept == "outfit":
        assert first.parts.place == card.parts.place
        assert first.parts.outfit != card.parts.outfit
    if kept == "closer":
        assert first.shot is ShotType.CLOSE_UP


async def test_no_go_items_and_remembered_dislikes_are_in_no_card() -> None:
    style = Style(no_go=("sofa", "linen"))
    answer = await answered("cosy at home", style=style, notes=("I never wear wool",))
    for concept in answer.concepts:
        assert not {"sofa", "linen", "wool"} & set(concept.prompt.replace(",", " ").split())
    assert "sofa" in answer.reply


async def test_own_colours_are_worn_where_none_is_named() -> None:
    answer = await answered("at work", style=Style(colours=("emerald", "cream")))
    assert "emerald" in answer.concepts[0].prompt
    named = await answered("at work in navy", style=Style(colours=("emerald",)))
    assert all("emerald" not in concept.prompt for concept in named.concepts)


async def test_black_and_white_comes_on_request_only() -> None:
    assert all(
        "in black and white" in each.prompt
        for each in (await answered("portrait in black and white")).concepts
    )
    assert not any("black and white" in each.prompt for each in (await answered("portrait")).concepts)


async def test_what_was_said_before_counts_where_the_words_only_change_it() -> None:
    before = (Line(Role.MEMBER, "on a beach by the sea"), Line(Role.MAYA, "Good."))
    answer = await answered("the same in winter", said=before)
    assert topics("sea")[0] in topics(" ".join(each.prompt for each in answer.concepts))


async def test_without_a_model_she_ends_with_the_step_and_offers_no_shoot() -> None:
    answer = await answered("by the sea", step="Train your model first.")
    assert answer.reply.endswith("Train your model first.")
    assert "preview" not in answer.reply


async def test_she_greets_thanks_and_remembers_in_the_members_words() -> None:
    assert (await answered("hello")).concepts
    assert (await answered("thanks!")).concepts == ()
    assert (await answered("I love linen. A garden.")).remember == ("I love linen",)


async def test_her_voice_says_nothing_of_keys_prompts_or_models() -> None:
    for words in ("hello", "by the sea", "thanks", "a suit at work", "asdf"):
        reply = (await answered(words)).reply.lower()
        for word in ("prompt", "api", "key", "rule", "language model", "lens", "look book"):
            assert word not in reply


def test_rare_words_weigh_more_and_equals_take_turns() -> None:
    shelf = Shelf.of(read().looks)
    assert shelf.ranked("lavender")[0].title == "Lavender road"
    assert shelf.ranked("qwertz", turned=0)[0] != shelf.ranked("qwertz", turned=1)[0]
