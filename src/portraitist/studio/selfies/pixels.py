"""A photo's bytes to the picture that is kept, its thumbnail and its measure.

Runs in the sandbox alone: hostile bytes meet decoders here. Judges nothing, and lets errors through.
"""

from io import BytesIO

import pillow_heif
from PIL import (
    Image,
    ImageCms,
    ImageFilter,
    ImageStat,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from portraitist.studio.selfies.domain import GROUND, Code, Decoded, Limits, Measure

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
"""A JPEG with further pictures opens as JPEG and calls itself "MPO" afterwards; its first is the photo."""
DECODERS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin, TiffImagePlugin)
"""Named so that they are loaded before the sandbox closes; TIFF reads EXIF and is not allowed as a format."""
KEPT_SIDE = 2048
THUMBNAIL_SIDE = 320
MEASURED_SIDE = 512
"""Sharpness is compared at one scale, so that it does not depend on the camera's pixels."""
BLACK, WHITE = 6, 249
"""Up to and from here a pixel is practically black or white, of 255."""
TILES = 4
GROUND_SIDE = 48
"""Pixels of the square that a background is measured on."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation (CIPA DC-008, tag 274); 1 and anything unknown stay as they are."""
_LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=2, offset=128)
"""Halved and moved to grey, since Pillow's pictures have no sign."""


def prepare(limits: Limits) -> None:
    """Load every decoder, so that nothing has to be opened later, and set Pillow's own pixel limit."""
    Image.preinit()
    # Embedded thumbnails are chosen by a forger, threads count against the memory limit.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    # Pillow looks at the header and refuses above twice this figure, for WebP before it makes its canvas.
    Image.MAX_IMAGE_PIXELS = limits.max_pixels // 2


def decode(data: bytes) -> Decoded | Code:
    """The photo as it is kept, or why it cannot be. A damaged photo raises whatever its decoder raised."""
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        return Code.NOT_A_PICTURE
    except Image.DecompressionBombError:
        return Code.TOO_LARGE
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        return Code.ANIMATED
    picture = _kept(image)
    return Decoded(
        jpeg=_jpeg_of(picture, quality=95, subsampling=0),
        thumbnail=_jpeg_of(_fitted(picture, THUMBNAIL_SIDE), quality=82, subsampling=2),
        measure=measure(picture),
    )


def measure(picture: Image.Image) -> Measure:
    """The figures of an upright RGB picture that `domain.judge` rules by."""
    grey = picture.convert("L")
    histogram = grey.histogram()
    pixels = grey.width * grey.height
    return Measure(
        width=picture.width,
        height=picture.height,
        sharpness=round(_sharpness(grey), 2),
        mean_luma=round(ImageStat.Stat(grey).mean[0], 2),
        clipped_dark=round(sum(histogram[: BLACK + 1]) / pixels, 4),
        clipped_bright=round(sum(histogram[WHITE:]) / pixels, 4),
        dhash=_difference_hash(grey),
        warmth=_warmth(picture),
        ground=_ground(picture),
    )


def _kept(image: Image.Image) -> Image.Image:
    """Upright sRGB of at most `KEPT_SIDE`, a new picture that carries nothing but pixels."""
    image.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
    turn = _UPRIGHT.get(_orientation(image))
    profile = image.info.get("icc_profile")
    picture = _in_srgb(_fitted(_resizable(image), KEPT_SIDE), profile)
    if picture.has_transparency_data:
        picture = _on_white(picture)
    picture = picture.convert("RGB")
    picture.info.clear()
    return picture if turn is None else picture.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1 where the block is missing or broken: pixels matter more than their notes."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a hostile block fails in any way it likes
        return 1
    return value if isinstance(value, int) else 1


def _resizable(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be resized smoothly: 16 bit, palette and 1 bit cannot."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256).convert("L")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "1":
        return image.convert("L")
    return image


def _fitted(image: Image.Image, side: int) -> Image.Image:
    """At most `side` pixels on the longer side; never larger than it was."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The same colours in sRGB: most phones write Display P3, and the profile itself is not kept."""
    if not profile or picture.mode not in ("RGB", "CMYK"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        turned = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile: the colours as the file states them
    return picture if turned is None else turned


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture.convert("RGBA"))
    return ground


def _jpeg_of(picture: Image.Image, *, quality: int, subsampling: int) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def _warmth(picture: Image.Image) -> float:
    red, _, blue = ImageStat.Stat(picture).mean
    return round(red - blue, 2)


def _ground(picture: Image.Image) -> bytes:
    """Shares of colours beside and above the middle, where a portrait shows its place and not its person."""
    small = picture.resize((GROUND_SIDE, GROUND_SIDE), Image.Resampling.BOX).tobytes()
    middle = range(GROUND_SIDE // 4, GROUND_SIDE - GROUND_SIDE // 4)
    shares = [0] * GROUND
    for at in range(GROUND_SIDE * GROUND_SIDE):
        y, x = divmod(at, GROUND_SIDE)
        if x in middle and y >= GROUND_SIDE // 6:
            continue
        red, green, blue = small[3 * at : 3 * at + 3]
        shares[(red >> 6) << 4 | (green >> 6) << 2 | blue >> 6] += 1
    whole = sum(shares)
    return bytes(round(255 * share / whole) for share in shares)


def _sharpness(grey: Image.Image) -> float:
    """Variance of the Laplacian in the sharper quarter of the tiles: a soft background is no fault."""
    if min(grey.size) > MEASURED_SIDE:
        scale = MEASURED_SIDE / min(grey.size)
        grey = grey.resize((round(grey.width * scale), round(grey.height * scale)), Image.Resampling.LANCZOS)
    # Pillow's filters leave the outermost pixels as they were.
    edges = grey.filter(_LAPLACIAN).crop((1, 1, max(2, grey.width - 1), max(2, grey.height - 1)))
    across = [round(edges.width * step / TILES) for step in range(TILES + 1)]
    down = [round(edges.height * step / TILES) for step in range(TILES + 1)]
    variances = [
        ImageStat.Stat(edges.crop((across[x], down[y], across[x + 1], down[y + 1]))).var[0] * 4
        for x in range(TILES)
        for y in range(TILES)
        if across[x] < across[x + 1] and down[y] < down[y + 1]
    ]
    return sorted(variances, reverse=True)[(len(variances) - 1) // 4]


def _difference_hash(grey: Image.Image) -> int:
    """Is the right neighbour brighter, row by row on 9 × 8 pixels? 64 bits with a sign (`Measure.dhash`)."""
    row = grey.resize((9, 8), Image.Resampling.LANCZOS).tobytes()
    bits = 0
    for at in range(72):
        if at % 9 != 8:
            bits = bits << 1 | (row[at + 1] > row[at])
    return bits - 2**64 if bits >= 2**63 else bits
