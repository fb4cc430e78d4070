"""Dead leaves: random overlapping shapes with grain, statistics like a photo's without being one.

A part of the autoencoder's training data, so that real photos pass through it. Nothing here has a caption.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH, noise


def leaves(seed: int) -> NDArray[np.uint8]:
    """The seed's picture of overlapping leaves, 192 × 256."""
    rng = np.random.default_rng([seed, 1])
    palette = rng.integers(0, 256, (6, 3))
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(value) for value in rng.integers(0, 255, 3)))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(30, 260))):
        _leaf(rng, pen, palette)
    if rng.random() < 0.7:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 3)))
    field = np.asarray(image, np.float32)
    for grain, most in ((1, 10), (4, 12), (24, 20)):
        field = field + noise(rng, (grain, grain), 1)[..., None] * rng.uniform(0, most)
    return np.clip(field, 0, 255).astype(np.uint8)


def _leaf(rng: np.random.Generator, pen: ImageDraw.ImageDraw, palette: NDArray[np.int64]) -> None:
    """One shape; sizes follow a power law, which is what makes the statistics photographic."""
    radius = min(90.0, 3 * (1 - rng.random()) ** -0.6) * rng.uniform(0.6, 1.6)
    x, y = rng.uniform(-20, WIDTH + 20), rng.uniform(-20, HEIGHT + 20)
    shade = np.clip(palette[rng.integers(6)] + rng.normal(0, 25, 3), 0, 255).astype(int)
    fill = (int(shade[0]), int(shade[1]), int(shade[2]))
    if rng.random() < 0.6:
        flat = radius * rng.uniform(0.4, 1)
        pen.ellipse([x - radius, y - flat, x + radius, y + flat], fill=fill)
        return
    angles = np.sort(rng.uniform(0, 6.3, 4) + np.arange(4) * 1.5)
    pen.polygon([(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles], fill=fill)
