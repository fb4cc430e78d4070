"""Which looks fit a member's words: words in common, or words that mean much the same. Pure.

The table of meanings is `words/synonyms.toml`; rare words weigh more than common ones. What is made of the looks is
`book`'s.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self

from portraitist.studio.photoshoot.looks import Look

_WORD: Final = re.compile(r"[a-zà-ÿ]+")
WEIGHTS: Final[Mapping[str, float]] = {"keywords": 3.0, "title": 2.0, "place": 1.5, "rest": 0.7}
MEANT: Final = 0.45
"""What a word counts that only means the same."""


def words_of(text: str) -> list[str]:
    """The words of a text that say something, in their plain form."""
    found = (stem(word) for word in _WORD.findall(text.lower()) if word not in _empty())
    return [word for word in found if len(word) > 1]


def stem(word: str) -> str:
    """A word without the commonest endings: boats and boat, hiking and hike."""
    for ending, kept in (("ies", "y"), ("ing", ""), ("es", ""), ("ed", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) + len(kept) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + kept
    return word


@dataclass(frozen=True)
class Shelf:
    """Looks, each with the weights of its words, and how rare a word is among all of them."""

    looks: tuple[Look, ...]
    _weights: tuple[Mapping[str, float], ...]
    _rarity: Mapping[str, float]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Self:
        """A shelf of these looks."""
        weights = tuple(map(_weights, looks))
        counted = Counter(word for each in weights for word in each)
        rarity = {word: 1 + math.log(len(looks) / count) for word, count in counted.items()}
        return cls(tuple(looks), weights, rarity)

    def ranked(self, words: str, liked: str = "", unwanted: str = "", *, turned: int = 0) -> list[Look]:
        """The looks, best first; `liked` is what the member likes in general, and counts a little.

        What is `unwanted` counts against a look, and so does what means the same. `turned`: with another number,
        others come first of those that fit equally well.
        """
        said, taste, against = (_meant(words_of(each)) for each in (words, liked, unwanted))
        count = len(self.looks)
        scored = [
            (
                self._score(said, at) + 0.15 * self._score(taste, at) - self._score(against, at),
                (at + 7 * turned) % max(1, count),
                look,
            )
            for at, look in enumerate(self.looks)
        ]
        return [look for _, _, look in sorted(scored, key=lambda each: (-each[0], each[1]))]

    def _score(self, said: Mapping[str, float], at: int) -> float:
        there = self._weights[at]
        return sum(
            weight * there[word] * self._rarity[word] for word, weight in said.items() if word in there
        )


def topics(words: str) -> list[str]:
    """The lines of the table that the words are about, in the order in which they are said."""
    said = words_of(words)
    found = [topic for word in said for topic in _topics_by_word().get(word, ())]
    return [topic for topic, _ in Counter(found).most_common()]


@cache
def table(name: str) -> Mapping[str, Any]:
    """One of the tables of `words/`."""
    return tomllib.loads(files(__package__).joinpath("words", f"{name}.toml").read_text("utf-8"))


def _meant(said: Iterable[str]) -> dict[str, float]:
    """The words with weight 1, and what means the same with less."""
    meant: dict[str, float] = {}
    for word in said:
        for topic in _topics_by_word().get(word, ()):
            for alike in _words_by_topic()[topic]:
                meant.setdefault(alike, MEANT)
    return meant | dict.fromkeys(said, 1.0)


def _weights(look: Look) -> Mapping[str, float]:
    parts = {
        "keywords": " ".join(look.keywords),
        "title": f"{look.title} {look.category}",
        "place": look.place,
        "rest": f"{look.description} {look.outfit} {look.light} {look.mood}",
    }
    found: dict[str, float] = {}
    for part, text in parts.items():
        for word in words_of(text):
            found[word] = max(found.get(word, 0.0), WEIGHTS[part])
    return found


@cache
def _empty() -> frozenset[str]:
    lines = files(__package__).joinpath("words", "empty.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def _words_by_topic() -> Mapping[str, frozenset[str]]:
    return {
        topic: frozenset(words_of(" ".join([topic, *alike]))) for topic, alike in table("synonyms").items()
    }


@cache
def _topics_by_word() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for topic, words in _words_by_topic().items():
        for word in words:
            found.setdefault(word, []).append(topic)
    return {word: tuple(topics) for word, topics in found.items()}
