"""The looks that can be shot: collections as data files, ours in `looks/` and an operator's folder over them.

Pure but for reading files at start. A look is parts of a picture; a prompt is composed of them by `prompting.craft`,
whose rules every look has passed before it is offered. What a file may hold is `reading`'s.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from portraitist.studio.prompting import craft
from portraitist.studio.prompting.craft import Parts, ShotType

MAIN, ACCENT = "{main}", "{accent}"
"""Where a look's outfit takes a colour: its own, or the member's."""
SHOTS: Final = tuple(ShotType)


@dataclass(frozen=True)
class Look:
    """One look: an outfit, a place and a light, and a pose for each shot type.

    `colours` are the words for MAIN and ACCENT where nobody chose others; `lead` is the shot that stands for the look
    in a whole set; `monochrome`: it is black and white.
    """

    slug: str
    title: str
    description: str
    keywords: tuple[str, ...]
    colours: tuple[str, ...]
    lead: ShotType
    outfit: str
    place: str
    light: str
    mood: str
    texture: str
    poses: Mapping[ShotType, str]
    collection: str
    category: str
    monochrome: bool

    @property
    def takes_colours(self) -> bool:
        """Whether it can be had in a member's own colours."""
        return MAIN in self.outfit

    def parts(self, shot: ShotType, colours: Sequence[str] = ()) -> Parts:
        """What the picture is made of; `colours` stand in for the look's own, as far as they go."""
        main, accent = (*colours, *self.colours[len(colours) :], "", "")[:2]
        outfit = self.outfit.replace(MAIN, main).replace(ACCENT, accent)
        return Parts(outfit, self.poses[shot], self.place, self.light, self.mood, self.texture)

    def prompt(self, shot: ShotType, colours: Sequence[str] = ()) -> str:
        """The prompt of one shot, with `craft.SUBJECT` in the member's place and without a trigger word."""
        return craft.composed(self.parts(shot, colours), subject=None, shot=shot)


@dataclass(frozen=True)
class Collection:
    """Looks that belong together; `motif` and `palette` are what its cover is drawn of."""

    slug: str
    title: str
    description: str
    category: str
    order: int
    motif: str
    palette: tuple[str, ...]
    looks: tuple[Look, ...]

    @property
    def takes_colours(self) -> bool:
        """Whether the set can be had in a member's own colours."""
        return any(look.takes_colours for look in self.looks)


@dataclass(frozen=True)
class LookBook:
    """Every collection on offer, in order."""

    collections: tuple[Collection, ...]

    @property
    def looks(self) -> tuple[Look, ...]:
        """Every look, in order."""
        return tuple(look for collection in self.collections for look in collection.looks)

    def collection(self, slug: str) -> Collection | None:
        """The collection of this name."""
        return next((each for each in self.collections if each.slug == slug), None)

    def look(self, slug: str) -> Look | None:
        """The look of this name."""
        return next((each for each in self.looks if each.slug == slug), None)


def in_order(collections: Iterable[Collection]) -> LookBook:
    """The book of these collections."""
    return LookBook(tuple(sorted(collections, key=lambda each: (each.order, each.slug))))


def own_colours(colours: Sequence[str], position: int) -> tuple[str, ...]:
    """A member's colours for the look at this place of a set: they take turns, the same way each time."""
    return tuple(colours[(position + n) % len(colours)] for n in range(min(2, len(colours))))


@cache
def palette() -> Mapping[str, str]:
    """The colours that clothes may have, by name, and how they are shown (#rrggbb)."""
    text = files(__package__).joinpath("colours.toml").read_text("utf-8")
    return MappingProxyType(tomllib.loads(text))


def own_files() -> tuple[Path, ...]:
    """Our collections' files."""
    return tuple(sorted(Path(str(files(__package__) / "looks")).glob("*.toml")))
