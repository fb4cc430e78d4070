"""A person cut out of real photos: with the whole head or not at all, wherever in the photo they stand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from portraitist.engine.tiny import faces, photos
from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.drawing import draw_selfies
from portraitist.engine.tiny.matte import matte_about

FACE = (224, 115)
"""The middle of the astronaut's face in scikit-image's picture, and below how large a photo of her is cut."""
HEIGHTS = (200, 260, 340)


def photo_of(height: int, where: float) -> tuple[Image.Image, tuple[float, float]]:
    """A photo of this height with the face at so much of its width; and where the face is in 192 × 256."""
    picture = Image.fromarray(data.astronaut())
    width = height * WIDTH // HEIGHT
    left = min(max(0, round(FACE[0] - where * width)), picture.width - width)
    scale = HEIGHT / height
    return picture.crop((left, 0, left + width, height)), ((FACE[0] - left) * scale, FACE[1] * scale)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[photos.Photo, tuple[float, float]]]:
    folder = tmp_path_factory.mktemp("astronaut")
    taken = [photo_of(height, where) for height in HEIGHTS for where in (0.35, 0.5, 0.65)]
    for number, (picture, _) in enumerate(taken):
        picture.save(folder / f"{number:02d}.png")
    return list(zip(photos.load_all(list(folder.iterdir()), {}), [face for _, face in taken], strict=True))


def test_a_cut_out_has_the_whole_face_and_no_corner(
    cut: list[tuple[photos.Photo, tuple[float, float]]],
) -> None:
    sure = [(photo.alpha, face) for photo, face in cut if photo.alpha is not None]
    assert len(sure) >= len(cut) - 2
    for alpha, (x, y) in sure:
        face = alpha[int(y) - 20 : int(y) + 20, int(x) - 15 : int(x) + 15]
        assert face.mean() > 0.95
        assert alpha[:8, :8].mean() < 0.5 or alpha[:8, -8:].mean() < 0.5


def test_the_head_is_where_the_face_is(cut: list[tuple[photos.Photo, tuple[float, float]]]) -> None:
    for photo, (x, y) in cut:
        if photo.head is not None:
            assert abs(photo.head.x - x) < photo.head.width / 3
            assert photo.head.top < y < photo.head.top + photo.head.height


def test_what_is_found_is_the_face_and_no_wall_beside_it() -> None:
    for height in (190, 220, 260, 300):
        for where in (0.2, 0.35, 0.5, 0.65, 0.8, 0.92, 1.02):
            picture, (x, y) = photo_of(height, where)
            pixels = np.asarray(picture.resize((WIDTH, HEIGHT)).convert("RGB"))
            for face in faces.find(pixels):
                assert abs(face.x * WIDTH - x) < WIDTH / 8, (height, where, face)
                assert abs(face.y * HEIGHT - y) < HEIGHT / 8, (height, where, face)


def test_about_a_face_that_is_none_nobody_is_cut_out() -> None:
    picture, _ = photo_of(260, 0.5)
    pixels = np.asarray(picture.resize((WIDTH, HEIGHT)).convert("RGB"))
    wall = faces.Face(0.12, 0.2, 0.3, 0.22)
    assert matte_about(pixels, [wall]) is None
    assert matte_about(pixels, []) is None


def test_people_without_a_face_that_is_found_are_cut_out_by_guess(tmp_path: Path) -> None:
    for number, drawn in enumerate(draw_selfies(7, 4)):
        drawn.save(tmp_path / f"{number}.png")
    assert any(photo.alpha is not None for photo in photos.load_all(list(tmp_path.iterdir()), {}))
