"""Photos as people have them: each format, colour model and orientation comes out right and bare of notes."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.unit.studio.selfies import hostile
from tests.unit.studio.selfies.hostile import SECRET, chatty, encoded, oriented, portrait

from portraitist.studio.selfies import domain
from portraitist.studio.selfies.domain import Accepted, Decoded
from portraitist.studio.selfies.judging import Judge

pytestmark = pytest.mark.anyio
SOI, SOS = 0xD8, 0xDA
AS_TAKEN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How the camera holds an upright scene whose EXIF orientation is this."""
PLAIN = {0xE0, 0xDB, 0xC0, 0xC4}
"""JFIF, quantisation, frame, Huffman: the segments of a JPEG that carry pixels and nothing else."""


async def opened(judge: Judge, data: bytes) -> tuple[Decoded, Image.Image]:
    """The decoded photo, and its kept picture."""
    found = await judge.decode(data)
    assert isinstance(found, Decoded), found
    return found, Image.open(io.BytesIO(found.jpeg))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of two pictures of one size, of 255."""
    assert one.size == other.size
    pixels = [np.asarray(picture.convert("RGB"), dtype=float) for picture in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def carries_notes(jpeg: bytes) -> bool:
    """Whether the JPEG has a segment besides those of its pixels, the secret, or anything after its end."""
    at = 2
    while jpeg[at + 1] != SOS:
        if jpeg[at + 1] not in PLAIN:
            return True
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return SECRET in jpeg or not jpeg.endswith(b"\xff\xd9") or jpeg.count(b"\xff\xd9") != 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
async def test_each_format_is_kept_as_an_rgb_jpeg_with_its_measure(judge: Judge, kind: str) -> None:
    found, kept = await opened(judge, encoded(portrait(), kind, quality=95))
    assert (kept.format, kept.mode, kept.size) == ("JPEG", "RGB", (300, 400))
    assert difference(kept, portrait()) < 6
    assert (found.measure.width, found.measure.height) == (300, 400)
    assert domain.judge(found.measure, (), min_side=domain.EMBEDDED_MIN_SIDE) == Accepted()
    with Image.open(io.BytesIO(found.thumbnail)) as thumbnail:
        assert thumbnail.size == (240, 320)


async def test_colour_is_kept_in_full_resolution(judge: Judge) -> None:
    _, kept = await opened(judge, encoded(portrait(), "JPEG", quality=95))
    assert all(layer[1:3] == (1, 1) for layer in kept.layer)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
async def test_a_large_photo_is_kept_at_2048_pixels(judge: Judge, kind: str) -> None:
    found, kept = await opened(
        judge, encoded(portrait(2400), kind, **({"compress_level": 1} if kind == "PNG" else {}))
    )
    assert kept.size == (1536, 2048)
    assert difference(kept, portrait(2048)) < 6
    assert found.measure.dhash == (await opened(judge, encoded(portrait(1000), "PNG")))[0].measure.dhash


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_turned_photo_is_set_upright(judge: Judge, orientation: int) -> None:
    turned = portrait().transpose(AS_TAKEN[orientation]) if orientation > 1 else portrait()
    data = oriented(turned, orientation)
    assert difference(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), portrait()) < 6
    _, kept = await opened(judge, data)
    assert difference(kept, portrait()) < 6


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
async def test_a_senseless_orientation_leaves_the_photo_as_it_is(judge: Judge, orientation: int) -> None:
    _, kept = await opened(judge, oriented(portrait(), orientation))
    assert difference(kept, portrait()) < 6


async def test_a_turned_heic_is_set_upright_once(judge: Judge) -> None:
    lying = portrait().transpose(Image.Transpose.ROTATE_90)
    _, kept = await opened(judge, oriented(lying, 6, "HEIF"))
    assert difference(kept, portrait()) < 6


@pytest.mark.parametrize("profile", [True, False])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
async def test_nothing_of_the_file_but_its_pixels_is_kept(judge: Judge, kind: str, profile: bool) -> None:
    data = chatty(kind, profile=profile)
    assert SECRET in data
    found, _ = await opened(judge, data)
    assert not carries_notes(found.jpeg)
    assert not carries_notes(found.thumbnail)


def test_a_photo_saved_again_without_care_would_carry_notes() -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(chatty("JPEG"))).save(out, "JPEG", quality=95)
    assert carries_notes(out.getvalue())


async def test_what_is_hidden_behind_a_photo_is_gone(judge: Judge) -> None:
    found, _ = await opened(judge, hostile.with_archive())
    assert not carries_notes(found.jpeg)


def _grey16() -> Image.Image:
    return Image.fromarray(np.asarray(portrait().convert("L")).astype(np.uint16) * 257)


def _see_through(mode: str) -> Image.Image:
    picture = portrait().convert("RGBA")
    picture.paste((255, 255, 255, 0), (0, 0, 300, 200))
    return picture.quantize(256) if mode == "P" else picture.convert(mode)


def _upper_half_white(grey: bool = False) -> Image.Image:
    picture = portrait().convert("L" if grey else "RGB").convert("RGB")
    picture.paste("white", (0, 0, 300, 200))
    return picture


ODD: dict[str, tuple[Callable[[], bytes], Callable[[], Image.Image], int]] = {
    "cmyk jpeg": (lambda: encoded(portrait().convert("CMYK"), "JPEG", quality=95), portrait, 6),
    "grey jpeg": (lambda: encoded(portrait().convert("L"), "JPEG"), lambda: portrait().convert("L"), 6),
    "16-bit grey png": (lambda: encoded(_grey16(), "PNG"), lambda: portrait().convert("L"), 3),
    "palette png": (lambda: encoded(portrait().quantize(256), "PNG"), portrait, 12),
    "palette png with alpha": (lambda: encoded(_see_through("P"), "PNG"), _upper_half_white, 12),
    "png with alpha": (lambda: encoded(_see_through("RGBA"), "PNG"), _upper_half_white, 3),
    "grey png with alpha": (lambda: encoded(_see_through("LA"), "PNG"), lambda: _upper_half_white(True), 3),
    "webp with alpha": (lambda: encoded(_see_through("RGBA"), "WEBP", quality=95), _upper_half_white, 6),
    "heic with alpha": (lambda: encoded(_see_through("RGBA"), "HEIF", quality=95), _upper_half_white, 6),
    "1-bit png": (lambda: encoded(portrait().convert("1"), "PNG"), lambda: portrait().convert("1"), 6),
    "jpeg with further pictures": (
        lambda: encoded(portrait(), "MPO", save_all=True, append_images=[Image.new("RGB", (300, 400))]),
        portrait,
        6,
    ),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_pixels_come_out_as_they_look(judge: Judge, name: str) -> None:
    data, expected, tolerance = ODD[name]
    _, kept = await opened(judge, data())
    assert kept.mode == "RGB"
    assert difference(kept, expected()) < tolerance


async def test_a_colour_profile_is_applied_before_it_is_dropped(judge: Judge) -> None:
    _, kept = await opened(judge, hostile.swapped_colours())
    red, green, blue = kept.getpixel((150, 150))  # type: ignore[misc]
    assert green > 200 > red
    assert blue < 100


async def test_a_broken_colour_profile_is_no_reason_to_refuse(judge: Judge) -> None:
    _, kept = await opened(judge, encoded(portrait(), "JPEG", icc_profile=b"no profile at all" * 20))
    assert difference(kept, portrait()) < 6
