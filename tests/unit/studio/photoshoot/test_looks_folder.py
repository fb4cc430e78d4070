"""An operator's folder as the studio runs: what is dropped there is offered at the next look, what is bad is told."""

from pathlib import Path

import pytest
from tests.unit.studio.photoshoot.test_operators_looks import GOOD

from portraitist.studio.photoshoot import reading
from portraitist.studio.photoshoot.folder import Looks
from portraitist.studio.photoshoot.reading import LooksInvalid

pytestmark = pytest.mark.anyio
BAD = GOOD.replace("[[look]]", "[look").replace("north-pier", "south-pier")


async def offered(looks: Looks) -> set[str]:
    """The names of what is there beside ours, and where another stands in the place of ours."""
    ours = {each.slug: each.title for each in reading.read().collections}
    return {each.slug for each in (await looks.now()).collections if ours.get(each.slug) != each.title}


async def test_a_file_that_is_dropped_changed_or_taken_away_counts_at_the_next_look(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    assert await offered(looks) == set()
    (tmp_path / "harbour-days.toml").write_text(GOOD)
    assert await offered(looks) == {"harbour-days"}
    (tmp_path / "harbour-days.toml").write_text(GOOD.replace("Harbour days", "Days at the harbour"))
    changed = (await looks.now()).collection("harbour-days")
    assert changed is not None and changed.title == "Days at the harbour"
    (tmp_path / "harbour-days.toml").rename(tmp_path / "travel.toml")
    assert await offered(looks) == {"travel"}
    (tmp_path / "travel.toml").unlink()
    assert await looks.now() == reading.read()


async def test_a_bad_file_is_told_once_and_the_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "harbour-days.toml").write_text(GOOD)
    looks = Looks(tmp_path)
    (tmp_path / "south.toml").write_text(BAD)
    assert await offered(looks) == {"harbour-days"}
    assert await offered(looks) == {"harbour-days"}
    [problem] = looks.problems
    assert str(problem).startswith("south.toml: it is no TOML file in UTF-8")
    assert capsys.readouterr().out.count("looks.left_out") == 1
    (tmp_path / "south.toml").write_text(GOOD.replace("north-pier", "south-pier"))
    assert await offered(looks) == {"harbour-days", "south"}
    assert looks.problems == ()


@pytest.mark.parametrize("name", ["harbour-days", "travel"], ids=["beside ours", "over ours"])
async def test_a_file_that_was_good_stays_on_offer_as_it_was_while_it_is_bad(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(GOOD)
    looks = Looks(tmp_path)
    file.write_text(GOOD.replace("Harbour days", "Other days").replace("navy", "ultraviolet"))
    kept = (await looks.now()).collection(name)
    assert kept is not None and kept.title == "Harbour days"
    assert [each.field for each in looks.problems] == ["colours"]
    file.unlink()
    assert await offered(looks) == set()


async def test_of_two_looks_of_one_name_the_later_files_are_left_out(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    (tmp_path / "a-harbour.toml").write_text(GOOD)
    (tmp_path / "b-harbour.toml").write_text(GOOD)
    (tmp_path / "c-pass.toml").write_text(GOOD.replace("north-pier", "alpine-pass"))
    assert await offered(looks) == {"a-harbour"}
    assert [(each.file, each.message.split()[0]) for each in looks.problems] == [
        ("b-harbour.toml", "a-harbour.toml"),
        ("c-pass.toml", "travel.toml"),
    ]


async def test_a_folder_that_goes_away_leaves_what_was_on_offer_and_counts_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "looks"
    folder.mkdir()
    (folder / "harbour-days.toml").write_text(GOOD)
    looks = Looks(folder)
    folder.rename(tmp_path / "away")
    assert await offered(looks) == {"harbour-days"}
    assert [each.message for each in looks.problems] == ["it can't be read: No such file or directory"]
    (tmp_path / "away").rename(folder)
    assert await offered(looks) == {"harbour-days"}
    assert looks.problems == ()


async def test_a_file_that_cannot_be_read_is_told_like_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(LooksInvalid, match=r"folder\.toml: it can't be read: Is a directory"):
        Looks(tmp_path)
