"""Where a face may be in a photo, by scikit-image's cascade of local binary patterns (OpenCV's, in its wheel).

It finds most frontal faces of photos in some hundredths of a second, and some that are none: what of it holds is said
by the cut-out (`matte`). Drawn people have too little of a face for it. Who somebody is, is asked nowhere.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.feature import Cascade

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH

SMALLEST = 36
"""Pixels of 192: a smaller face has nothing to learn from."""
NEIGHBOURS = 6
"""Places beside each other that look like a face, from which on one is believed: in 28 photos cut from one picture each
true face had 8 and more, what was none (a wall, a collar) 3 at most."""


@dataclass(frozen=True)
class Face:
    """A square from the brows to the chin: its middle, width and height as shares of the photo's."""

    x: float
    y: float
    width: float
    height: float


def find(photo: NDArray[np.uint8]) -> list[Face]:
    """Every place of a 192 × 256 photo that looks like a face, true or not."""
    found: list[dict[str, Any]] = _cascade().detect_multi_scale(
        img=photo,
        scale_factor=1.15,
        step_ratio=1,
        min_size=(SMALLEST, SMALLEST),
        max_size=(WIDTH, WIDTH),
        min_neighbor_number=NEIGHBOURS,
    )
    return [
        Face(
            (each["c"] + each["width"] / 2) / WIDTH,
            (each["r"] + each["height"] / 2) / HEIGHT,
            each["width"] / WIDTH,
            each["height"] / HEIGHT,
        )
        for each in found
    ]


@cache
def _cascade() -> Any:
    return Cascade(data.lbp_frontal_face_cascade_filename())
