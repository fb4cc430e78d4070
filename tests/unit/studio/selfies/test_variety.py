"""The meter of variety: what is measured on photos, what counts as another light or place, and what is not guessed."""

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from portraitist.studio.selfies import pixels
from portraitist.studio.selfies.variety import Framing, Seen, differs, framed, light, variety

GREY, GREEN, BLUE = (120, 120, 120), (70, 140, 60), (60, 90, 200)
SKIN = (200, 150, 120)


def portrait(ground: tuple[int, int, int], size: tuple[int, int] = (600, 800)) -> Image.Image:
    """Somebody before a wall of this colour."""
    picture = Image.new("RGB", size, ground)
    width, height = size
    ImageDraw.Draw(picture).ellipse((width * 0.3, height * 0.3, width * 0.7, height * 0.9), fill=SKIN)
    return picture


def seen(picture: Image.Image, face_share: float | None = None) -> Seen:
    found = pixels.measure(picture)
    return Seen(found.mean_luma, found.warmth, found.ground, face_share)


def test_the_same_wall_is_one_place_and_three_walls_are_three() -> None:
    assert variety([seen(portrait(GREY)) for _ in range(5)]).places == 1
    assert variety([seen(portrait(ground)) for ground in (GREY, GREEN, BLUE, GREEN)]).places == 3


def test_who_stands_before_it_does_not_change_the_place() -> None:
    alone = Image.new("RGB", (600, 800), GREEN)
    assert differs(seen(alone).ground or b"", seen(portrait(GREEN)).ground or b"") < 0.1


def test_dim_bright_warm_and_cool_are_other_kinds_of_light() -> None:
    plain = portrait(GREY)
    dim, bright = (ImageEnhance.Brightness(plain).enhance(by) for by in (0.5, 1.6))
    warm, cool = (portrait(ground) for ground in ((190, 140, 70), (70, 110, 190)))
    assert variety([seen(each) for each in (plain, dim, bright, warm, cool)]).lights >= 4
    assert variety([seen(plain), seen(plain.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]).lights == 1
    assert light(94.9, 0.0) != light(95.0, 0.0)


@pytest.mark.parametrize(
    ("share", "kind"),
    [
        (0.7, Framing.CLOSE),
        (0.4, Framing.CLOSE),
        (0.39, Framing.HALF),
        (0.16, Framing.HALF),
        (0.05, Framing.FULL),
    ],
)
def test_how_near_the_face_is_goes_by_its_share_of_the_height(share: float, kind: Framing) -> None:
    assert framed(share) is kind


def test_where_nobody_finds_faces_nothing_is_said_of_framing() -> None:
    found = variety([seen(portrait(GREY))])
    assert found.framing is None
    assert found.lacks == ["light", "places"]
    told = variety([seen(portrait(GREY), 0.5), seen(portrait(GREEN), 0.2)])
    assert told.framing == {Framing.CLOSE: 1, Framing.HALF: 1, Framing.FULL: 0}
    assert told.lacks == ["light", "places", "close", "half", "full"]


def test_photos_from_before_it_was_measured_are_not_guessed() -> None:
    old = Seen(None, None, None, None)
    assert (variety([old, old]).measured, variety([old]).places, variety([old]).lacks) == (0, 0, [])


def test_the_background_is_measured_without_the_middle() -> None:
    found = pixels.measure(portrait(GREY))
    assert len(found.ground) == 64
    assert sum(found.ground) == pytest.approx(255, abs=32)
    face_only = portrait(GREY)
    ImageDraw.Draw(face_only).ellipse((260, 420, 340, 500), fill=(10, 10, 10))
    assert pixels.measure(face_only).ground == found.ground, "the middle is not looked at"
