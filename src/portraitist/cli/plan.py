"""What a `shoot` or `train` has to do, decided from the folder and what the studio knows. Pure.

Photos are compared by the SHA-256 of their bytes. Nothing here reads a file or calls the studio.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from portraitist.cli.wire import Training

MINIMUM_PHOTOS = 10
MAXIMUM_PHOTOS = 50


@dataclass(frozen=True)
class Situation:
    """All that the decision needs."""

    folder: frozenset[str]
    selfies: Mapping[str, bool]  # digest → accepted
    active_photos: frozenset[str] | None  # None: no model yet
    in_hand: Training | None
    retrain: bool


@dataclass(frozen=True)
class Reuse:
    """The active model serves; `new` and `gone` count what differs from its photos."""

    new: int
    gone: int


@dataclass(frozen=True)
class Follow:
    """A training is in hand already: wait for it."""

    training: Training


@dataclass(frozen=True)
class Train:
    """Upload what the studio lacks, take back what left the folder, then train."""

    upload: frozenset[str]
    remove: frozenset[str]


@dataclass(frozen=True)
class Refuse:
    """These are hardly the same person's photos: `left` of `known` are still there."""

    left: int
    known: int


Plan = Reuse | Follow | Train | Refuse


def decide(now: Situation) -> Plan:
    """The one thing to do next about the member's model.

    Only photos that a model was trained on (or is being) are held against a changed folder: before that nothing
    was spent, and another choice of photos is what the judgement asked for.
    """
    known = (now.active_photos or frozenset()) | (now.in_hand.photos if now.in_hand else frozenset())
    left = len(known & now.folder)
    if left * 2 < len(known):
        return Refuse(left=left, known=len(known))
    if now.in_hand is not None:
        return Follow(now.in_hand)
    if now.active_photos is not None and not now.retrain:
        rejected = frozenset(digest for digest, good in now.selfies.items() if not good)
        return Reuse(
            new=len(now.folder - now.active_photos - rejected), gone=len(now.active_photos - now.folder)
        )
    return Train(upload=now.folder - frozenset(now.selfies), remove=frozenset(now.selfies) - now.folder)
