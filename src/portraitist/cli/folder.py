"""The folder of photos as the user has it: which files count as photos, their digests, what can't even be read.

Whether a photo is good enough is the studio's judgement, never this module's.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from portraitist.cli.errors import BadUsage
from portraitist.cli.plan import MAXIMUM_PHOTOS

# What a picture file is called. The studio takes JPEG, PNG, WebP and HEIC and says so about the rest; files of other
# kinds in the folder (notes, videos) are left alone.
TAKEN = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif"})
OTHER_PICTURES = frozenset({".avif", ".gif", ".tif", ".tiff", ".bmp", ".svg", ".raw", ".dng"})
MAXIMUM_BYTES = 30 * 2**20


@dataclass(frozen=True)
class FolderPhoto:
    """A file that may be a photo, and the SHA-256 of its bytes."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Unusable:
    """A file that can't be handed over at all, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PhotoFolder:
    """The photos by name, one for each digest, and the files that fell out."""

    path: Path
    photos: tuple[FolderPhoto, ...]
    unusable: tuple[Unusable, ...]

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all readable photos."""
        return frozenset(photo.digest for photo in self.photos)


def read_folder(text: str) -> PhotoFolder:
    """Look into the folder; raises BadUsage where there is nothing to work with."""
    if not text:
        raise BadUsage("No folder of photos was named.", next_step="Name one: PHOTOS=path/to/folder.")
    folder = Path(text).expanduser()
    files = _picture_files(folder)
    photos: dict[str, FolderPhoto] = {}
    unusable = []
    for file in files:
        outcome = _read(file, photos)
        if isinstance(outcome, Unusable):
            unusable.append(outcome)
        else:
            photos[outcome.digest] = outcome
    return PhotoFolder(folder.resolve(), tuple(photos.values()), tuple(unusable))


def _picture_files(folder: Path) -> list[Path]:
    if not folder.exists():
        raise BadUsage(f"The folder {folder} does not exist.", next_step="Check the path.", code="no_folder")
    if not folder.is_dir():
        raise BadUsage(
            f"{folder} is not a folder.", next_step="Name the folder that holds the photos.", code="no_folder"
        )
    try:
        names = sorted(folder.iterdir(), key=lambda path: path.name)
    except PermissionError as error:
        raise BadUsage(f"The folder {folder} can't be read: no permission.", code="no_permission") from error
    files = [
        p
        for p in names
        if p.suffix.lower() in TAKEN | OTHER_PICTURES and not p.name.startswith(".") and not p.is_dir()
    ]
    if not files:
        raise BadUsage(
            f"There are no photos in {folder}.",
            next_step="Put 10 to 50 photos of one person there (JPEG, PNG, WebP or HEIC; 15 to 20 work best).",
            code="no_photos",
        )
    if len(files) > MAXIMUM_PHOTOS:
        raise BadUsage(
            f"There are {len(files)} photos in {folder}; a model takes at most {MAXIMUM_PHOTOS}.",
            next_step="Keep the best 15 to 20 there and move the others away.",
            code="too_many_photos",
        )
    return files


def _read(file: Path, seen: dict[str, FolderPhoto]) -> FolderPhoto | Unusable:
    """The photo's digest, read in pieces; or why it falls out."""
    try:
        if not file.is_file():
            return Unusable(file.name, "It is not a regular file.")
        if file.stat().st_size > MAXIMUM_BYTES:
            return Unusable(file.name, "It is larger than 30 MB. Save it smaller, then try again.")
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return Unusable(file.name, f"It can't be read: {error.strerror}.")
    if digest in seen:
        return Unusable(file.name, f"It is the same file as {seen[digest].path.name}.")
    return FolderPhoto(file, digest)
