"""Small copies of stored pictures, for walls of many: a WebP with the picture's marks and nothing else besides.

Made of the studio's own files alone. What signs them is `signing`.
"""

import io
from typing import Final

from PIL import Image

from portraitist.studio.provenance import png

SIDE: Final = 512
"""Pixels of the longer side at most: sharp on a phone's wall, and a fortieth of the bytes of a full picture."""
QUALITY: Final = 78
QUICK: Final = 0
"""WebP's least effort: a tenth more bytes for a third of the time."""


def copy_of(data: bytes) -> bytes:
    """The picture at most SIDE pixels long, in WebP, with "made by a trained model" as its only words."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        copy = picture.convert("RGB")
    copy.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    copy.info.clear()
    copy.save(out, "WEBP", quality=QUALITY, method=QUICK, xmp=png.XMP)
    return out.getvalue()
