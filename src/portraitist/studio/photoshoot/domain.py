"""A set of the AI Photoshoot as it goes on: what is asked for next, when it waits, when it is over. Pure.

The looks are `looks`'; an item becomes an ordinary generation, whose life is the generation's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from portraitist.studio.photoshoot.looks import SHOTS, Collection, Look, own_colours
from portraitist.studio.prompting.craft import ShotType

AT_ONCE = 3
"""Generations of one set under way at once: the rest of it stands in nobody's way."""
MOST_UNFINISHED = 5
"""Sets of one member that are not over."""
MOST_COLOURS = 4
TOMORROW = timedelta(days=1)
LATER = timedelta(hours=1)
"""When a set that the studio itself had to stop is tried again."""


class SetStatus(StrEnum):
    """Where a set stands. The database knows the same closed set."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELED = "canceled"


class Why(StrEnum):
    """Why a set waits. The database knows the same closed set."""

    QUOTA = "quota"
    """The day's pictures are used up; it goes on by itself."""
    WISH = "wish"
    """The member wants the rest tomorrow; it goes on by itself."""
    MODEL = "model"
    """There is no model any more; it goes on when the member says so."""
    STUDIO = "studio"
    """Something on our side; it goes on by itself."""


class ItemStatus(StrEnum):
    """Where one shot stands. The database knows the same closed set."""

    WAITING = "waiting"
    ASKED = "asked"
    """It has a generation, whose own status says the rest."""
    REFUSED = "refused"
    """Its words may not be drawn here; the reason stands with it."""
    CANCELED = "canceled"


OVER = frozenset({SetStatus.DONE, SetStatus.CANCELED})


@dataclass(frozen=True)
class Item:
    """One row of `photo_set_items`: a shot of a look, and how its generation stands."""

    position: int
    look: str
    title: str
    shot: ShotType
    prompt: str
    status: ItemStatus
    attempt: int
    generation_id: UUID | None
    error_code: str | None
    error: str | None
    next_step: str | None
    drawing: bool = False
    drawn: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", ItemStatus(self.status))
        object.__setattr__(self, "shot", ShotType(self.shot))

    @property
    def is_to_do_again(self) -> bool:
        """Whether going on shoots it anew: it was taken back, or came to nothing."""
        came_to_nothing = self.status is ItemStatus.ASKED and not self.drawing and not self.drawn
        return self.status is ItemStatus.CANCELED or came_to_nothing

    def again(self) -> "Item":
        """To be shot anew, by another generation."""
        return replace(self, status=ItemStatus.WAITING, attempt=self.attempt + 1, generation_id=None)


@dataclass(frozen=True)
class PhotoSet:
    """One row of `photo_sets`. `look` is None for a whole collection; `every_shot`: each of its looks in all shots."""

    user_id: str
    id: UUID
    collection: str
    look: str | None
    every_shot: bool
    title: str
    colours: list[str]
    status: SetStatus
    why_paused: Why | None
    resumes_at: datetime | None
    revision: int
    created_at: datetime
    finished_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", SetStatus(self.status))
        object.__setattr__(self, "why_paused", None if self.why_paused is None else Why(self.why_paused))

    @property
    def is_over(self) -> bool:
        """Whether nothing is asked for any more, unless the member has it go on."""
        return self.status in OVER

    def running(self) -> "PhotoSet":
        """It goes on."""
        return replace(self, status=SetStatus.RUNNING, why_paused=None, resumes_at=None, finished_at=None)

    def paused(self, why: Why, resumes_at: datetime | None) -> "PhotoSet":
        """It waits; None: until the member has it go on."""
        return replace(self, status=SetStatus.PAUSED, why_paused=why, resumes_at=resumes_at)

    def over(self, status: SetStatus, now: datetime) -> "PhotoSet":
        """Done, or canceled."""
        return replace(self, status=status, why_paused=None, resumes_at=None, finished_at=now)


@dataclass(frozen=True)
class Ask:
    """Have this item drawn."""

    item: Item


@dataclass(frozen=True)
class Resume:
    """The time of waiting is over."""


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do."""


Step = Ask | Resume | Finish | None


def next_step(photo_set: PhotoSet, items: Sequence[Item], now: datetime) -> Step:
    """What to do with the set now; None: nothing, it has to wait or is over."""
    if photo_set.status is SetStatus.PAUSED:
        is_time = photo_set.resumes_at is not None and photo_set.resumes_at <= now
        return Resume() if is_time else None
    if photo_set.status is not SetStatus.RUNNING:
        return None
    under_way = sum(item.drawing for item in items)
    waiting = next((item for item in items if item.status is ItemStatus.WAITING), None)
    if waiting is not None:
        return Ask(waiting) if under_way < AT_ONCE else None
    return None if under_way else Finish()


def key_of(photo_set: PhotoSet, item: Item) -> str:
    """The idempotency key of an item's generation: the same whoever asks for this shot, so that it is drawn once."""
    return f"photoshoot {photo_set.id} {item.position} {item.attempt}"


def shots(collection: Collection, look: Look | None, colours: Sequence[str], every_shot: bool) -> list[Item]:
    """What a set is of: each shot of one look, or each look of a collection in the shot that stands for it.

    `every_shot`: each look of the collection in all its shots, look by look.
    """
    if look is not None:
        return [_item(place, look, shot, colours[:2]) for place, shot in enumerate(SHOTS)]
    chosen = [
        (each, shot, own_colours(colours, place))
        for place, each in enumerate(collection.looks)
        for shot in (SHOTS if every_shot else (each.lead,))
    ]
    return [_item(position, *each) for position, each in enumerate(chosen)]


def _item(position: int, look: Look, shot: ShotType, colours: Sequence[str]) -> Item:
    prompt = look.prompt(shot, colours if look.takes_colours else ())
    return Item(
        position=position,
        look=look.slug,
        title=look.title,
        shot=shot,
        prompt=prompt,
        status=ItemStatus.WAITING,
        attempt=0,
        generation_id=None,
        error_code=None,
        error=None,
        next_step=None,
    )
