"""The visible label: a few words on a dark plate in a corner of the picture, for those who look and don't inspect.

Off unless the operator gives the words (PICTURE_LABEL). Drawn before anything is signed.
"""

import io
from typing import Final

from PIL import Image, ImageDraw, ImageFont

MOST_CHARS: Final = 24
SMALLEST: Final = 12
"""Pixels of the letters: below it they can't be read."""
SHARE: Final = 0.026
"""The letters' height as a part of the picture's."""
PLATE: Final = (0, 0, 0, 150)
INK: Final = (255, 255, 255, 255)


def drawable(words: str) -> bool:
    """Whether these words fit on a small picture and the built-in font has their letters: plain ones, no accents."""
    return bool(words.strip()) and len(words) <= MOST_CHARS and words.isascii() and words.isprintable()


def labelled(data: bytes, words: str) -> bytes:
    """The picture as a PNG with the words in its lower right corner."""
    with Image.open(io.BytesIO(data)) as opened:
        picture, colours = opened.convert("RGBA"), opened.info.get("icc_profile")
    size = max(SMALLEST, round(SHARE * picture.height))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(words)
    pad = round(size * 0.45)
    width, height = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    corner = (picture.width - width - pad, picture.height - height - pad)
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    box = (*corner, corner[0] + width, corner[1] + height)
    pen.rounded_rectangle(box, radius=pad, fill=PLATE)
    pen.text((corner[0] + pad - left, corner[1] + pad - top), words, font=font, fill=INK)
    out = io.BytesIO()
    flat = Image.alpha_composite(picture, layer).convert("RGB")
    flat.save(out, "PNG", compress_level=4, icc_profile=colours)
    return out.getvalue()
