"""Words as they are meant, however they are spelt: accents, look-alikes, digits for letters, gaps.

Pure. A word is brought to a skeleton in which letters that are passed off for one another are one. Lists of words are
read the same way, so that both sides meet.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

Words = tuple[str, ...]

_LATIN: Final = re.compile(
    r"(?:.* )?(?:LATIN|REGIONAL INDICATOR SYMBOL) (?:SMALL |CAPITAL |LETTER )*([A-Z])(?: WITH .*)?"
)
"""Unicode names of what looks like a Latin letter: squared, with hooks, small capitals, and flags' letters."""
_ALIKE: Final = {
    ord(letter): pair[1:]
    for pair in (
        # Cyrillic
        *(
            "аa",
            "вb",
            "еe",
            "кk",
            "мm",
            "нh",
            "оo",
            "рp",
            "сc",
            "тt",
            "уy",
            "хx",
            "іi",
            "јj",
            "ѕs",
            "ԁd",
            "ԛq",
            "ԝw",
        ),
        # Greek
        *("αa", "βb", "γy", "εe", "ηn", "ιi", "κk", "νv", "οo", "ρp", "τt", "υu", "χx", "ωw"),
        # Latin letters whose names say nothing of the kind
        *("æae", "œoe", "ıi", "ſs", "ðd", "þp"),
    )
    for letter in pair[0]
}
"""Letters as those they resemble or are written for."""
_LEET: Final = str.maketrans("013456789@$€|!+¡" + "l", "oieasgtbgasei" + "iti" + "i")
"""Digits and signs as the letters they stand for; 1, l, i, | and ! stand for one another, so they are one letter."""
LONGEST_LETTER: Final = 4
MOST_LETTERS: Final = 4096
"""Characters of which the plain letters are kept at hand."""
_WORD: Final = re.compile(r"\w+")
_LEET_WORD: Final = re.compile(r"[^\W_][\w@$€|!+¡]*[^\W_]|\w")
_JOINED: Final = re.compile(r"[^\w\s]|_")
_SPACED: Final = re.compile(r"(?<!\w)\w(?:[\W_]{1,3}\w(?!\w)){2,}")
_BROKEN: Final = re.compile(r"(?<=\w)[*.·•~^-](?=\w)")
_APOSTROPHE: Final = re.compile("(?<=\\w)['\N{RIGHT SINGLE QUOTATION MARK}](?=s)")
_LONG: Final = re.compile(r"(.)\1{2,}")


class Plain(dict[int, str]):
    """What each character is in plain letters: a table for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        letters = _plain(chr(code))
        if len(self) < MOST_LETTERS:
            self[code] = letters
        return letters


_PLAIN: Final = Plain()


def plain(text: str) -> str:
    """Small letters, no accents, nothing invisible, look-alikes as the letters they resemble; digits as they are."""
    return text.translate(_PLAIN)


def readings(text: str) -> tuple[Words, ...]:
    """The words of a text in each way that a person may read them, as skeletons."""
    shown = _APOSTROPHE.sub(" ", plain(text))
    if shown.replace(" ", "").isalpha() and not _SPACED.search(shown) and not _LONG.search(shown):
        return (skeletons(shown.split()),)  # plain words, as they mostly are, have one reading
    closed = _SPACED.sub(lambda found: re.sub(r"[\W_]", "", found[0]), shown)
    ways = (
        _WORD.findall(shown.replace("_", " ")),
        _LEET_WORD.findall(shown),
        _LEET_WORD.findall(closed),
        _WORD.findall(_JOINED.sub("", closed)),
        _WORD.findall(_BROKEN.sub("", closed).replace("_", " ")),
    )
    # most texts are read in one way or two: what is the same is looked at once
    different = dict.fromkeys(" ".join(way) for way in ways)
    held = [_LONG.sub(letters, way) for way in different if _LONG.search(way) for letters in (r"\1", r"\1\1")]
    return tuple(dict.fromkeys(skeletons(way.split()) for way in (*different, *held)))


def skeletons(words: Sequence[str]) -> Words:
    """Words in which letters that are passed off for one another are one; a number stays a number."""
    read = " ".join(words).translate(_LEET).split(" ")
    return tuple([word if word.isdigit() else letters for word, letters in zip(words, read, strict=False)])


def _plain(character: str) -> str:
    parts = unicodedata.normalize("NFKD", character)
    # a character that stands for a whole phrase is nobody's disguise, and would make a long prompt endless
    return "".join(map(_letter, parts)) if len(parts) <= LONGEST_LETTER else " "


def _letter(character: str) -> str:
    if unicodedata.category(character) in {"Mn", "Me", "Cf", "Cc", "Cs"}:
        return " " if character.isspace() else ""
    if character.isascii():
        return character.lower()
    named = _LATIN.fullmatch(unicodedata.name(character, ""))
    return named[1].lower() if named else character.casefold().translate(_ALIKE)
