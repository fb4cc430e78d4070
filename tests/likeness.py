"""How near a picture is to somebody's photos: the measure by which the acceptance tests tell two members apart.

It compares shapes (the middle of the picture, where the face is, at 48×64 with brightness and contrast taken out, over
small shifts) and colours (of the whole picture). It knows nothing of faces: it tells two given people apart, it does
not recognise anybody. Models of few steps draw a person's colours sooner than their shape: of 24 shoots of three
pictures after 48 steps, shapes alone called one a stranger's, and both together none, at four times the spread.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIZE = (48, 64)
FACE = (slice(8, 48), slice(8, 40))
SHIFTS = range(-4, 5, 2)
BINS, COLOURS = 6, 2.0
"""Shades of each of red, green and blue that are counted, and the weight of colours beside shapes."""

Field = NDArray[np.float32]


def nearest(picture: Path, photos: Sequence[Path]) -> float:
    """The smallest difference of the picture to any of the photos: 0 for itself, about 1.6 for strangers."""
    seen = _small(picture)
    return min(_shapes(seen, photo) + COLOURS * _colours(seen, photo) for photo in map(_small, photos))


def assert_nearer_to_own(pictures: Sequence[Path], own: Sequence[Path], others: Sequence[Path]) -> None:
    """Fails where the pictures, taken together, are not nearer to their member's photos than to another's."""
    distances = [(nearest(picture, own), nearest(picture, others)) for picture in pictures]
    to_own, to_others = (sum(column) / len(pictures) for column in zip(*distances, strict=True))
    assert to_own < to_others, f"nearer to the other member: {distances}"


def _small(file: Path) -> Field:
    pillow_heif.register_heif_opener()
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    small = ImageOps.fit(upright, (192, 256), Image.Resampling.LANCZOS).resize(SIZE, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def _shapes(picture: Field, photo: Field) -> float:
    """Mean difference of the face regions, in their own spreads, where they lie best upon each other."""
    face = _even(picture[FACE])
    return min(float(np.abs(face - moved).mean()) for moved in _moved(photo))


def _colours(picture: Field, photo: Field) -> float:
    """How little the two have their colours in common, 0 to 1 (Bhattacharyya coefficient of the histograms)."""
    return 1 - float((np.sqrt(_histogram(picture)) * np.sqrt(_histogram(photo))).sum())


def _histogram(field: Field) -> NDArray[np.float64]:
    counts, _ = np.histogramdd(field.reshape(-1, 3), bins=BINS, range=[(0, 1)] * 3)
    return counts / counts.sum()


def _moved(photo: Field) -> list[Field]:
    """The face region of the photo, at every small shift."""
    rows, columns = FACE
    return [
        _even(photo[rows.start + down : rows.stop + down, columns.start + across : columns.stop + across])
        for down in SHIFTS
        for across in SHIFTS
    ]


def _even(field: Field) -> Field:
    return (field - field.mean()) / (field.std() + 1e-4)
