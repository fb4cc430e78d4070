"""Refusing as it may be read off the rules: every list tried at every word of every reading, nothing skipped.

Slow and plain, for `test_refusing` to hold the studio's quick way against. Characters and lists are the studio's.
"""

import re
from functools import cache

from portraitist.studio.prompting import phrases, reading, refusing

Words = tuple[str, ...]


def code_of(text: str, people: tuple[str, ...]) -> str | None:
    """The code of the refusal, or None."""
    ways = [set_aside(way) for way in readings(text)]
    parts = (text, *re.split(r"[,;:()\n]+|[.|/!?]+(?=\s|$)", text))
    named = tuple(parsed(name) for each in people for name in (each, "".join(re.findall(r"\w", each))))
    sexual, suggestive, minors, always = (
        any(at(way, start, entries(name)) for way in ways for start in range(len(way)))
        for name in ("sexual", "suggestive", "minors", "always_minors")
    )
    young = minors or any(skeleton(word) in way for way in ways for word in ("girl", "girls", "boy", "boys"))
    if always or any(map(is_minor, parts)) or says_age(text) or (young and (sexual or suggestive)):
        return "prompt_minor"
    if sexual:
        return "prompt_sexual"
    has_name = any(at(way, start, named) for way in ways for start in range(len(way)))
    return "prompt_named_person" if has_name else None


def readings(text: str) -> set[Words]:
    """The words of a text in each way to read them."""
    shown = reading._APOSTROPHE.sub(" ", plain(text))
    closed = reading._SPACED.sub(lambda found: re.sub(r"[\W_]", "", found[0]), shown)
    ways = (
        re.findall(r"\w+", shown.replace("_", " ")),
        reading._LEET_WORD.findall(shown),
        reading._LEET_WORD.findall(closed),
        re.findall(r"\w+", reading._JOINED.sub("", closed)),
        re.findall(r"\w+", reading._BROKEN.sub("", closed).replace("_", " ")),
    )
    held = [
        [re.sub(r"(.)\1{2,}", letters, word) for word in way] for way in ways for letters in (r"\1", r"\1\1")
    ]
    return {tuple(map(skeleton, way)) for way in (*ways, *held)}


def plain(text: str) -> str:
    """Character by character."""
    return "".join(map(reading._plain, text))


def skeleton(word: str) -> str:
    """A word, its letters that pass for one another as one."""
    return word if word.isdigit() else word.translate(reading._LEET)


@cache
def parsed(line: str) -> Words:
    """A phrase."""
    words = re.findall(r"\w+\*?", plain(line))
    return tuple(skeleton(word.removesuffix("*")) + ("*" if word.endswith("*") else "") for word in words)


@cache
def entries(name: str) -> tuple[Words, ...]:
    """A list of the studio's."""
    return tuple(map(parsed, phrases.lines_of(name)))


def at(words: Words, start: int, wanted: tuple[Words, ...]) -> int:
    """How many words the longest of these phrases has that begins here."""
    return max(
        (len(phrase) for phrase in wanted if fits(words[start : start + len(phrase)], phrase)), default=0
    )


def fits(words: Words, phrase: Words) -> bool:
    """Whether these are the words of the phrase."""
    if len(words) != len(phrase):
        return False
    return all(
        word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
        for word, wanted in zip(words, phrase, strict=True)
    )


def set_aside(words: Words) -> Words:
    """The words, an empty one for each harmless phrase."""
    kept, start = [], 0
    while start < len(words):
        length = at(words, start, entries("harmless"))
        kept.append("" if length else words[start])
        start += length or 1
    return tuple(kept)


def is_minor(part: str) -> bool:
    """Whether it begins with a child that is not beside somebody."""
    for way in readings(part):
        rest = set_aside(way)
        for start in range(len(rest)):
            found = at(rest, start, entries("minors"))
            if found and (start + found == len(rest) or not at(rest, start + found, entries("beside"))):
                return True
            if (rest[start],) not in entries("leading"):
                break
    return False


def says_age(text: str) -> bool:
    """Whether an age below 18 is said."""
    words = " ".join(re.findall(r"\w+", plain(text)))
    for _, pattern in refusing._AGES:
        for found in pattern.finditer(words):
            years = int(found["n"]) if found["n"].isdigit() else refusing._NUMBERS.index(found["n"])
            old_thing = (skeleton(found["after"].strip()),) in entries("old_things")
            if years < refusing.ADULT and not found["tens"] and not old_thing:
                return True
    return False
