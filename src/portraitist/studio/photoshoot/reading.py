"""How a collection is read of a TOML file: its shape, and the rules that every prompt of it has to pass.

Whatever is wrong is said with file, look and field, and all of it at once, for the person who wrote the file. What a
collection is stands in `looks`.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from portraitist.studio.photoshoot import looks
from portraitist.studio.photoshoot.covers import MOTIFS
from portraitist.studio.photoshoot.looks import ACCENT, MAIN, SHOTS, Collection, Look, LookBook
from portraitist.studio.prompting.craft import SUBJECT, ShotType, lint_card
from portraitist.studio.prompting.refusing import Refusals

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(pattern=SLUG, max_length=60)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]
LONG_COLOURS = ("midnight blue", "bottle green")
FIELDS = {
    "fabric": "outfit",
    "fit": "outfit",
    "place": "place",
    "light_direction": "light",
    "light_quality": "light",
    "light_time": "light",
    "mood": "mood",
    "texture": "texture",
}
"""Which field of a look mends what the linter finds; whatever else it finds is the shot's."""
Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Shots(_Shape):
    close_up: Text
    half_body: Text
    full_scene: Text


class _Look(_Shape):
    slug: Slug
    title: Title
    description: Text
    keywords: tuple[Title, ...] = Field(min_length=3, max_length=12)
    colours: tuple[str, ...] = Field(max_length=2)
    lead: ShotType
    outfit: Text
    place: Text
    light: Text
    mood: Text
    texture: Text
    shots: _Shots


