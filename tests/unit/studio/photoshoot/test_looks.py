"""Every look of ours keeps the rules, and says something to the small engine too."""

import pytest

from portraitist.engine.tiny.words import BACKDROPS, LIGHTS, PLACES, normalise
from portraitist.studio.photoshoot import looks, reading
from portraitist.studio.photoshoot.looks import Look
from portraitist.studio.prompting.compose import compose
from portraitist.studio.prompting.craft import SUBJECT, ShotType, count_words, lint_card

BOOK = reading.read()
TRIGGER = "userabc123def456"


@pytest.mark.parametrize("path", looks.own_files(), ids=lambda path: path.stem)
def test_every_prompt_of_ours_passes_every_rule(path) -> None:
    collection = reading.collection_of(path.name, path.read_bytes())
    assert len(collection.looks) >= 8


def test_there_are_at_least_eight_collections_and_no_look_has_the_name_of_another() -> None:
    assert len(BOOK.collections) >= 8
    assert len({look.slug for look in BOOK.looks}) == len(BOOK.looks)


@pytest.mark.parametrize("look", BOOK.looks, ids=lambda look: look.slug)
def test_the_small_engine_knows_place_and_light_of_every_look(look: Look) -> None:
    for shot in ShotType:
        caption = normalise(look.prompt(shot).replace(SUBJECT, "person"))[0].split(", ")
        assert set(caption) & {*PLACES, *BACKDROPS}, caption
        assert set(caption) & set(LIGHTS), caption
        assert ("black and white" in caption) == look.monochrome


def test_a_member_is_put_first_and_once_in_what_is_sent() -> None:
    look = BOOK.looks[0]
    prompt = look.prompt(ShotType.CLOSE_UP)
    sent = compose(prompt.replace(SUBJECT, "person"), trigger=TRIGGER, subject="person")
    assert sent.startswith(f"{TRIGGER} person wearing ")
    assert not lint_card(sent, trigger=TRIGGER, subject="person", shot=ShotType.CLOSE_UP)


def test_each_shot_has_its_own_lens_and_pose_and_the_same_clothes() -> None:
    look = BOOK.look("marble-lobby")
    assert look is not None
    prompts = [look.prompt(shot) for shot in ShotType]
    assert [f"{lens} mm" in prompt for lens, prompt in zip((85, 50, 35), prompts, strict=True)] == [True] * 3
    assert all("camel cashmere" in prompt and 40 <= count_words(prompt) <= 120 for prompt in prompts)


def test_colours_of_the_member_stand_in_for_the_looks_own() -> None:
    look = BOOK.look("marble-lobby")
    assert look is not None
    both = look.prompt(ShotType.FULL_SCENE, ("navy", "cream"))
    one = look.prompt(ShotType.FULL_SCENE, ("navy",))
    assert "navy cashmere" in both and "cream wool" in both and "camel" not in both
    assert "navy cashmere" in one and "chocolate wool" in one


def test_the_members_colours_take_turns_the_same_way_each_time() -> None:
    turns = [looks.own_colours(("navy", "cream", "rust"), position) for position in range(4)]
    assert turns == [("navy", "cream"), ("cream", "rust"), ("rust", "navy"), ("navy", "cream")]
    assert looks.own_colours(("navy",), 5) == ("navy",)


def test_black_and_white_takes_no_colours_and_the_others_do() -> None:
    assert [each.slug for each in BOOK.collections if not each.takes_colours] == ["black-and-white"]
    assert all(look.takes_colours != look.monochrome for look in BOOK.looks)


def test_no_two_looks_of_ours_share_a_title_or_an_outfit() -> None:
    assert len({look.title for look in BOOK.looks}) == len(BOOK.looks)
    assert len({look.outfit for look in BOOK.looks}) == len(BOOK.looks)
