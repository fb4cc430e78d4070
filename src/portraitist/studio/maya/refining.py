"""A card with one thing changed, in a few ways: another light, place, outfit, distance, or without colour. Pure.

Which wish was meant is `weaving`'s to read; whether a changed card keeps the rules of prompts is `book`'s to see.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from portraitist.studio.maya import weaving
from portraitist.studio.maya.domain import Concept
from portraitist.studio.photoshoot.looks import Look
from portraitist.studio.prompting.craft import Parts, ShotType

SHOTS: Final[Mapping[ShotType, str]] = {
    ShotType.CLOSE_UP: "closer",
    ShotType.HALF_BODY: "from the waist",
    ShotType.FULL_SCENE: "with all of the place",
}
LIGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "warmer": ("lower sun", "golden", "by lamplight"),
    "cooler": ("clear morning", "silver", "blue hour"),
    "softer": ("window light", "open sky", "soft studio"),
    "bolder": ("hard light", "half in shadow", "against the sun"),
    "evening": ("lamps on", "after dark", "blue hour"),
}
"""What each of the lights of `words/lights.toml` is called on a card."""


def changed(wish: str, card: Concept, parts: Parts, look: Look, others: Sequence[Look]) -> Iterator[Concept]:
    """The cards that a wish leads to; `look` gives the poses, `others` places and clothes."""
    match wish:
        case "warmer" | "cooler" | "softer" | "bolder" | "evening" | "same_evening":
            yield from _lit("evening" if wish == "same_evening" else wish, card, parts, look)
        case "place":
            for other in others:
                moved = replace(other.parts(card.shot), outfit=parts.outfit)
                yield Concept(other.title, other.description, card.shot, card.category, "", None, moved)
        case "outfit":
            for number, other in enumerate(others, 1):
                dressed = replace(parts, outfit=other.parts(card.shot).outfit)
                told = f"The same place and light, with the clothes of “{other.title}”."
                yield _called(card, f"restyled {number}", card.shot, dressed, told)
        case "closer" | "wider":
            shot = ShotType.CLOSE_UP if wish == "closer" else ShotType.FULL_SCENE
            yield _called(card, SHOTS[shot], shot, replace(parts, pose=_pose(card, look, shot)))
        case "black_and_white" | "colour":
            mono = wish == "black_and_white"
            light = re.sub(r",? in black and white", "", parts.light) + (
                ", in black and white" if mono else ""
            )
            yield from _in_each(
                card, replace(parts, light=light), look, "without colour" if mono else "in colour"
            )
        case _:
            yield from _in_each(card, parts, look, "again")


def is_monochrome(concept: Concept) -> bool:
    """Whether the card is black and white."""
    return "in black and white" in (concept.parts.light if concept.parts else concept.prompt)


def _lit(line: str, card: Concept, parts: Parts, look: Look) -> Iterator[Concept]:
    shots = (card.shot, *(each for each in ShotType if each is not card.shot))
    for light, how, shot in zip(weaving.lights(line), LIGHTS[line], shots, strict=True):
        pose = parts.pose if shot is card.shot else _pose(card, look, shot)
        called = how if shot is card.shot else f"{how}, {SHOTS[shot]}"
        yield _called(card, called, shot, replace(parts, light=light, pose=pose))


def _in_each(card: Concept, parts: Parts, look: Look, how: str) -> Iterator[Concept]:
    """In each shot; the card itself is not among them."""
    for shot in ShotType:
        varied = replace(parts, pose=_pose(card, look, shot))
        if shot is not card.shot or varied != card.parts:
            yield _called(card, how if shot is card.shot else f"{how}, {SHOTS[shot]}", shot, varied)


def _pose(card: Concept, look: Look, shot: ShotType) -> str:
    """The look's own pose; one that fits anywhere where the place is the member's own."""
    return weaving.POSES[shot] if card.look is None else look.poses[shot]


def _called(card: Concept, how: str, shot: ShotType, parts: Parts, description: str = "") -> Concept:
    base = card.title.split(" · ")[0][:40]
    return Concept(
        f"{base} · {how}", description or card.description, shot, card.category, "", card.look, parts
    )
