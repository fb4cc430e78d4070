"""The zip of photos: what is taken, what is passed over, what ends a training, and in which words."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from portraitist.engine import archive
from portraitist.engine.errors import RunFailed


def jpeg() -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(body, "JPEG")
    return body.getvalue()


def zipped(tmp_path: Path, **files: bytes) -> Path:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def names(result: archive.Unpacked) -> list[str]:
    return [path.name for path in result.pictures]


def test_pictures_and_the_captions_beside_them_are_taken(tmp_path: Path) -> None:
    path = zipped(
        tmp_path, **{"b.png": jpeg(), "a.jpg": jpeg(), "a.txt": b" in a garden \n", "c.txt": b"alone"}
    )
    result = archive.unpack(path, tmp_path / "out")
    assert names(result) == ["a.jpg", "b.png"]
    assert result.captions == {"a.jpg": "in a garden"}


def test_folders_are_flattened_and_nothing_leaves_the_folder(tmp_path: Path) -> None:
    path = zipped(
        tmp_path,
        **{
            "x/a.jpg": jpeg(),
            "y/a.jpg": jpeg(),
            "../../escape.jpg": jpeg(),
            "/abs.jpg": jpeg(),
            "c:\\w\\d.jpg": jpeg(),
        },
    )
    result = archive.unpack(path, tmp_path / "out")
    assert sorted(names(result)) == ["a-2.jpg", "a.jpg", "abs.jpg", "d.jpg"]
    assert {p.name for p in tmp_path.rglob("*.jpg")} == set(names(result))


def test_what_macos_adds_and_what_is_no_picture_is_passed_over(tmp_path: Path) -> None:
    path = zipped(
        tmp_path,
        **{
            "a.jpg": jpeg(),
            "__MACOSX/._a.jpg": b"x",
            "d/._a.jpg": b"x",
            ".DS_Store": b"x",
            "notes.pdf": b"x",
        },
    )
    result = archive.unpack(path, tmp_path / "out")
    assert names(result) == ["a.jpg"]
    assert result.skipped == ["notes.pdf"]


def test_what_is_no_zip_is_refused_in_the_clouds_words(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"hello")
    with pytest.raises(RunFailed, match=r"^input_images must be a zip file$"):
        archive.unpack(path, tmp_path / "out")


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, **{"a.jpg": jpeg() * 50})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(RunFailed, match=r"^input_images must be a zip file: "):
        archive.unpack(path, tmp_path / "out")


def test_a_zip_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"^no images found in input_images$"):
        archive.unpack(zipped(tmp_path, **{"a.txt": b"x"}), tmp_path / "out")


def test_a_bomb_is_stopped_by_what_it_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 2**20)
    path = zipped(tmp_path, **{"a.jpg": bytes(5 * 2**20)})
    assert path.stat().st_size < 20_000
    with pytest.raises(RunFailed, match="too large when unpacked"):
        archive.unpack(path, tmp_path / "out")
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 2**20


def test_the_whole_zip_has_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(RunFailed, match="too large when unpacked"):
        archive.unpack(zipped(tmp_path, **{f"{n}.jpg": jpeg() for n in range(9)}), tmp_path / "out")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_PICTURES", 2)
    with pytest.raises(RunFailed, match="more than 2 pictures"):
        archive.unpack(zipped(tmp_path, **{f"{n}.jpg": jpeg() for n in range(3)}), tmp_path / "out")


def test_a_link_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    path = zipped(tmp_path, **{"a.jpg": jpeg()})
    with zipfile.ZipFile(path, "a") as opened:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    assert names(archive.unpack(path, tmp_path / "out")) == ["a.jpg"]


def test_a_text_named_jpg_ends_the_training_in_the_clouds_words(tmp_path: Path) -> None:
    result = archive.unpack(zipped(tmp_path, **{"a.jpg": b"hello"}), tmp_path / "out")
    with pytest.raises(RunFailed, match=r"^cannot identify image file 'input_images/a.jpg'$"):
        archive.check_pictures(result.pictures)


def test_half_a_picture_and_a_pixel_bomb_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "half.jpg"
    half.write_bytes(jpeg()[:-200])
    with pytest.raises(RunFailed, match=r"cannot (read|identify) image file 'input_images/half.jpg'"):
        archive.check_pictures([half])
    monkeypatch.setattr(archive, "MAX_PIXELS", 63)
    whole = tmp_path / "whole.jpg"
    whole.write_bytes(jpeg())
    with pytest.raises(RunFailed, match="more than 63 pixels"):
        archive.check_pictures([whole])
