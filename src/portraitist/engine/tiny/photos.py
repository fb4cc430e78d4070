"""A member's photos as the tiny model sees them: cut to 192 × 256, described in its words, the head found.

Judging photos (blur, size, duplicates) is the studio's; turning them into training data is `variants`.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from portraitist.engine.tiny import faces
from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.compute import MOST_THREADS
from portraitist.engine.tiny.matte import matte_about, matte_guessed
from portraitist.engine.tiny.words import COLOURS, PERSON, normalise

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]


EVEN = 0.1
"""A head no more one-sided than this (see `lean`) counts as well cut out."""
FOUND = 0.5
"""The share of photos with a face found in them from which on the others are not cut out."""


@dataclass(frozen=True)
class Head:
    """Where the head is in a cut photo, in pixels: centre across, crown, width and height with hair."""

    x: float
    top: float
    width: float
    height: float

    @property
    def framing(self) -> str:
        """The word of `words.FRAMINGS` for a head of this height, "" for head and shoulders."""
        return (
            "close-up" if self.height > 0.6 * HEIGHT else "half body" if self.height < 0.36 * HEIGHT else ""
        )


@dataclass(frozen=True)
class Photo:
    """One photo: pixels, how much each is the person (None: unsure), the head, and its words without framing."""

    name: str
    pixels: Pixels
    alpha: Floats | None
    head: Head | None
    words: tuple[str, ...]

    @property
    def framing(self) -> str:
        return self.head.framing if self.head else ""

    @property
    def caption(self) -> str:
        """Its words as text, for people to read."""
        return ", ".join([PERSON, *self.words, *([self.framing] if self.framing else [])])


def load(path: Path, captions: Mapping[str, str]) -> Photo:
    """The photo at `path`, not cut out, with the words of its caption, or of its pixels where it has none."""
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
        pixels = np.asarray(
            ImageOps.fit(upright, (WIDTH, HEIGHT), Image.Resampling.LANCZOS, centering=(0.5, 0.4))
        )
    given = normalise(captions.get(path.name, ""))[0].split(", ")[1:]
    return Photo(path.name, pixels, None, None, tuple(given) or tuple(words_of(pixels)))


def load_all(paths: Sequence[Path], captions: Mapping[str, str]) -> list[Photo]:
    """All photos in the order of their names, cut out where that is sure.

    A wrong cut-out comes back in the pictures (half the hair missing, a piece of wall on a shoulder, no face at all),
    while the photos without one still teach the face. So where faces are found in this person's photos, only those
    are cut out; of a person in whose photos hardly any is, all are, and what is less even than the others is dropped.
    """
    with ThreadPoolExecutor(MOST_THREADS) as pool:  # cutting out is numpy's and scipy's work, outside the GIL
        photos = list(pool.map(lambda path: load(path, captions), sorted(paths)))
        about = list(pool.map(lambda photo: _cut_out(photo, _about_a_face), photos))
        if sum(photo.alpha is not None for photo in about) >= FOUND * len(photos):
            return about
        return _even_ones(list(pool.map(lambda photo: _cut_out(photo, matte_guessed), photos)))


def _about_a_face(pixels: Pixels) -> Floats | None:
    return matte_about(pixels, faces.find(pixels))


def _cut_out(photo: Photo, matte: Callable[[Pixels], Floats | None]) -> Photo:
    alpha = matte(photo.pixels)
    return replace(photo, alpha=alpha, head=find_head(alpha) if alpha is not None else None)


def _even_ones(photos: list[Photo]) -> list[Photo]:
    leans = [lean(photo.alpha, photo.head) for photo in photos if photo.alpha is not None and photo.head]
    most = max(EVEN, float(np.median(leans))) if leans else EVEN
    return [photo if _even(photo, most) else replace(photo, alpha=None, head=None) for photo in photos]


def _even(photo: Photo, most: float) -> bool:
    return photo.alpha is not None and photo.head is not None and lean(photo.alpha, photo.head) <= most


def lean(alpha: Floats, head: Head) -> float:
    """How unequal the head's two sides are, as a share of its width: about 0.05 for a good cut-out.

    The axis is where the lower half of the head has its middle: jaw and cheeks are cut out more surely than hair.
    """
    rows = range(int(head.top), min(HEIGHT, int(head.top + 0.62 * head.height)))
    spans = [np.flatnonzero(alpha[y] > 0.5) for y in rows]
    left = np.array([span[0] for span in spans if len(span)], float)
    right = np.array([span[-1] for span in spans if len(span)], float)
    axis = np.median((left + right)[len(left) // 2 :]) / 2
    return float((np.abs((axis - left) - (right - axis)) / (right - left + 2)).mean())


def find_head(alpha: Floats) -> Head | None:
    """The head at the top of a cut-out: from the crown down to where the shoulders widen."""
    person = alpha > 0.5
    widths = person.sum(1)
    rows = np.where(widths > 0.06 * WIDTH)[0]
    if not len(rows):
        return None
    top, widest = int(rows[0]), 0
    for y in range(top, HEIGHT):
        widest = max(widest, int(widths[y]))
        if y - top > 0.75 * widest:
            break
    within = [y for y in range(top, min(HEIGHT, top + int(0.75 * widest) + 1)) if widths[y]]
    centre = float(np.mean([np.where(person[y])[0].mean() for y in within]))
    return Head(centre, float(top), float(widest), min(1.3 * widest, float(HEIGHT)))


def words_of(photo: Pixels) -> list[str]:
    """Words from pixels alone: the border's colour as a backdrop, and the light and tone that show in the whole."""
    field = photo.astype(np.float32)
    border = np.concatenate(
        [field[:90, :12].reshape(-1, 3), field[:90, -12:].reshape(-1, 3), field[:8].reshape(-1, 3)]
    )
    back = np.median(border, 0)
    colourless = float((field.max(-1) - field.min(-1)).mean()) < 6
    words = []
    if not colourless:
        words.append(
            f"{min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - back).sum())} background"
        )
    if field.mean() < 60:
        words.append("dark")
    elif field.mean() > 175:
        words.append("bright")
    elif not colourless and field[..., 0].mean() > 1.45 * field[..., 2].mean() and back[0] > 1.3 * back[2]:
        words.append("warm light")
    if colourless:
        words.append("black and white")
    return words
