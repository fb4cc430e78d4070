"""How Maya says it where no language model speaks for her: sentences of `words/voice.toml`, by what was said. Pure.

The same words in the same place of a conversation get the same sentences, so that a retry changes nothing.
"""

import zlib
from collections.abc import Sequence
from typing import Any

from portraitist.studio.maya.matching import table, topics
from portraitist.studio.maya.weaving import Named

FEW = 3
IN_COLOURS = "In my colours"


def pick(lines: Sequence[str], seed: str) -> str:
    """One of the sentences, the same each time."""
    return lines[zlib.crc32(seed.encode()) % len(lines)]


def said(kind: str, seed: str, **words: str) -> str:
    """A sentence of this kind; `Garment` is `garment` with a capital."""
    capitals = {name.capitalize(): _capital(value) for name, value in words.items()}
    return pick(table("voice")[kind], seed).format(**words, **capitals)


def opening(words: str, named: Named, seed: str) -> str:
    """How she takes up an idea: by what it names."""
    if named.garment and named.place:
        return said("place_and_garment", seed, garment=named.garment, place=named.place)
    if named.place:
        return said("place", seed, place=named.place)
    if named.garment:
        return said("garment", seed, garment=named.garment)
    if named.colours:
        return said("colour", seed, colour=" and ".join(named.colours[:2]))
    known = [topic for topic in topics(words) if topic in _SAYABLE]
    return said("topic", seed, topic=_SAYABLE[known[0]]) if known else said("plain", seed)


def suggestions(about: Sequence[str], seed: str, *, has_colours: bool = False) -> tuple[str, ...]:
    """Two to four ways on, most of them fitting what the talk is about."""
    lines: dict[str, Any] = dict(table("suggestions"))
    fitting: list[str] = next((lines[topic] for topic in about if topic in lines), [])
    start = zlib.crc32(seed.encode()) % len(lines["any"])
    others = [*lines["any"][start:], *lines["any"][:start]]
    offered = [each for each in (*fitting[:FEW], *others) if has_colours or each != IN_COLOURS]
    return tuple(dict.fromkeys(offered))[: FEW + 1]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


_SAYABLE = {
    "work": "work",
    "speaker": "a talk",
    "write": "somebody who writes",
    "heal": "somebody people trust",
    "create": "somebody who makes things",
    "celebrate": "a celebration",
    "night": "an evening out",
    "morning": "a morning",
    "sea": "the sea",
    "nature": "the outdoors",
    "mountain": "the mountains",
    "winter": "winter",
    "autumn": "autumn",
    "summer": "summer",
    "rain": "rain",
    "city": "the city",
    "travel": "a journey",
    "home": "a day at home",
    "calm": "something calm",
    "sport": "movement",
    "power": "a strong picture",
    "music": "music",
    "old": "something timeless",
    "dream": "something romantic",
    "fun": "something playful",
    "moody": "something moody",
    "plain": "something simple",
    "food": "good food",
}
"""Topics as she speaks of them."""
