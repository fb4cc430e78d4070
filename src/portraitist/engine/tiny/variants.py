"""A member's photos as many captioned pictures: in other light, and the person before drawn places.

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
NEARER, FURTHER = 0.3, 0.2
"""Shares of the variants before another place in which the person is nearer, or further away, where that can be."""
AWAY = 0.7
"""The scale of a person further away."""
FREE_SIDES = 0.12
"""A person who fills more of the photo's left or right edge would show a cut when moved away from it."""


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
        picture, words, head = photo.pixels, [*photo.words, photo.framing], photo.head
    else:
        picture, words, head = _composed(photo, photo.alpha, photo.head, rng)
    if rng.random() < RELIT and not any(word in LIGHTS + TONES for word in words):
        word = TONES[int(rng.random() < 0.3)] if rng.random() < 0.25 else LIGHTS[rng.integers(len(LIGHTS))]
        picture = relight(picture.astype(np.float32), [word], rng).astype(np.uint8)
        words.append(word)
    return Variant(picture, caption(words), number, _face(head))


def _composed(
    photo: Photo, alpha: Floats, head: Head, rng: np.random.Generator
) -> tuple[Pixels, list[str], Head]:
    """The person before a drawn place or backdrop, now and then nearer or further away."""
    places = PLACES if rng.random() < 0.75 else BACKDROPS
    place = places[rng.integers(len(places))]
    chance, stands = rng.random(), _stands(photo, alpha, head)
    which = "nearer" if chance < NEARER else "further" if chance < NEARER + FURTHER else ""
    moved, framing = stands.get(which, stands[""])
    zoom = moved.height / head.height
    person, cover = _move(photo.pixels, alpha, (head.x, head.top), (moved.x, moved.top), zoom)
    if place == "at night":
        person = night(person, rng)
    behind = background(rng, place)
    picture = person * cover[..., None] + behind * (1 - cover[..., None])
    lit = [word for word in photo.words if word in LIGHTS + TONES]
    return np.clip(picture, 0, 255).astype(np.uint8), [place, framing, *lit], moved


def framings(photo: Photo) -> list[str]:
    """The framings that this photo and its variants show, each once, the photo's own first."""
    if photo.alpha is None or photo.head is None:
        return [photo.framing]
    shown = {framing: None for _, framing in _stands(photo, photo.alpha, photo.head).values()}
    return list({photo.framing: None} | shown)


def _stands(photo: Photo, alpha: Floats, head: Head) -> dict[str, tuple[Head, str]]:
    """Where the head may be, and the framing that makes: as it was, nearer, further away.

    One place for each and nothing between: a face that is always in the same place is learnt far sooner, and a
    member trains for minutes only. With places a few per cent apart, faces came out smeared.
    """
    top_edge = 0.0 if head.top <= 2 else float(HEIGHT)  # a crown that the photo cuts off stays at the edge
    stands = {"": (_scaled(head, 1.0, head.x, min(head.top, top_edge)), photo.framing)}
    sides = max(float(alpha[:, :2].mean()), float(alpha[:, -2:].mean()))
    if photo.framing != "close-up":
        near = _scaled(
            head,
            min(1.75, 0.68 * HEIGHT / head.height),
            WIDTH / 2,
            min(max(head.top * 0.6, 20.0), top_edge),
        )
        stands["nearer"] = (near, near.framing or ("close-up" if near.height > 0.52 * HEIGHT else ""))
    if photo.framing != "half body" and sides < FREE_SIDES:
        lower = HEIGHT - (HEIGHT - head.top) * AWAY  # the lower edge stays at the lower edge
        far = _scaled(head, AWAY, head.x, min(lower, top_edge))
        stands["further"] = (far, far.framing)
    return stands


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
