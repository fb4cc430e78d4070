"""What the command line remembers between two runs."""

import stat
from pathlib import Path

import pytest

from portraitist.cli.errors import BadUsage
from portraitist.cli.memory import MemberMemory, chosen_handle, handle_of
from portraitist.cli.wire import Member

MEMBER = Member("abcdefghijkl", "name:ada", "woman", "secret-token")


def test_a_folder_and_a_link_to_it_are_the_same_member(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert handle_of(tmp_path / "link", None) == handle_of(tmp_path / "photos", None)
    assert handle_of(tmp_path / "photos", "ada") == "name:ada"


def test_a_command_about_nobody_asks_whose() -> None:
    with pytest.raises(BadUsage, match="Whose"):
        chosen_handle(None, None)


def test_the_token_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    memory = MemberMemory(tmp_path, "name:ada")
    memory.keep_member(MEMBER)
    assert memory.member() == MEMBER
    (file,) = tmp_path.rglob("member.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_keys_outlive_the_run_until_the_pictures_are_saved(tmp_path: Path) -> None:
    first = MemberMemory(tmp_path, "name:ada").shot("in a garden", "/out")
    assert not first.resumed()
    keys = first.pending()
    first.generation_is("g1")
    again = MemberMemory(tmp_path, "name:ada").shot("in a garden", "/out")
    assert again.resumed()
    assert again.pending().generation_key == keys.generation_key
    assert again.pending().generation_id == "g1"
    again.done()
    assert first.pending().generation_key != keys.generation_key


def test_another_prompt_or_place_has_keys_of_its_own(tmp_path: Path) -> None:
    memory = MemberMemory(tmp_path, "name:ada")
    shots = [memory.shot("a", "/x"), memory.shot("b", "/x"), memory.shot("a", "/y")]
    assert len({shot.pending().generation_key for shot in shots}) == 3


def test_after_a_failed_training_the_next_run_trains_anew(tmp_path: Path) -> None:
    shot = MemberMemory(tmp_path, "name:ada").shot("a", "")
    before = shot.pending()
    shot.training_failed()
    assert shot.pending().training_key != before.training_key
    assert shot.pending().generation_key == before.generation_key


def test_a_file_that_a_full_disk_cut_short_counts_as_absent(tmp_path: Path) -> None:
    memory = MemberMemory(tmp_path, "name:ada")
    memory.keep_member(MEMBER)
    (file,) = tmp_path.rglob("member.json")
    file.write_text(file.read_text()[:10])
    assert memory.member() is None
