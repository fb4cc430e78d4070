"""Drawing in the nominal frame of 192 × 256 units, at any scale.

`Canvas` wraps PIL's ImageDraw; `noise` and `ramp` make fields of the canvas's size. What is drawn lives in `places`
and `people`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 192, 256
Floats = NDArray[np.floating[Any]]
Colour = Sequence[float] | NDArray[np.float32] | NDArray[np.float64]


def ink(colour: Colour, factor: float = 1.0, alpha: int = 255) -> tuple[int, int, int, int]:
    """A colour times a brightness, as PIL wants it."""
    red, green, blue = (int(min(255, max(0, value * factor))) for value in list(colour)[:3])
    return red, green, blue, alpha


class Canvas:
    """A picture under the pen; every position and size is in nominal units."""

    def __init__(self, image: Image.Image, scale: float, margin: float = 0) -> None:
        self.image = image
        self.scale = scale
        self.margin = margin
        self._draw = ImageDraw.Draw(image, "RGBA")  # blends into RGB, replaces in RGBA

    @classmethod
    def of(cls, field: Floats, scale: float) -> "Canvas":
        """A canvas that starts as this height × width × 3 field."""
        return cls(Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)), scale)

    @classmethod
    def clear(cls, scale: float, margin: float) -> "Canvas":
        """An empty canvas with an alpha channel and so many units more on each side."""
        width, height = round((WIDTH + 2 * margin) * scale), round((HEIGHT + 2 * margin) * scale)
        return cls(Image.new("RGBA", (width, height), (0, 0, 0, 0)), scale, margin)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: tuple[int, ...]) -> None:
        self._draw.ellipse(self._box(x, y, rx, ry), fill=fill)

    def ring(self, x: float, y: float, rx: float, ry: float, *, fill: tuple[int, ...], width: float) -> None:
        self._draw.ellipse(self._box(x, y, rx, ry), outline=fill, width=self._pen(width))

    def arc(
        self,
        box: tuple[float, float, float, float],
        angles: tuple[float, float],
        fill: tuple[int, ...],
        width: float,
    ) -> None:
        """Part of an ellipse: centre and radii, start and end in degrees."""
        self._draw.arc(self._box(*box), angles[0], angles[1], fill=fill, width=self._pen(width))

    def chord(
        self, box: tuple[float, float, float, float], angles: tuple[float, float], fill: tuple[int, ...]
    ) -> None:
        self._draw.chord(self._box(*box), angles[0], angles[1], fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...]) -> None:
        if x1 > x0 and y1 > y0:
            self._draw.rectangle([*self._at(x0, y0), *self._at(x1, y1)], fill=fill)

    def polygon(self, points: Sequence[tuple[float, float]], fill: tuple[int, ...]) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=fill)

    def line(self, points: Sequence[tuple[float, float]], fill: tuple[int, ...], width: float) -> None:
        scaled = [self._at(x, y) for x, y in points]
        self._draw.line(scaled, fill=fill, width=self._pen(width), joint="curve")

    def blobs(
        self, rng: np.random.Generator, count: int, radii: tuple[float, float], colours: Sequence[Colour],
        *, band: tuple[float, float] = (0, HEIGHT), jitter: float = 18, alpha: int = 255,
    ) -> None:  # fmt: skip
        """Random soft-coloured ellipses between two heights: leaves, flowers, lamps, snow."""
        for _ in range(count):
            radius, x, y = rng.uniform(*radii), rng.uniform(-5, WIDTH + 5), rng.uniform(*band)
            base = colours[int(rng.integers(len(colours)))]
            colour = np.asarray(base, np.float64)[:3] + rng.normal(0, jitter, 3)
            self.ellipse(x, y, radius, radius * rng.uniform(0.6, 1.2), ink(colour, alpha=alpha))

    def blurred(self, radius: float) -> Image.Image:
        """The picture out of focus by so many nominal units."""
        return self.image.filter(ImageFilter.GaussianBlur(radius * self.scale))

    def _box(self, x: float, y: float, rx: float, ry: float) -> list[float]:
        rx, ry = abs(rx), abs(ry)
        return [*self._at(x - rx, y - ry), *self._at(x + rx, y + ry)]

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x + self.margin) * self.scale, (y + self.margin) * self.scale

    def _pen(self, width: float) -> int:
        return max(1, round(width * self.scale))


def size(scale: float) -> tuple[int, int]:
    """Width and height in pixels at this scale."""
    return round(WIDTH * scale), round(HEIGHT * scale)


def noise(rng: np.random.Generator, grain: tuple[float, float], scale: float) -> Floats:
    """Smooth unit noise, height × width; `grain` is the size of its lumps across and down."""
    across, down = max(2, int(WIDTH / grain[0])), max(2, int(HEIGHT / grain[1]))
    coarse = rng.standard_normal((down, across)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size(scale), Image.Resampling.BICUBIC))


def ramp(start: Colour, end: Colour, scale: float, *, across: bool = False) -> Floats:
    """A linear gradient from top to bottom (or left to right), height × width × 3."""
    width, height = size(scale)
    steps = np.linspace(0, 1, width if across else height, dtype=np.float32)[:, None]
    line = np.asarray(start, np.float32)[:3] * (1 - steps) + np.asarray(end, np.float32)[:3] * steps
    if across:
        return np.broadcast_to(line[None], (height, width, 3)).astype(np.float32)
    return np.broadcast_to(line[:, None], (height, width, 3)).astype(np.float32)


def grid(scale: float) -> tuple[Floats, Floats]:
    """Nominal x and y of every pixel's centre, two height × width fields."""
    width, height = size(scale)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (x + 0.5) / np.float32(scale), (y + 0.5) / np.float32(scale)
