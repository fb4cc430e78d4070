"""What a picture file is: decoded, measured, hashed. Used for what providers send, which is checked, not trusted.

Members' uploads go through the sandbox of `selfies` instead.
"""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image, ImageStat

MAX_BYTES = 24 * 2**20  # a 4-megapixel png is about 8 MB
MAX_PIXELS = 8_000_000
BLANK_SPREAD = (
    3.0  # standard deviation of grey values, 0–255; a plain field has 0, the dullest portrait above 20
)
TINT_POINTS = (12, 16)


class NotAPicture(Exception):
    """The bytes are not a picture that we take."""


@dataclass(frozen=True)
class Picture:
    """A checked picture file. `spread` is the standard deviation of its grey values (0–255), `tint` its main colour."""

    data: bytes
    sha256: bytes
    width: int
    height: int
    spread: float
    tint: int | None = None
    """0xRRGGBB."""

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it."""
        return self.spread < BLANK_SPREAD


def read(data: bytes) -> Picture:
    """Decode a PNG, JPEG or WebP completely. Raises NotAPicture for anything else, truncated, or too large."""
    if len(data) > MAX_BYTES:
        raise NotAPicture("the file is too large")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise NotAPicture("the picture has too many pixels")
            grey = image.convert("L")
            spread = ImageStat.Stat(grey).stddev[0]
            digest = hashlib.sha256(data).digest()
            return Picture(data, digest, image.width, image.height, spread, tint(image))
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as exc:  # Pillow's ways of saying no
        raise NotAPicture("the file can't be decoded") from exc


def tint(image: Image.Image) -> int:
    """The mean colour of some hundred points spread over the picture, as 0xRRGGBB: what it looks like from afar."""
    red, green, blue = ImageStat.Stat(image.resize(TINT_POINTS, Image.Resampling.NEAREST).convert("RGB")).mean
    return round(red) << 16 | round(green) << 8 | round(blue)
