"""What a well-made prompt is: ten rules, a linter that names each one broken, and prompts composed by them.

Pure; the words that a rule looks for are in `crafted/`, a list for each. Mending is `repair`'s, refusing what no
picture is made of is `refusing`'s, and the trigger word is put in at generation by `compose`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from portraitist.studio.architecture import trigger_pattern

FEWEST_WORDS, MOST_WORDS = 40, 120
SUBJECT: Final = "{subject}"
"""Stands for the member's own subject word in what is written before the member is known."""


class ShotType(StrEnum):
    """How much of the person and the place is seen."""

    CLOSE_UP = "close_up"
    HALF_BODY = "half_body"
    FULL_SCENE = "full_scene"


@dataclass(frozen=True)
class Lens:
    """Focal length in millimetres and the f-numbers that go with it; `usual` is written where nobody chose."""

    millimetres: int
    widest: float
    narrowest: float
    usual: str
    words: str


LENSES: Final[Mapping[ShotType, Lens]] = MappingProxyType(
    {
        ShotType.CLOSE_UP: Lens(85, 1.4, 2.8, "f/2", "close-up portrait"),
        ShotType.HALF_BODY: Lens(50, 1.2, 2.8, "f/2.2", "half-body portrait"),
        ShotType.FULL_SCENE: Lens(35, 1.8, 4.0, "f/2.8", "full-length scene"),
    }
)
"""The lens of each shot type: reference of portrait photography, and the only home of these numbers."""


@dataclass(frozen=True)
class Finding:
    """A rule that a prompt breaks. `repairable`: `repair` can put it right without taking a word away."""

    rule: str
    message: str
    repairable: bool = False


@dataclass(frozen=True)
class Text:
    """A prompt as the rules read it. `said`: what the member said themselves, which nobody holds against them."""

    prompt: str
    trigger: str | None
    subject: str | None
    shot: ShotType
    said: str = ""
    monochrome: bool = False

    @property
    def bare(self) -> str:
        """The prompt without a leading trigger word."""
        return self.prompt[len(self.trigger) :].lstrip() if self._led and self.trigger else self.prompt

    @property
    def _led(self) -> bool:
        return self.trigger is not None and self.prompt.startswith(f"{self.trigger} ")


@dataclass(frozen=True)
class Parts:
    """What one picture is made of, each in a few words: `outfit` with fabric and fit, `light` with all three."""

    outfit: str
    pose: str
    place: str
    light: str
    mood: str
    texture: str = ""


TEXTURE: Final = "natural texture and fine film grain"
_LENS: Final = re.compile(r"(?<![\w.])(\d{2,3}) ?mm\b", re.IGNORECASE)
_APERTURE: Final = re.compile(r"\bf ?/ ?(\d+(?:\.\d+)?)", re.IGNORECASE)
LONGEST_PHRASE: Final = 5
_WORDS: Final = re.compile(r"\w+(?:'\w+)*|[,;:.!?|()]")
_MARKS: Final = frozenset(",;:.!?|()")
_TRIGGER_LIKE: Final = re.compile(r"\buser[a-z0-9]{12}\b", re.IGNORECASE)
WEIGHTS: Final = re.compile(
    r"[(\[{]|[)\]}]|:\s*:?\s*-?\d+(?:\.\d+)?(?=\s*[)\]}])|(?<=\w)::\s*-?\d+(?:\.\d+)?|(?<=\w)\+\++"
)
"""Marks with which other tools weigh words."""
_PARAMETERS: Final = re.compile(r"<[^<>]*:[^<>]*>|(?<!\S)--\w", re.IGNORECASE)


def lint_card(
    prompt: str,
    *,
    trigger: str | None,
    subject: str | None,
    shot: ShotType,
    said: str = "",
    monochrome: bool = False,
) -> tuple[Finding, ...]:
    """Each rule that the prompt of a card or look breaks; empty for a well-made one.

    `trigger` None: written before the member is known, then no trigger word may stand in it at all. `subject` None:
    the place is held by SUBJECT. `said`: the member's own words, which may describe themselves. `monochrome`: black
    and white was asked for.
    """
    text = Text(prompt, trigger, subject, shot, said, monochrome)
    return tuple(finding for rule in _RULES for finding in rule(text))


