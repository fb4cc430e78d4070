"""Lists of phrases, and which of them stand in the words of a text. Pure; what follows from it is `refusing`'s.

A list is a file of `refused/` or an operator's, a phrase a line, read the way texts are (`reading`); `*` at the end of
a word stands for any ending. Texts are long and hits are rare: where a phrase may begin is asked first.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Self

from portraitist.studio.prompting.reading import Words, plain, skeletons

Phrase = Words
Entries = tuple[tuple[str, Phrase], ...]
NONE: Final[frozenset[str]] = frozenset()
_STEM: Final = 3
"""Letters by which phrases that begin with a starred word are kept; the lists' stems have as many at least."""


@dataclass(frozen=True)
class Phrases:
    """The phrases of one or more named lists, by their first word or the beginning of it."""

    _whole: Mapping[str, Entries]
    _stems: Mapping[str, Entries]

    @classmethod
    def of(cls, lists: Mapping[str, Iterable[str]]) -> Self:
        """Of these lines, by the name of their list."""
        whole: dict[str, Entries] = {}
        stems: dict[str, Entries] = {}
        for name, lines in lists.items():
            for phrase in map(phrase_of, lines):
                first = phrase[0]
                kept, by = (stems, first[:-1][:_STEM]) if first.endswith("*") else (whole, first)
                kept[by] = (*kept.get(by, ()), (name, phrase))
        return cls(whole, stems)

    def beginnings(self, words: Words) -> list[int]:
        """Where a phrase may begin, by its first word alone; mostly nowhere."""
        whole, stems = self._whole, self._stems
        return [at for at, word in enumerate(words) if word in whole or word[:_STEM] in stems]

    def found(self, words: Words) -> frozenset[str]:
        """The lists of which a phrase stands in the words."""
        return frozenset(name for at in self.beginnings(words) for name, _ in self._at(words, at))

    def longest(self, words: Words, at: int) -> int:
        """How many words the longest phrase has that begins here; 0 for none."""
        return max((len(phrase) for _, phrase in self._at(words, at)), default=0)

    def without(self, words: Words) -> Words:
        """The words without these phrases, in whose place stands nothing that matches."""
        kept, end = [], 0
        for at in self.beginnings(words):
            if at >= end and (length := self.longest(words, at)):
                kept += [*words[end:at], ""]
                end = at + length
        return (*kept, *words[end:])

    def _at(self, words: Words, at: int) -> Iterator[tuple[str, Phrase]]:
        first = words[at]
        for name, phrase in (*self._whole.get(first, ()), *self._stems.get(first[:_STEM], ())):
            if _fits(words[at : at + len(phrase)], phrase):
                yield name, phrase


@cache
def listed(*names: str) -> Phrases:
    """These lists of ours."""
    return Phrases.of({name: lines_of(name) for name in names})


@cache
def words_listed(name: str) -> frozenset[str]:
    """A list of ours that has single words."""
    return frozenset(phrase[0] for phrase in map(phrase_of, lines_of(name)))


def lines_of(name: str) -> tuple[str, ...]:
    """The lines of a list of ours."""
    text = files(__package__).joinpath("refused", f"{name}.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def phrase_of(line: str) -> Phrase:
    """A line of a list, read as texts are; a star at the end of a word stays."""
    words = re.findall(r"\w+\*?", plain(line))
    read = skeletons([word.removesuffix("*") for word in words])
    return tuple(f"{each}*" if word.endswith("*") else each for word, each in zip(words, read, strict=True))


def _fits(words: Words, phrase: Phrase) -> bool:
    return len(words) == len(phrase) and all(map(_same, words, phrase))


def _same(word: str, wanted: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
