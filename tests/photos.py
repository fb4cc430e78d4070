"""Sample members for tests, made by script: a real person cut from one public-domain photo, and a drawn one.

The photo is scikit-image's astronaut (Eileen Collins, by NASA) and lies in its wheel; nothing is downloaded.
"""

from pathlib import Path

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from portraitist.engine.tiny.drawing import draw_selfies
from portraitist.studio.selfies import domain, pixels

FACE = (165, 50, 285, 205)
"""Left, top, right and bottom of the astronaut's face in her photo of 512 × 512; every crop holds it."""
CROPS = (0.55, 0.90)
"""Sides of the crops as shares of the photo's: 10 to 45 % are cut away, 281 to 460 pixels stay."""
SEED = 11


def astronaut_selfies(folder: Path, count: int = 14) -> list[Path]:
    """So many photos of the astronaut: crops, mirrored or not, in changing light, no two near-duplicates."""
    photo = np.asarray(Image.fromarray(data.astronaut()).convert("RGB"))
    rng = np.random.default_rng(SEED)
    chosen: list[Image.Image] = []
    hashes: list[int] = []
    while len(chosen) < count:
        picture = _relit(_cropped(photo, rng), rng)
        dhash = pixels.measure(picture).dhash
        # One over the limit: a photo's hash moves by a bit when it is encoded.
        if all(domain.distance(dhash, other) > domain.MAX_DISTANCE + 1 for other in hashes):
            chosen.append(picture)
            hashes.append(dhash)
    return write(folder, chosen)


def drawn_selfies(folder: Path, count: int = 14, identity: int = 7) -> list[Path]:
    """So many selfies of the drawn person of this identity, by the embedded engine's own recipe."""
    return write(folder, draw_selfies(identity, count))


def write(folder: Path, pictures: list[Image.Image]) -> list[Path]:
    """The pictures as a phone's folder holds them: JPEG, but the second PNG, third WebP, fourth HEIC."""
    pillow_heif.register_heif_opener()
    folder.mkdir(parents=True, exist_ok=True)
    others = {1: "png", 2: "webp", 3: "heic"}
    paths = []
    for number, picture in enumerate(pictures):
        path = folder / f"selfie_{number + 1:02d}.{others.get(number, 'jpg')}"
        picture.save(path, quality=95)
        paths.append(path)
    return paths


def _cropped(photo: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    height = int(photo.shape[0] * rng.uniform(*CROPS))
    width = max(int(height * rng.uniform(0.82, 1.0)), int(photo.shape[1] * CROPS[0]))
    left = int(rng.integers(max(0, FACE[2] - width), min(FACE[0], photo.shape[1] - width) + 1))
    top = int(rng.integers(max(0, FACE[3] - height), min(FACE[1], photo.shape[0] - height) + 1))
    crop = photo[top : top + height, left : left + width]
    return Image.fromarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def _relit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Darker or brighter, warmer or cooler, by as much as one room differs from the next."""
    gains = rng.uniform(0.8, 1.15) * np.array([rng.uniform(0.92, 1.08), 1.0, rng.uniform(0.9, 1.1)])
    return Image.fromarray(np.clip(np.asarray(picture) * gains, 0, 255).astype(np.uint8))