def composed(parts: Parts, *, subject: str | None, shot: ShotType, words: str = "") -> str:
    """One prompt of these parts, by the rules; `words` of the member are taken in whole, just after the subject.

    Without a trigger word, which is put in at generation. Short parts are carried to the fewest words by remarks on
    the frame; nothing is cut.
    """
    lens = LENSES[shot]
    camera = f"{lens.words}, {lens.millimetres} mm lens at {lens.usual}"
    said = f"{words.strip(' ,')}," if words.strip(" ,") else ""
    begun = " ".join(filter(None, (subject or SUBJECT, said, "wearing", parts.outfit)))
    pieces = [begun, parts.pose, parts.place, parts.light, parts.mood, camera, parts.texture or TEXTURE]
    for more in listed("frames"):
        if count_words(", ".join(pieces)) >= FEWEST_WORDS:
            break
        pieces.append(more)
    return ", ".join(piece.strip(" ,") for piece in pieces if piece.strip(" ,"))


def count_words(prompt: str) -> int:
    """Words, as the rule counts them: whatever stands between white space and has a letter or digit."""
    return sum(any(character.isalnum() for character in word) for word in prompt.split())


def has_any(prompt: str, which: str) -> bool:
    """Whether a word or phrase of one of our lists stands in the prompt."""
    return _found(prompt, which) is not None


def lens_of(prompt: str) -> list[int]:
    """Every focal length named, in millimetres."""
    return [int(found[1]) for found in _LENS.finditer(prompt)]


def _trigger(text: Text) -> Iterator[Finding]:
    if text.trigger is None:
        if _TRIGGER_LIKE.search(text.prompt):
            yield Finding("trigger", "A trigger word stands in it; it is put in at generation.")
    elif len(trigger_pattern(text.trigger).findall(text.prompt)) != 1 or text.bare == text.prompt:
        yield Finding("trigger", "The trigger word comes first, and once.", repairable=True)


def _subject(text: Text) -> Iterator[Finding]:
    subject = text.subject or SUBJECT
    if not re.match(rf"{re.escape(subject)}(?!\w)", text.bare):
        yield Finding(
            "subject", "The subject word comes first, after the trigger word if any.", repairable=True
        )


def _length(text: Text) -> Iterator[Finding]:
    words = count_words(text.bare)
    if not FEWEST_WORDS <= words <= MOST_WORDS:
        told = f"It has {words} words; {FEWEST_WORDS} to {MOST_WORDS} say what matters."
        yield Finding("length", told, repairable=words < FEWEST_WORDS)


def _one_moment(text: Text) -> Iterator[Finding]:
    if found := _found(text.bare, "alternatives"):
        yield Finding("one_moment", f"One moment, one outfit, one place: “{found}” makes it several.")


def _outfit(text: Text) -> Iterator[Finding]:
    for rule, which, wanted in (
        ("fabric", "fabrics", "a fabric, such as linen or wool"),
        ("fit", "fits", "how it fits, such as tailored or relaxed"),
    ):
        if not has_any(text.bare, which):
            yield Finding(rule, f"The outfit lacks {wanted}.")


def _place(text: Text) -> Iterator[Finding]:
    if not has_any(text.bare, "places"):
        yield Finding("place", "It says no place.")


def _light(text: Text) -> Iterator[Finding]:
    for rule, which, wanted in (
        ("light_direction", "light_directions", "where it comes from, such as from a window or from behind"),
        ("light_quality", "light_qualities", "its quality, such as soft or crisp"),
        ("light_time", "light_times", "the time of day, such as morning, or that it is a studio's"),
    ):
        if not has_any(text.bare, which):
            yield Finding(rule, f"The light lacks {wanted}.")


