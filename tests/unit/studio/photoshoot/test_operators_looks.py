"""An operator's folder of collections: taken as ours are, or refused with file, look and field."""

from pathlib import Path

import pytest

from portraitist.studio.photoshoot import reading
from portraitist.studio.photoshoot.reading import LooksInvalid

GOOD = """
title = "Harbour days"
description = "Boats and wind."
category = "Outdoors"
palette = ["#112233", "#aabbcc", "#ffffff"]

[[look]]
slug = "north-pier"
title = "North pier"
description = "Wind, rope, wool."
keywords = ["sea", "wind", "coast"]
colours = ["navy", "cream"]
lead = "half_body"
outfit = "a straight coat in {main} wool over a relaxed jumper in {accent} cotton"
place = "on a stone pier beside the sea, with fishing boats"
light = "soft morning light from the left, clear"
mood = "a calm and confident mood"
texture = "natural texture of stone and rope"
[look.shots]
close_up = "looking over the water, one hand at the collar of the coat"
half_body = "one hand on a bollard, the other in the coat pocket"
full_scene = "walking along the pier, both hands in the coat pockets"
"""


def problems_of(tmp_path: Path, content: str, name: str = "harbour-days.toml") -> list[str]:
    (tmp_path / name).write_text(content)
    with pytest.raises(LooksInvalid) as caught:
        reading.read(tmp_path)
    return [str(problem) for problem in caught.value.problems]


def test_a_dropped_file_is_a_collection_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "harbour-days.toml").write_text(GOOD)
    (tmp_path / "README.md").write_text("not a collection")
    book = reading.read(tmp_path)
    added = book.collection("harbour-days")
    assert added is not None and added.looks[0].slug == "north-pier"
    assert book.collections[-1] is added  # without an order it stands last
    assert len(book.collections) == len(reading.read().collections) + 1


def test_a_file_of_the_same_name_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "travel.toml").write_text(GOOD)
    book = reading.read(tmp_path)
    travel = book.collection("travel")
    assert travel is not None and travel.title == "Harbour days"
    assert book.look("alpine-pass") is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('place = "on a stone pier beside the sea, with fishing boats"\n', "", "place: field required"),
        ("from the left, ", "", "light: The light lacks where it comes from"),
        ("wool over a relaxed jumper in {accent} cotton", "", "outfit: The outfit lacks a fabric"),
        ("a calm and confident mood", "a blue-grey tone", "mood: It has no mood"),
        ("one hand on a bollard", "arms crossed, one hand on", "shots.half_body: “arms crossed” tangles"),
        ('lead = "half_body"', 'lead = "portrait"', "lead: input should be"),
        ('["navy", "cream"]', '["navy", "ultraviolet"]', "colours: “ultraviolet” is not one of: black, "),
        ('["navy", "cream"]', '["navy"]', "colours: the outfit takes 2, and 1 are given"),
        ('slug = "north-pier"', 'slug = "North Pier"', "slug: string should match pattern"),
        ("Wind, rope, wool.", 'x"\nposes = "x', "poses: extra inputs are not permitted"),
        ("beside the sea", "beside the {sea}", "only {main} and {accent} may stand in braces"),
        ("a calm and confident mood", "a calm mood, naked", "a word of it is refused"),
        ("looking over the water", "a young woman looking over the water", "“young” describes the person"),
    ],
    ids=lambda value: value[:24],
)
def test_whatever_is_wrong_is_said_with_file_look_and_field(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    assert before in GOOD
    found = problems_of(tmp_path, GOOD.replace(before, after))
    assert all(each.startswith("harbour-days.toml, look ") for each in found)
    assert any(told in each for each in found), found


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('title = "Harbour days"\n', "", "harbour-days.toml, title: field required"),
        ("title =", "title :", "harbour-days.toml: it is no TOML file"),
        ('"#112233"', '"dark"', "harbour-days.toml, palette.0: string should match pattern"),
        (GOOD[GOOD.index("[[look]]") :], "", "harbour-days.toml, look: there is no look in it"),
        ("[[look]]", 'motif = "cats"\n[[look]]', "harbour-days.toml, motif: “cats” is none of columns"),
    ],
    ids=["title", "toml", "palette", "empty", "motif"],
)
def test_what_is_wrong_with_the_file_as_a_whole_names_no_look(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    assert any(each.startswith(told) for each in problems_of(tmp_path, GOOD.replace(before, after, 1)))


def test_a_look_of_a_name_that_is_taken_says_where_the_other_is(tmp_path: Path) -> None:
    told = problems_of(tmp_path, GOOD.replace("north-pier", "alpine-pass"))
    assert told == [
        "harbour-days.toml, look alpine-pass, slug: travel.toml has a look of this name; take another"
    ]


def test_a_file_name_that_is_no_name_of_a_collection_is_refused(tmp_path: Path) -> None:
    told = problems_of(tmp_path, GOOD, name="Harbour Days.toml")
    assert told[0].startswith("Harbour Days.toml: the file's name is the collection's")


def test_every_problem_of_every_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("title = 1")
    found = problems_of(tmp_path, GOOD.replace("calm and confident", "grey"))
    assert {each.split(",")[0] for each in found} == {"harbour-days.toml", "other.toml"}
