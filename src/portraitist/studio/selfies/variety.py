"""How varied a member's photos are: kinds of light, places, how near the face is. Pure; measured by `pixels`.

What can't be measured is not guessed: how near the face is tells only a service of the operator that finds faces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

DIM, BRIGHT = 95.0, 150.0
"""Mean luma, of 255, below and from which a photo is dim or bright."""
COOL, WARM = 0.0, 30.0
"""Mean red less mean blue below and from which the light is cool or warm: skin alone makes a photo somewhat red."""
ANOTHER_PLACE = 0.6
"""Share of the background's colours that differ between two places."""
CLOSE, HALF = 0.4, 0.16
"""Share of the picture's height that the face takes, from which it is close, or half a person; less is a whole one."""
LIGHTS_ADVISED, PLACES_ADVISED = 3, 4
FRAMED_ADVISED = 2
"""Photos of each framing."""


class Framing(StrEnum):
    """How much of the person is in the picture."""

    CLOSE = "close"
    HALF = "half"
    FULL = "full"


@dataclass(frozen=True)
class Seen:
    """What was measured of one photo; None what was not."""

    mean_luma: float | None
    warmth: float | None
    ground: bytes | None
    face_share: float | None


@dataclass(frozen=True)
class Variety:
    """What photos have between them. `framing` counts photos; None where nobody finds faces."""

    measured: int
    lights: int
    places: int
    framing: dict[Framing, int] | None

    @property
    def lacks(self) -> list[str]:
        """What more photos would best bring, by the names of the advice: none, where it is varied enough."""
        if not self.measured:
            return []
        framing = self.framing or {}
        missing = [kind.value for kind, count in framing.items() if count < FRAMED_ADVISED]
        light = ["light"] if self.lights < LIGHTS_ADVISED else []
        return [*light, *(["places"] if self.places < PLACES_ADVISED else []), *missing]


def variety(photos: Sequence[Seen]) -> Variety:
    """Of the photos that count."""
    shares = [photo.face_share for photo in photos if photo.face_share is not None]
    framing = dict.fromkeys(Framing, 0)
    for share in shares:
        framing[framed(share)] += 1
    return Variety(
        measured=sum(photo.mean_luma is not None for photo in photos),
        lights=len({light(p.mean_luma, p.warmth) for p in photos if p.mean_luma is not None}),
        places=_places(photo.ground for photo in photos if photo.ground is not None),
        framing=framing if shares else None,
    )


def light(mean_luma: float, warmth: float | None) -> tuple[int, int]:
    """The kind of light: how bright, and how warm."""
    tone = warmth or 0.0
    return (mean_luma >= DIM) + (mean_luma >= BRIGHT), (tone >= COOL) + (tone >= WARM)


def framed(face_share: float) -> Framing:
    """By the share of the picture's height that the face takes."""
    if face_share >= CLOSE:
        return Framing.CLOSE
    return Framing.HALF if face_share >= HALF else Framing.FULL


def differs(one: bytes, other: bytes) -> float:
    """How much of the colours of two backgrounds is not shared, 0 to 1."""
    whole = max(1, min(sum(one), sum(other)))
    return 1 - min(1.0, sum(map(min, one, other)) / whole)


def _places(grounds: Iterable[bytes]) -> int:
    """Backgrounds that are unlike all that came before them."""
    found: list[bytes] = []
    for ground in grounds:
        if all(differs(ground, other) >= ANOTHER_PLACE for other in found):
            found.append(ground)
    return len(found)
