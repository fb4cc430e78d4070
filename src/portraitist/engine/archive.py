"""The zip of photos: taken apart with limits, before anything looks at a picture.

Knows zip files and names; whether a file is a picture that can be decoded is said by `check_pictures`.
Texts are the cloud trainer's where it has one for the case.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from portraitist.engine.errors import RunFailed

FOLDER = "input_images"
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_ENTRIES = 1_000
MAX_PICTURES = 200
MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 512 * 2**20
MAX_PIXELS = 64_000_000
MAX_CAPTION_BYTES = 16_384
_CHUNK = 1 << 20


@dataclass
class Unpacked:
    """What a zip gave: pictures in name order, captions by picture name, names that were skipped."""

    pictures: list[Path] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Extract pictures and captions into `folder`, flat. Raises `RunFailed`."""
    if not zipfile.is_zipfile(archive):
        raise RunFailed("input_images must be a zip file")
    folder.mkdir(parents=True)
    result = Unpacked()
    try:
        with zipfile.ZipFile(archive) as opened:
            texts = _extract(opened, folder, result)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise RunFailed(f"input_images must be a zip file: {error}") from error
    if not result.pictures:
        raise RunFailed(f"no images found in {FOLDER}")
    for picture in result.pictures:
        if caption := texts.get(picture.stem):
            result.captions[picture.name] = caption
    return result


def _extract(opened: zipfile.ZipFile, folder: Path, result: Unpacked) -> dict[str, str]:
    texts: dict[str, str] = {}
    left = MAX_TOTAL_BYTES
    for entry in _entries(opened):
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        suffix = path.suffix.lower()
        if suffix == ".txt":
            texts[_flat(path).stem] = _text(opened, entry)
        elif suffix not in PICTURES:
            result.skipped.append(path.name)
        else:
            if len(result.pictures) >= MAX_PICTURES:
                raise RunFailed(f"input_images holds more than {MAX_PICTURES} pictures")
            target = _free(folder, _flat(path))
            left -= _copy(opened, entry, target, min(left, MAX_FILE_BYTES))
            result.pictures.append(target)
    result.pictures.sort()
    return texts


def _entries(opened: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Files in name order, without folders, links and what macOS adds (`__MACOSX/`, `._name`)."""
    entries = opened.infolist()
    if len(entries) > MAX_ENTRIES:
        raise RunFailed(f"input_images holds more than {MAX_ENTRIES} files")
    for entry in sorted(entries, key=lambda e: e.filename):
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        noise = any(part == "__MACOSX" or part.startswith(".") for part in parts)
        link = (entry.external_attr >> 16) & 0o170000 == 0o120000
        if entry.is_dir() or noise or link or not parts:
            continue
        yield entry


def _flat(path: PurePosixPath) -> PurePosixPath:
    """A plain file name: folders are dropped, and so is what a shell or a log line could trip over."""
    stem = re.sub(r"[^\w .()-]+", "_", path.stem)[:100].strip(" .") or "photo"
    return PurePosixPath(stem + path.suffix.lower())


def _free(folder: Path, name: PurePosixPath) -> Path:
    target, n = folder / name, 1
    while target.exists():
        n += 1
        target = folder / f"{name.stem}-{n}{name.suffix}"
    return target


def _copy(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limit: int) -> int:
    """Write one file; the size that the zip claims is not believed."""
    written = 0
    with opened.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise RunFailed(f"{target.name} in input_images is too large when unpacked")
            sink.write(chunk)
    return written


def _text(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with opened.open(entry) as source:
        return source.read(MAX_CAPTION_BYTES).decode("utf-8", "replace").strip()


def check_pictures(pictures: list[Path]) -> None:
    """Decode every picture once; raises `RunFailed` with the cloud's words for the first that is none."""
    for path in pictures:
        where = f"'{FOLDER}/{path.name}'"
        try:
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise RunFailed(f"image file {where} has more than {MAX_PIXELS} pixels")
                picture.load()
        except UnidentifiedImageError as error:
            raise RunFailed(f"cannot identify image file {where}") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise RunFailed(f"cannot read image file {where}: {error}") from error
