"""What counts as a photo in the user's folder, and the sentences for folders that can't be used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from portraitist.cli.errors import BadUsage, ExitCode
from portraitist.cli.folder import read_folder


def test_photos_are_known_by_their_bytes_and_other_files_are_left_alone(
    photo_folder: Callable[..., Path],
) -> None:
    folder = photo_folder(3)
    (folder / "notes.txt").write_text("not a photo")
    (folder / ".hidden.jpg").write_text("nor this")
    (folder / "twin.jpg").write_bytes((folder / "00.jpg").read_bytes())
    found = read_folder(str(folder))
    assert [photo.path.name for photo in found.photos] == ["00.jpg", "01.jpg", "02.jpg"]
    assert [(item.name, item.reason) for item in found.unusable] == [
        ("twin.jpg", "It is the same file as 00.jpg.")
    ]


def test_a_text_file_named_jpg_is_left_to_the_judge(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(1)
    (folder / "text.jpg").write_text("hello")
    assert len(read_folder(str(folder)).photos) == 2


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("x"), "is not a folder"),
        (lambda path: path.mkdir(), "There are no photos in"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence_with_a_next_step(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    make(tmp_path / "photos")
    with pytest.raises(BadUsage, match=sentence) as caught:
        read_folder(str(tmp_path / "photos"))
    assert caught.value.next_step
    assert caught.value.exit_code is ExitCode.USAGE


def test_no_folder_at_all_is_asked_for() -> None:
    with pytest.raises(BadUsage, match="No folder"):
        read_folder("")


def test_more_than_fifty_photos_are_refused(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(1)
    for number in range(50):
        (folder / f"more{number}.jpg").write_text(str(number))
    with pytest.raises(BadUsage, match="51 photos"):
        read_folder(str(folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_one_rejected_photo(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(2)
    (folder / "00.jpg").chmod(0)
    assert [item.name for item in read_folder(str(folder)).unusable] == ["00.jpg"]


def test_a_dead_link_and_an_enormous_file_are_rejected_photos(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder(1)
    (folder / "link.jpg").symlink_to(folder / "nowhere.jpg")
    with (folder / "huge.jpg").open("wb") as stream:
        stream.truncate(31 * 2**20)
    assert {item.name for item in read_folder(str(folder)).unusable} == {"link.jpg", "huge.jpg"}
