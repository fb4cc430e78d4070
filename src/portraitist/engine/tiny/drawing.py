"""Whole drawn portraits with their captions, the base recipe's only pictures, and selfies of one drawn person.

No photo of anybody: places, people and light come from code and a seed. Says nothing about training.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from portraitist.engine.tiny.canvas import Floats
from portraitist.engine.tiny.light import night, relight
from portraitist.engine.tiny.people import Identity, draw_person, identity, pose_for
from portraitist.engine.tiny.places import background
from portraitist.engine.tiny.words import BACKDROPS, LIGHTS, PERSON, PLACES, TONES, caption

Pixels = NDArray[np.uint8]
SELFIE_SCALE = 2.75
"""528 × 704 pixels: over the 512 that a studio on the cloud asks of a photo's shorter side."""


@dataclass(frozen=True)
class Scene:
    """What a portrait shows beside its person."""

    place: str
    framing: str
    light: str
    tone: str


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene with the recipe's frequencies: three in four before a place, half in plain light."""
    places = PLACES if rng.random() < 0.72 else BACKDROPS
    return Scene(
        place=places[rng.integers(len(places))],
        framing=("close-up", "", "half body")[rng.choice(3, p=[0.32, 0.44, 0.24])],
        light=LIGHTS[rng.integers(len(LIGHTS))] if rng.random() < 0.42 else "",
        tone=TONES[int(rng.random() < 0.25)] if rng.random() < 0.14 else "",
    )


def compose(rng: np.random.Generator, who: Identity, scene: Scene, scale: float = 1.0) -> Floats:
    """The person in the scene: height × width × 3, 0 to 255."""
    behind = background(rng, scene.place, scale)
    cutout = draw_person(rng, who, pose_for(rng, scene.framing), scale)
    person = night(cutout.colour, rng) if scene.place == "at night" else cutout.colour
    alpha = cutout.alpha[..., None]
    return relight(person * alpha + behind * (1 - alpha), [scene.light, scene.tone], rng)


def portrait(seed: int) -> tuple[Pixels, str]:
    """The seed's portrait, 192 × 256, and its caption; a concept is left out now and then."""
    rng = np.random.default_rng(seed)
    who, scene = identity(rng), random_scene(rng)
    picture = compose(rng, who, scene).astype(np.uint8)
    concepts = [scene.place, scene.framing, scene.light, scene.tone]
    if rng.random() < 0.4 and who.style != "bald":
        concepts.append(f"{who.hair} hair")
    if rng.random() < 0.4 and who.pattern != 1:
        concepts.append(f"{who.shirt} shirt")
    return picture, caption([PERSON, *(word for word in concepts if word and rng.random() < 0.93)])


def draw_selfies(identity_seed: int, count: int) -> list[Image.Image]:
    """So many different selfies of one drawn person, 528 × 704: a member for tests and demonstrations."""
    who = identity(np.random.default_rng(identity_seed))
    pictures: list[Image.Image] = []
    for number in range(count):
        rng = np.random.default_rng([identity_seed, number])
        places = list(PLACES if number % 3 else BACKDROPS)
        framing = ("", "close-up", "", "half body")[number % 4]
        scene = Scene(places[rng.integers(len(places))], framing, "", "")
        picture = compose(rng, who, scene, SELFIE_SCALE)
        pictures.append(Image.fromarray(picture.astype(np.uint8)))
    return pictures
