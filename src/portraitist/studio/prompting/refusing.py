"""What no picture is made of: sexual content, minors, people on the operator's list. Decides, and says why, kindly.

Pure; the words are in `refused/`, a list for each reason; how a text is read is `reading`'s. It stands in front of the
provider's own checker and replaces it nowhere: it looks at words, not at pictures.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

from portraitist.studio.errors import Unprocessable
from portraitist.studio.prompting.phrases import NONE, Phrases, listed, phrase_of, words_listed
from portraitist.studio.prompting.reading import Words, plain, readings, skeletons

ADULT: Final = 18
_NUMBERS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"),
    *("nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
)
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|and"
_YEARS: Final = (
    rf"(?P<tens>(?:{_TENS}) )?(?P<n>\d{{1,3}}|{'|'.join(_NUMBERS)})",
    r"(?:years?|yrs?|months?)",
)
_OF: Final = "age|agee|edad|fille|garcon|enfant|nina|nino|chica|chico|ragazza|ragazzo|menina|menino"
_AGES: Final = tuple(
    (needed, re.compile(pattern))
    for needed, pattern in (
        (("year", "yr", "month"), rf"\b{_YEARS[0]} {_YEARS[1]} old\b(?P<after>(?: \w+)?)"),
        (("yo", "y o"), rf"\b{_YEARS[0]} ?y ?o\b(?P<after>)"),
        (("age",), rf"\bage[ds]? (?:of |only |about |just )?{_YEARS[0]}\b(?P<after>(?: \w+)?)"),
        (("jahr",), rf"\b{_YEARS[0]} jahre? alt\b(?P<after>(?: \w+)?)"),
        (("jahr",), rf"\b{_YEARS[0]} ?jahrige?[rsmn]?\b(?P<after>(?: \w+)?)"),
        (
            ("ans", "anos", "anni"),
            rf"\b(?:{_OF}) (?:de |di )?{_YEARS[0]} (?:ans|anos|anni)\b(?P<after>)",
        ),
    )
)
"""Ages as they are said; the letters before each are in every text that it finds, and quickly missed in others."""
_BETWEEN: Final = re.compile(r"[,;:()\n]+|[.|/!?]+(?=\s|$)")
_YOUNG: Final = frozenset(skeletons(["girl", "girls", "boy", "boys"]))
_NOBODYS: Final = ("sexual", "suggestive", "minors", "always_minors")
"""The lists that are looked for anywhere in a text."""


class PromptRefused(Unprocessable):
    """The words ask for what this studio does not make. The code says which; the text repeats none of them."""


@dataclass(frozen=True)
class Refusals:
    """What is refused here: the plainly forbidden, and the people that the operator names."""

    people: tuple[str, ...] = ()

    def refuses(self, words: str) -> bool:
        """Whether `check` would raise."""
        try:
            self.check(words)
        except PromptRefused:
            return True
        return False

    def check(self, words: str) -> None:
        """Raises PromptRefused (`prompt_minor`, `prompt_sexual`, `prompt_named_person`)."""
        ways = readings(words)
        found = _found(ways, listed(*_NOBODYS))
        named_young = "minors" in found or _names_the_young(ways)
        if (
            "always_minors" in found
            or _calls_somebody_a_minor(words, ways)
            or _says_age(words)
            or (found & {"sexual", "suggestive"} and named_young)
        ):
            raise PromptRefused(
                "prompt_minor",
                "This studio makes pictures of adults only.",
                next_step="Describe the person as the adult they are.",
            )
        if "sexual" in found:
            raise PromptRefused(
                "prompt_sexual",
                "This studio makes no nude and no sexual pictures.",
                next_step="Describe clothes, place and light instead; if you meant something else, use another word.",
            )
        if _found(ways, self._named):
            raise PromptRefused(
                "prompt_named_person",
                "This studio makes no pictures after somebody who is named here.",
                next_step="Leave the name out and describe clothes, place and light.",
            )

    @cached_property
    def _named(self) -> Phrases:
        """The people of the list, by their names as they are, and in one word."""
        joined = ("".join(re.findall(r"\w", name)) for name in self.people)
        return Phrases.of({"people": dict.fromkeys((*self.people, *joined))})


def people_of(text: str) -> tuple[str, ...]:
    """The names in an operator's list: one a line, `#` begins a remark. Raises ValueError for a name of one letter."""
    names = [line.partition("#")[0].strip() for line in text.splitlines()]
    for name in filter(None, names):
        if len("".join(phrase_of(name))) < 2:
            raise ValueError(f"a name needs two letters at least: {name!r}")
    return tuple(filter(None, names))


def _found(ways: Sequence[Words], phrases: Phrases) -> frozenset[str]:
    """The lists of which something stands in the text in any way to read it, harmless phrases set aside."""
    if not any(phrases.found(way) for way in ways):
        return NONE
    return NONE.union(*(phrases.found(listed("harmless").without(way)) for way in ways))


def _names_the_young(ways: Sequence[Words]) -> bool:
    return any(not _YOUNG.isdisjoint(listed("harmless").without(way)) for way in ways)


def _calls_somebody_a_minor(words: str, ways: Sequence[Words]) -> bool:
    """Whether the words, or a part of them, call the person in the picture a child: they begin by saying so."""
    parts = dict.fromkeys(_BETWEEN.split(words))
    return any(
        _begins_with_a_minor(listed("harmless").without(way))
        for way in chain(ways, *map(readings, parts))
        if listed("minors").beginnings(way)
    )


def _begins_with_a_minor(words: Words) -> bool:
    for start, word in enumerate(words):
        found = listed("minors").longest(words, start)
        if found:
            after = start + found
            if after == len(words) or not listed("beside").longest(words, after):
                return True
        if word not in words_listed("leading"):
            break
    return False


def _says_age(words: str) -> bool:
    """Whether an age below 18 is said of somebody, in digits or words."""
    text = " ".join(re.findall(r"\w+", plain(words)))
    return any(
        _is_minors_age(found)
        for needed, pattern in _AGES
        if any(letters in text for letters in needed)
        for found in pattern.finditer(text)
    )


def _is_minors_age(found: re.Match[str]) -> bool:
    number = found["n"]
    years = int(number) if number.isdigit() else _NUMBERS.index(number)
    (after,) = skeletons([found["after"].strip()])
    return years < ADULT and not found["tens"] and after not in words_listed("old_things")
