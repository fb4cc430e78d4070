"""How near a picture is to somebody's photos: the measure by which the acceptance tests tell two members apart.

It compares the middle of the picture, where the face is, at 48×64 with brightness and contrast taken out, over small
shifts. It knows nothing of faces: it tells two given people apart, it does not recognise anybody.
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

Field = NDArray[np.float32]


def nearest(picture: Path, photos: Sequence[Path]) -> float:
    """The smallest mean difference of the picture to any of the photos; about 1 for strangers, less for likeness."""
    face = _even(_small(picture)[FACE])
    return min(float(np.abs(face - moved).mean()) for photo in photos for moved in _moved(_small(photo)))


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
