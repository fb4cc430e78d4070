"""A member's photos as many captioned pictures: light crops, other light, the person before drawn places.

This is what teaches the member's model to put this person into other places. Cut-outs come from `photos`, places and
light from the drawings' own code, so that a word means what it meant to the base.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from portraitist.engine.tiny.canvas import HEIGHT, WIDTH
from portraitist.engine.tiny.light import night, relight
from portraitist.engine.tiny.photos import Head, Photo
from portraitist.engine.tiny.places import background
from portraitist.engine.tiny.words import BACKDROPS, LIGHTS, PLACES, TONES, caption

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
EACH, MOST = 48, 800
"""Variants of a photo, and of all photos together: memory is 150 KB a variant."""
COMPOSED = 0.5
"""Share of variants with the person set before another place, where the cut-out is sure."""
RELIT = 0.42


@dataclass(frozen=True)
class Variant:
    """One training picture, its words without the member's own, its photo's number, and where its face is."""

    pixels: Pixels
    words: str
    photo: int
    face: Floats


def make(photos: list[Photo], rng: np.random.Generator) -> list[Variant]:
    """Variants of every photo, fewer of each when there are many photos."""
    each = min(EACH, MOST // len(photos))
    return [_variant(photo, number, rng) for number, photo in enumerate(photos) for _ in range(each)]


def _variant(photo: Photo, number: int, rng: np.random.Generator) -> Variant:
    if photo.alpha is None or photo.head is None or rng.random() > COMPOSED:
        picture, words, head = _crop(photo.pixels, rng), [*photo.words, photo.framing], photo.head
    else:
        picture, words, head = _composed(photo, photo.alpha, photo.head, rng)
    if rng.random() < RELIT and not any(word in LIGHTS + TONES for word in words):
        word = TONES[int(rng.random() < 0.3)] if rng.random() < 0.25 else LIGHTS[rng.integers(len(LIGHTS))]
        picture = relight(picture.astype(np.float32), [word], rng).astype(np.uint8)
        words.append(word)
    return Variant(picture, caption(words), number, _face(head))


def _crop(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A few per cent less on each side, so that no two are the same pixels."""
    share = 1 - rng.uniform(0, 0.04)
    width, height = int(WIDTH * share), int(HEIGHT * share)
    x, y = int(rng.integers(0, WIDTH - width + 1)), int(rng.integers(0, HEIGHT - height + 1))
    part = Image.fromarray(photo[y : y + height, x : x + width])
    return np.asarray(part.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _composed(
    photo: Photo, alpha: Floats, head: Head, rng: np.random.Generator
) -> tuple[Pixels, list[str], Head]:
    """The person before a drawn place or backdrop, now and then nearer or further away."""
    places = PLACES if rng.random() < 0.75 else BACKDROPS
    place = places[rng.integers(len(places))]
    moved, framing = _stand(photo, alpha, head, rng)
    zoom = moved.height / head.height
    person, cover = _move(photo.pixels, alpha, (head.x, head.top), (moved.x, moved.top), zoom)
    if place == "at night":
        person = night(person, rng)
    behind = background(rng, place)
    picture = person * cover[..., None] + behind * (1 - cover[..., None])
    lit = [word for word in photo.words if word in LIGHTS + TONES]
    return np.clip(picture, 0, 255).astype(np.uint8), [place, framing, *lit], moved


def _stand(photo: Photo, alpha: Floats, head: Head, rng: np.random.Generator) -> tuple[Head, str]:
    """Where the head goes and the framing that makes: nearer, further away, or as it was."""
    u, chance = rng.uniform, rng.random()
    sides = max(float(alpha[:, :2].mean()), float(alpha[:, -2:].mean()))
    zoom, x, top = u(1, 1.05), head.x + u(-6, 6), head.top
    framing = photo.framing
    if chance < 0.3 and framing != "close-up":
        zoom = min(1.75, 0.68 * HEIGHT / head.height) * u(0.95, 1.05)
        x, top = WIDTH / 2 + u(-8, 8), max(head.top * 0.6, 12 + u(0, 16))
        framing = _scaled(head, zoom, x, top).framing or (
            "close-up" if head.height * zoom > 0.52 * HEIGHT else ""
        )
    elif chance < 0.5 and sides < 0.12 and framing != "half body":
        zoom = max(0.62, u(0.6, 0.8))
        top = HEIGHT - (HEIGHT - head.top) * zoom  # the lower edge stays at the lower edge
        framing = _scaled(head, zoom, x, top).framing
    if head.top <= 2:
        top = min(top, 0.0)  # a crown that the photo cuts off stays at the edge
    return _scaled(head, zoom, x, top), framing


def _scaled(head: Head, zoom: float, x: float, top: float) -> Head:
    return Head(x, top, head.width * zoom, head.height * zoom)


def _move(
    photo: Pixels, alpha: Floats, start: tuple[float, float], end: tuple[float, float], zoom: float
) -> tuple[Floats, Floats]:
    """Photo and cut-out scaled about a point that goes from `start` to `end`."""
    matrix = (1 / zoom, 0.0, start[0] - end[0] / zoom, 0.0, 1 / zoom, start[1] - end[1] / zoom)

    def apply(image: Image.Image) -> Floats:
        moved = image.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
        return np.asarray(moved, np.float32)

    return apply(Image.fromarray(photo)), np.clip(apply(Image.fromarray(alpha)), 0, 1)


def _face(head: Head | None) -> Floats:
    """1 where the face is, on the transformer's grid of 8 × 6 tokens, soft at its edges."""
    y, x = (np.mgrid[:8, :6].astype(np.float32) + 0.5) * 32
    if head is None:
        return np.exp(-(((y / 32 - 3.3) / 2.2) ** 2) - ((x / 32 - 3) / 1.6) ** 2).astype(np.float32)
    across = np.abs(x - head.x) / (head.width / 2 + 16)
    down = np.abs(y - head.top - head.height / 2) / (head.height / 2 + 16)
    return np.clip(2.2 - 1.6 * np.maximum(across, down), 0, 1).astype(np.float32)


def token_weights(variants: list[Variant], extra: float) -> Tensor:
    """How much each token counts, variants × 48 × 1: up to 1 + `extra` on the face, 1 on average."""
    faces = torch.from_numpy(np.stack([variant.face for variant in variants])).flatten(1)
    weights = 1 + extra * faces
    return (weights / weights.mean(1, keepdim=True))[..., None]