def _lens(text: Text) -> Iterator[Finding]:
    lens, named = LENSES[text.shot], lens_of(text.bare)
    if not named:
        yield Finding(
            "lens", f"It names no lens; {lens.millimetres} mm goes with this shot.", repairable=True
        )
    elif named != [lens.millimetres]:
        told = ", ".join(f"{each} mm" for each in named)
        yield Finding("lens", f"It names {told}; {lens.millimetres} mm, once, goes with this shot.")
    stops = [float(found[1]) for found in _APERTURE.finditer(text.bare)]
    if not stops:
        yield Finding("aperture", f"It names no aperture; {lens.usual} goes with this shot.", repairable=True)
    elif len(stops) > 1 or not lens.widest <= stops[0] <= lens.narrowest:
        yield Finding(
            "aperture", f"One aperture between f/{lens.widest:g} and f/{lens.narrowest:g} goes here."
        )


def _shot(text: Text) -> Iterator[Finding]:
    others = [shot for shot in ShotType if shot is not text.shot and has_any(text.bare, f"shot_{shot}")]
    if others:
        yield Finding("shot", f"It also speaks of another shot ({others[0].replace('_', ' ')}).")
    elif not has_any(text.bare, f"shot_{text.shot}"):
        yield Finding("shot", f"It does not say “{LENSES[text.shot].words}”.", repairable=True)


def _texture(text: Text) -> Iterator[Finding]:
    if not has_any(text.bare, "textures"):
        yield Finding("texture", f"It has no natural texture, such as “{TEXTURE}”.", repairable=True)


def _pose(text: Text) -> Iterator[Finding]:
    if not has_any(text.bare, "hands"):
        yield Finding("hands", "It does not say where the hands are.", repairable=True)
    if found := _found(text.bare, "tangles"):
        yield Finding("tangled", f"“{found}” tangles limbs; a simple pose holds better.")
    if not has_any(text.bare, "moods"):
        yield Finding("mood", "It has no mood, such as calm or confident.", repairable=True)


def _syntax(text: Text) -> Iterator[Finding]:
    if _PARAMETERS.search(text.bare):
        yield Finding("weights", "Parameters and weights are not named in a prompt.")
    elif WEIGHTS.search(text.bare.replace(SUBJECT, "")):
        yield Finding("weights", "Words are not weighed with brackets or numbers.", repairable=True)
    if found := _found(text.bare, "negations"):
        yield Finding("negative", f"Say what is there, not what is not (“{found}”).")
    if not text.monochrome and (found := _unsaid(text, "monochromes")):
        yield Finding("monochrome", f"“{found}” only where it was asked for.")


def _person(text: Text) -> Iterator[Finding]:
    if found := _unsaid(text, "looks_of_people"):
        yield Finding("person", f"“{found}” describes the person, who is as they are.")
    if found := _unsaid(text, "genders"):
        yield Finding("gender", f"“{found}” assumes a gender.")
    if found := _found(text.bare, "imitations"):
        yield Finding("imitation", f"“{found}” imitates somebody.")


_RULES: Final[tuple[Callable[[Text], Iterator[Finding]], ...]] = (
    *(_trigger, _subject, _one_moment, _outfit, _place, _light, _lens, _shot),
    *(_texture, _pose, _syntax, _length, _person),
)


def _unsaid(text: Text, which: str) -> str | None:
    """What of a list stands in the prompt and neither in its subject word nor in the member's own words."""
    said = frozenset(_phrases(f"{text.said} | {text.subject or ''}"))
    return next((each for each in _all_found(text.bare, which) if each not in said), None)


def _found(prompt: str, which: str) -> str | None:
    return next(_all_found(prompt, which), None)


def _all_found(prompt: str, which: str) -> Iterator[str]:
    known = _known(which)
    return (phrase for phrase in _phrases(prompt) if phrase in known)


@lru_cache(maxsize=64)
def _phrases(text: str) -> tuple[str, ...]:
    """Every run of up to LONGEST_PHRASE words that no other mark than a hyphen parts, the longest of a place first."""
    words = _WORDS.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return tuple(
        " ".join(run)
        for at in range(len(words))
        for length in range(LONGEST_PHRASE, 0, -1)
        if len(run := words[at : at + length]) == length and not any(word in _MARKS for word in run)
    )


@cache
def _known(which: str) -> frozenset[str]:
    return frozenset(" ".join(_WORDS.findall(line.lower())) for line in listed(which))


@cache
def listed(which: str) -> tuple[str, ...]:
    """The lines of one of our lists."""
    text = files(__package__).joinpath("crafted", f"{which}.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