class _File(_Shape):
    title: Title
    description: Text
    category: Title
    order: int = Field(default=500, ge=0)
    motif: str = MOTIFS[0]
    palette: tuple[Hex, ...] = Field(min_length=3, max_length=5)
    monochrome: bool = False
    look: tuple[_Look, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file; `look` and `field` are empty where it is the file's as a whole."""

    file: str
    look: str
    field: str
    message: str

    def __str__(self) -> str:
        where = [self.file, f"look {self.look}" if self.look else "", self.field]
        return f"{', '.join(filter(None, where))}: {self.message}"


class LooksInvalid(ValueError):
    """Some looks can't be offered; `problems` says which, and why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def read(folder: Path | None = None) -> LookBook:
    """Our collections, and over them an operator's: a file of the same name takes the place of ours.

    Raises LooksInvalid with everything that is wrong, and OSError for a folder that can't be read.
    """
    if folder is None:
        return looks.in_order(_ours())
    book, problems = offered(folder)
    if problems:
        raise LooksInvalid(problems)
    return book


def offered(folder: Path, before: LookBook | None = None) -> tuple[LookBook, list[Problem]]:
    """What can be offered of an operator's folder, beside ours, and everything that is wrong with the rest.

    A file that can't be taken leaves what stood under its name `before`. Raises OSError for a folder that can't be
    read.
    """
    collections, problems = _read(sorted(folder.iterdir()))
    theirs = {each.slug: each for each in collections}
    for slug in {_slug(each.file) for each in problems}:
        if before is not None and (former := before.collection(slug)) is not None:
            theirs[slug] = former
    found = {each.slug: each for each in _ours() if each.slug not in theirs} | theirs
    taken = _twice(found.values())
    for each in taken:
        found.pop(_slug(each.file), None)
    return looks.in_order(found.values()), problems + taken


def _slug(file: str) -> str:
    return file.removesuffix(".toml")


@cache
def _ours() -> tuple[Collection, ...]:
    """Read once: files of the package do not change. Their prompts pass the rules in CI, which takes its time."""
    return tuple(_made(path.name, _shape(path.name, path.read_bytes())) for path in looks.own_files())


def _read(paths: Iterable[Path]) -> tuple[list[Collection], list[Problem]]:
    collections: list[Collection] = []
    problems: list[Problem] = []
    for path in paths:
        if path.suffix != ".toml":
            continue
        try:
            collections.append(collection_of(path.name, path.read_bytes()))
        except LooksInvalid as exc:
            problems += exc.problems
        except OSError as exc:
            problems.append(Problem(path.name, "", "", f"it can't be read: {exc.strerror}"))
    return collections, problems


def collection_of(file: str, content: bytes) -> Collection:
    """The collection that a file holds, every prompt of it linted; its slug is the file's name. Raises LooksInvalid."""
    collection = _made(file, _shape(file, content))
    if problems := [*_of_collection(file, collection), *_of_looks(file, collection)]:
        raise LooksInvalid(problems)
    return collection


def _made(file: str, shape: _File) -> Collection:
    slug = _slug(file)
    return Collection(
        slug=slug,
        title=shape.title,
        description=shape.description,
        category=shape.category,
        order=shape.order,
        motif=shape.motif,
        palette=shape.palette,
        looks=tuple(_look(each, slug, shape) for each in shape.look),
    )


def _shape(file: str, content: bytes) -> _File:
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise LooksInvalid([Problem(file, "", "", f"it is no TOML file in UTF-8: {exc}")]) from exc
    try:
        return _File.model_validate(data)
    except ValidationError as exc:
        raise LooksInvalid([_of_shape(file, data, error) for error in exc.errors()]) from exc


def _of_shape(file: str, data: dict[str, Any], error: Any) -> Problem:
    """A finding about the shape, with the look called by its slug where it has one and by its place where not."""
    at = [str(part) for part in error["loc"]]
    look = ""
    if len(at) > 1 and at[0] == "look" and at[1].isdigit():
        told = data["look"][int(at[1])]
        slug = told.get("slug") if isinstance(told, dict) else None
        look = slug if isinstance(slug, str) and slug else f"number {int(at[1]) + 1}"
        at = at[2:]
    return Problem(file, look, ".".join(at), error["msg"][:1].lower() + error["msg"][1:])


def _look(shape: _Look, collection: str, file: _File) -> Look:
    poses = {shot: str(getattr(shape.shots, shot.value)) for shot in SHOTS}
    return Look(
        **shape.model_dump(exclude={"shots"}),
        poses=MappingProxyType(poses),
        collection=collection,
        category=file.category,
        monochrome=file.monochrome,
    )


def _of_collection(file: str, collection: Collection) -> Iterator[Problem]:
    if not re.fullmatch(SLUG, collection.slug):
        told = "small letters and digits with hyphens between, and .toml, as in golden-hour.toml"
        yield Problem(file, "", "", f"the file's name is the collection's: {told}")
    if not collection.looks:
        yield Problem(file, "", "look", "there is no look in it")
    if collection.motif not in MOTIFS:
        yield Problem(file, "", "motif", f"“{collection.motif}” is none of {', '.join(MOTIFS)}")


def _of_looks(file: str, collection: Collection) -> Iterator[Problem]:
    for look in collection.looks:
        yield from _of_colours(file, look)
        if Refusals().refuses(_said(look)):
            yield Problem(file, look.slug, "", "the studio makes no such picture: a word of it is refused")
        for shot in SHOTS:
            for field, message in dict.fromkeys(_of_prompts(look, shot)):
                yield Problem(file, look.slug, field, message)


def _of_colours(file: str, look: Look) -> Iterator[Problem]:
    known = looks.palette()
    for colour in look.colours:
        if colour not in known:
            yield Problem(file, look.slug, "colours", f"“{colour}” is not one of: {', '.join(known)}")
    wanted = (MAIN in look.outfit) + (ACCENT in look.outfit)
    if ACCENT in look.outfit and MAIN not in look.outfit:
        yield Problem(file, look.slug, "outfit", f"{ACCENT} stands in it without {MAIN}")
    elif len(look.colours) < wanted:
        yield Problem(
            file, look.slug, "colours", f"the outfit takes {wanted}, and {len(look.colours)} are given"
        )


def _of_prompts(look: Look, shot: ShotType) -> Iterator[tuple[str, str]]:
    """What is wrong with the prompt of this shot, in the look's colours and in long ones: (field, message)."""
    for colours in ((), LONG_COLOURS) if look.takes_colours else ((),):
        prompt = look.prompt(shot, colours)
        for finding in lint_card(prompt, trigger=None, subject=None, shot=shot, monochrome=look.monochrome):
            yield FIELDS.get(finding.rule, f"shots.{shot.value}"), finding.message
        words = prompt.replace(SUBJECT, "")
        if "{" in words or "}" in words:
            yield f"shots.{shot.value}", f"only {MAIN} and {ACCENT} may stand in braces, in the outfit"


def _said(look: Look) -> str:
    """All that a look says, once: reading it for what is refused takes time."""
    return ", ".join([look.outfit, *look.poses.values(), look.place, look.light, look.mood, look.texture])


def _twice(collections: Iterable[Collection]) -> list[Problem]:
    """Looks of the same name: a picture says which look it shows."""
    first: dict[str, str] = {}
    problems = []
    for collection in collections:
        for look in collection.looks:
            file = f"{collection.slug}.toml"
            if look.slug in first:
                told = f"{first[look.slug]} has a look of this name; take another"
                problems.append(Problem(file, look.slug, "slug", told))
            first.setdefault(look.slug, file)
    return problems
