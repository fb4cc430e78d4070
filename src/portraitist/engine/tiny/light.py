"""Light and tone as changes of a finished picture, one function for each word of `words.LIGHTS` and `words.TONES`.

Used alike on drawn portraits and on a member's photos, so that a word means the same on both. Draws nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.floating[Any]]
"""A picture, height × width × 3, 0 to 255."""
GREY = np.array([0.3, 0.59, 0.11], dtype=np.float32)


def relight(picture: Floats, words: list[str], rng: np.random.Generator) -> Floats:
    """The picture under every light and tone among `words`; other words change nothing."""
    for word in words:
        change = _CHANGES.get(word)
        if change is not None:
            picture = np.clip(change(picture, rng), 0, 255).astype(np.float32)
    return picture


def night(picture: Floats, rng: np.random.Generator) -> Floats:
    """A person lit as they would be before a place at night."""
    dim = np.array([0.72, 0.68, 0.8], np.float32) * rng.uniform(0.85, 1.1)
    return np.clip(picture * dim, 0, 255).astype(np.float32)


def _warm(picture: Floats, rng: np.random.Generator) -> Floats:
    return picture * np.array([rng.uniform(1.08, 1.18), 1.0, rng.uniform(0.64, 0.76)], np.float32)


def _cool(picture: Floats, rng: np.random.Generator) -> Floats:
    return picture * np.array([rng.uniform(0.72, 0.84), 0.97, rng.uniform(1.1, 1.2)], np.float32)


def _dark(picture: Floats, rng: np.random.Generator) -> Floats:
    return 255 * (picture / 255) ** np.float32(rng.uniform(1.15, 1.4)) * np.float32(rng.uniform(0.5, 0.65))


def _bright(picture: Floats, rng: np.random.Generator) -> Floats:
    return 255 * (picture / 255) ** np.float32(rng.uniform(0.6, 0.75)) * np.float32(1.06)


def _soft(picture: Floats, rng: np.random.Generator) -> Floats:
    """Low contrast, lifted shadows and a little bloom."""
    image = Image.fromarray(picture.astype(np.uint8))
    bloom = np.asarray(image.filter(ImageFilter.GaussianBlur(picture.shape[1] / 28)), np.float32)
    mixed = picture * np.float32(0.8) + bloom * np.float32(0.2)
    return 255 * (0.14 + 0.8 * mixed / 255) * np.float32(rng.uniform(0.98, 1.06))


def _dramatic(picture: Floats, rng: np.random.Generator) -> Floats:
    """Strong contrast, light from one side and dark corners."""
    height, width = picture.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    side = np.float32(rng.choice([-1.0, 1.0]) * rng.uniform(0.32, 0.5))
    fall = (1 + side * across) * (1 - 0.28 * (across**2 + down**2))
    curve = picture / 255
    curve = curve * curve * (3 - 2 * curve)
    return 255 * curve * fall[..., None] * np.float32(0.95)


def _grey(picture: Floats, rng: np.random.Generator) -> Floats:
    return np.repeat((picture @ GREY)[..., None], 3, -1)


def _sepia(picture: Floats, rng: np.random.Generator) -> Floats:
    return (picture @ GREY)[..., None] * np.array([1.1, 0.93, 0.7], np.float32)


_CHANGES = {
    "warm light": _warm,
    "cool light": _cool,
    "dark": _dark,
    "bright": _bright,
    "soft light": _soft,
    "dramatic light": _dramatic,
    "black and white": _grey,
    "sepia": _sepia,
}
