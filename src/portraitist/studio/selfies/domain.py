"""The rules for a photo: what is measured, what is accepted, and the words for what is not.

Pure: no file, no decoder and no clock. How a photo is opened is `pixels`, where is `sandbox`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

EMBEDDED_MIN_SIDE = 256
"""Pixels of the shorter side that the embedded engine needs; it draws 192 × 256."""
CLOUD_MIN_SIDE = 512
"""Pixels of the shorter side for FLUX: the smallest of the trainer's three resolutions."""
MAX_DISTANCE = 5
"""Bits of 64 in which near-duplicates differ at most. Measured: copies of a photo at JPEG quality 20, at half
its size or 30 % brighter differ in 0 to 2, with 1 % cut off each side in 4; with 4 % cut off in 11."""
MIN_SHARPNESS = 14.0
"""Measured on seven real photos at 512 pixels: all blurred by 3 pixels (Gaussian) fall to 19 or less and most
below 10, all sharp ones have 126 and more; drawn selfies, smooth by nature, have 87 and more."""
MIN_MEAN_LUMA = 28.0
"""Of 255. A face at a fifth of its light has 30 and can still be read; at 15 % it has 22 and cannot."""
MAX_MEAN_LUMA = 232.0
"""Of 255. Catches what is washed out without being clipped; a face at three times its light has 217."""
MAX_CLIPPED_DARK = 0.85
"""Share of practically black pixels. Dark hair and clothes before black leave little more than the face."""
MAX_CLIPPED_BRIGHT = 0.7
"""Share of practically white pixels. A person before a white wall fills over a third; a face at 2.5 times its
light has 0.72."""
GROUND = 64
"""Kinds of colour that a background is told by: four levels each of red, green and blue."""


@dataclass(frozen=True)
class Limits:
    """What opening one photo may take."""

    max_bytes: int = 30 * 10**6
    max_pixels: int = 50 * 10**6
    """A 48 megapixel phone photo passes."""
    memory_bytes: int = 512 * 2**20
    """Address space of the whole sandbox, Python and codecs included."""
    seconds: int = 10


class Code(StrEnum):
    """Why a photo was turned away; stable, the message is not."""

    NOT_A_PICTURE = "not_a_picture"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_BLURRY = "too_blurry"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    NEAR_DUPLICATE = "near_duplicate"
    ANIMATED = "animated"
    UNREADABLE = "unreadable"
    NO_FACE = "no_face"
    MANY_FACES = "many_faces"


@dataclass(frozen=True)
class Measure:
    """What was measured on the kept picture, upright."""

    width: int
    height: int
    sharpness: float
    """Variance of the Laplacian that a quarter of the picture reaches, at 512 pixels on the shorter side."""
    mean_luma: float
    """0 to 255."""
    clipped_dark: float
    """Share of pixels that are practically black, 0 to 1."""
    clipped_bright: float
    """Share of pixels that are practically white, 0 to 1."""
    dhash: int
    """Difference hash: 64 bits with a sign, as PostgreSQL's bigint holds them."""
    warmth: float
    """Mean red less mean blue, -255 to 255."""
    ground: bytes
    """The colours around the picture's middle: shares of 64 kinds of colour, 0 to 255 each (`GROUND`)."""

    @property
    def shorter_side(self) -> int:
        """In pixels."""
        return min(self.width, self.height)


@dataclass(frozen=True)
class Decoded:
    """A photo as it is kept: pixels encoded anew, nothing else of the member's file."""

    jpeg: bytes
    """RGB, quality 95, 4:4:4, at most 2,048 pixels on the longer side."""
    thumbnail: bytes
    """JPEG, at most 320 pixels on the longer side."""
    measure: Measure


@dataclass(frozen=True)
class Accepted:
    """The photo may be trained on."""


@dataclass(frozen=True)
class Rejected:
    """The photo is turned away: why, and how to mend it."""

    code: Code
    message: str


Verdict = Accepted | Rejected


def judge(measure: Measure, known_hashes: Iterable[tuple[str, int]], *, min_side: int) -> Verdict:
    """The verdict on a decoded photo.

    `known_hashes` are (file name, `Measure.dhash`) of the member's accepted photos. Light comes before blur:
    what is too dark measures soft too, and light is what the member can mend.
    """
    if measure.shorter_side < min_side:
        return _too_small(measure, min_side)
    if measure.mean_luma < MIN_MEAN_LUMA or measure.clipped_dark > MAX_CLIPPED_DARK:
        return refusal(Code.TOO_DARK)
    if measure.mean_luma > MAX_MEAN_LUMA or measure.clipped_bright > MAX_CLIPPED_BRIGHT:
        return refusal(Code.TOO_BRIGHT)
    if measure.sharpness < MIN_SHARPNESS:
        return refusal(Code.TOO_BLURRY)
    for name, known in known_hashes:
        if distance(measure.dhash, known) <= MAX_DISTANCE:
            return _near_duplicate(name)
    return Accepted()


def judge_faces(faces: int) -> Verdict:
    """The verdict on a photo that is good otherwise, by how many faces it shows."""
    if faces == 1:
        return Accepted()
    return refusal(Code.MANY_FACES if faces else Code.NO_FACE)


def distance(one: int, other: int) -> int:
    """Bits in which two difference hashes differ, 0 to 64."""
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def refusal(code: Code) -> Rejected:
    """The rejection for a code whose words need no figures of the photo."""
    return Rejected(code, _MESSAGES[code])


def _too_small(measure: Measure, min_side: int) -> Rejected:
    return Rejected(
        Code.TOO_SMALL,
        f"This photo is too small: its shorter side has {measure.shorter_side} pixels and needs {min_side}. "
        "Add the original from the camera, not a thumbnail, a narrow strip or a copy from a chat.",
    )


def _near_duplicate(name: str) -> Rejected:
    return Rejected(
        Code.NEAR_DUPLICATE,
        f"This photo is almost the same as {name}, which is already in. "
        "Add one with another pose, place or expression instead.",
    )


_MESSAGES = {
    Code.NOT_A_PICTURE: "This file is not a photo that can be opened here. "
    "Add a JPEG, PNG, WebP or HEIC picture.",
    Code.TOO_LARGE: f"This photo is too large: at most {Limits.max_bytes // 10**6} MB and "
    f"{Limits.max_pixels // 10**6} megapixels are taken. Save a smaller copy and add that.",
    Code.TOO_BLURRY: "This photo is blurred. Hold the camera still, tap on the face to focus, "
    "and take it again.",
    Code.TOO_DARK: "This photo is too dark to see the face well. "
    "Turn to a window or a lamp and take it again.",
    Code.TOO_BRIGHT: "This photo is too bright: its details are lost in white. "
    "Step out of the direct light and take it again.",
    Code.ANIMATED: "This is an animation, not a photo. Add a single still picture.",
    Code.NO_FACE: "This photo shows no face that could be found. "
    "Add one in which your face is seen well, from the front or the side.",
    Code.MANY_FACES: "This photo shows more than one face. "
    "Add one that shows you alone, or cut the others away.",
    Code.UNREADABLE: "This photo could not be opened: the file is damaged, incomplete or too complicated. "
    "Save it as a new JPEG, or copy it from the camera once more.",
}
