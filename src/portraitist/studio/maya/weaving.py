"""What a member's words name outright: place, clothes, colours, light, shot; or want changed of a card. Pure.

The tables are those of `words/`. A place or a garment goes into the prompt in the member's own words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from portraitist.studio.maya.matching import table
from portraitist.studio.photoshoot.looks import palette
from portraitist.studio.prompting.craft import Parts, ShotType, has_any, listed

_CLOSER: Final = re.compile(
    r"\b(?:head ?shots?|close[- ]ups?|face|profile picture|avatar|passport)\b", re.IGNORECASE
)
_WIDER: Final = re.compile(
    r"\b(?:full[- ](?:body|length)|whole (?:body|outfit)|head to toe|wide|landscape)\b", re.IGNORECASE
)
_MONOCHROME: Final = re.compile(r"\bblack[- ](?:and|&)[- ]white\b|\bmonochrome\b|\bb ?& ?w\b", re.IGNORECASE)
_BEFORE: Final = r"(?P<where>in|on|at|by|beside|under|near|along|inside|outside|through)"


POSES: Final = {
    ShotType.CLOSE_UP: "turned a little towards the light, one hand at the collar",
    ShotType.HALF_BODY: "standing at ease, one hand in a pocket, the other arm loose",
    ShotType.FULL_SCENE: "standing at ease, weight on one leg, hands relaxed at the sides",
}


@dataclass(frozen=True)
class Named:
    """What the words name; empty where they leave it open. `garment` is as said, `outfit` with fabric and fit."""

    place: str = ""
    garment: str = ""
    outfit: str = ""
    light: str = ""
    colours: tuple[str, ...] = ()
    shot: ShotType | None = None
    monochrome: bool = False

    @property
    def is_own(self) -> bool:
        """Whether a place or clothes are named, so that a card can be made of the member's own words."""
        return bool(self.place or self.garment)

    def into(self, parts: Parts, shot: ShotType) -> Parts:
        """The parts with what was named in their place; in a place of the member's own a pose that fits any."""
        return replace(
            parts,
            outfit=self.outfit or parts.outfit,
            place=self.place or parts.place,
            light=self.light or parts.light,
            pose=POSES[shot] if self.place else parts.pose,
            texture="" if self.place or self.outfit else parts.texture,
        )


def named(words: str) -> Named:
    """What these words name outright."""
    text = " ".join(words.split())
    garment, outfit = _garment(text)
    shot = ShotType.CLOSE_UP if _CLOSER.search(text) else ShotType.FULL_SCENE if _WIDER.search(text) else None
    return Named(
        place=_place(text),
        garment=garment,
        outfit=outfit,
        light=_light(text),
        colours=colours_in(_MONOCHROME.sub(" ", text)),
        shot=shot,
        monochrome=bool(_MONOCHROME.search(text)),
    )


def colours_in(text: str) -> tuple[str, ...]:
    """The colours of our palette that are named, as they are said; longer names first."""
    found = _any_of(palette()).finditer(text)
    return tuple(dict.fromkeys(each[0].lower() for each in found))


def wish(words: str) -> str | None:
    """What is to be changed of a card: a line of `wishes.toml`, or None for something else."""
    said = f" {' '.join(re.findall(r'[a-z&]+(?:-[a-z]+)*', words.lower().replace(',', ' ')))} "
    for line, phrases in table("wishes").items():
        if any(f" {phrase.replace(',', '')} " in said for phrase in phrases):
            return str(line)
    return None


def lights(line: str) -> tuple[str, ...]:
    """Lights for a wish such as `warmer`."""
    return tuple(table("lights")[line]["lights"])


def _place(text: str) -> str:
    """A place with what is said of it: `on a sailing boat`, `at the old harbour`; the last one that is named."""
    found = list(_places().finditer(text))
    if not found:
        return ""
    where, article, what = found[-1]["where"], found[-1]["article"], found[-1]["what"]
    if has_any(what, "fabrics"):
        return ""
    article = article if article.lower() in ("a", "an", "the") else "a"
    return " ".join(f"{where} {article} {what}".lower().split())


def _garment(text: str) -> tuple[str, str]:
    """Clothes as they are said, and with fabric and fit added where none are said."""
    found = _garments().search(text)
    if not found:
        return "", ""
    kind = found["kind"].lower()
    said = " ".join(f"a {found['what'] or ''} {found['kind']}".lower().split())
    said = said.removeprefix("a ") if kind in _PLURAL else _with_article(said.removeprefix("a "))
    if has_any(said, "fabrics") and has_any(said, "fits"):
        return said, said
    return said, f"{said} {table('garments')[kind]}"


_PLURAL: Final = frozenset({"jeans", "trousers", "linen", "dungarees"})


def _with_article(what: str) -> str:
    return f"{'an' if what[:1] in 'aeiou' else 'a'} {what}"


def _light(text: str) -> str:
    times = table("lights")["times"]
    found = list(_any_of(times).finditer(text))
    return str(times[found[-1][0].lower()]) if found else ""


@cache
def _places() -> re.Pattern[str]:
    places = "|".join(re.escape(each) for each in _longest_first(listed("places")) if each not in _NO_PLACE)
    between = r"(?:(?!and\b|in\b|on\b|at\b|with\b|wearing\b|the\b)[\w'-]+\s+){0,3}?"
    after = r"(?:\s+(?:of|in|above|over)\s+(?:the\s+)?[A-ZÀ-Ý][\w'-]+)?"
    article = r"(?P<article>an?|the|my|our|some|this|that)"
    return re.compile(
        rf"\b{_BEFORE}\s+{article}\s+(?P<what>{between}(?:{places})s?{after})(?!\w)", re.IGNORECASE
    )


_NO_PLACE: Final = frozenset({"wall", "track", "court", "hall", "deck", "road", "desk"})
"""Words for places that say too little of one by themselves."""


@cache
def _garments() -> re.Pattern[str]:
    kinds = "|".join(re.escape(each) for each in _longest_first(table("garments")))
    lead = (
        r"\b(?:in|wearing|wear|with|put on|have|got|bought|love)\s+(?:an?|the|my|our|his|her|their|some)?\s*"
    )
    return re.compile(rf"{lead}(?P<what>(?:[\w'-]+\s+){{0,3}}?)?(?P<kind>{kinds})(?!\w)", re.IGNORECASE)


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return _compiled(tuple(_longest_first(phrases)))


@cache
def _compiled(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w)", re.IGNORECASE)


def _longest_first(phrases: Iterable[str]) -> list[str]:
    return sorted(phrases, key=len, reverse=True)
