"""The small vocabulary of the tiny FLUX, and how free text becomes a caption of it.

Pure: concept lists, their order in a caption, and `normalise`. Synonyms are data in `synonyms.toml`. No tokenizer
(see `text`) and no drawing (see `places`, `people`) lives here.
"""

import functools
import re
import tomllib
from collections.abc import Iterable
from importlib import resources

PERSON = "person"
PLACES = (
    "in a garden", "in a forest", "on a beach", "in a city street", "at night", "in an office", "in a room",
    "in the mountains", "in the snow", "in a library", "at a brick wall", "under a blue sky", "at sunset",
    "in a cafe", "in autumn", "in a desert", "by a lake", "in a meadow",
)  # fmt: skip
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (178, 48, 44), "orange": (222, 130, 50), "yellow": (228, 200, 92), "green": (78, 142, 84),
    "teal": (50, 140, 140), "blue": (62, 104, 186), "purple": (122, 78, 160), "pink": (226, 150, 170),
    "brown": (126, 90, 62), "grey": (140, 140, 142), "white": (232, 230, 226), "black": (28, 28, 32),
    "beige": (212, 194, 164),
}  # fmt: skip
HAIRS: dict[str, tuple[int, int, int]] = {
    "blond": (206, 168, 104), "brown": (98, 64, 40), "black": (32, 26, 26), "red": (158, 76, 40),
    "grey": (166, 164, 160),
}  # fmt: skip
BACKDROPS = tuple(f"{colour} background" for colour in COLOURS)
FRAMINGS = ("close-up", "half body")
"""Named framings; a head-and-shoulders portrait is the one without a name."""
LIGHTS = ("warm light", "cool light", "dark", "bright", "soft light", "dramatic light")
TONES = ("black and white", "sepia")
CLOTHES = tuple(f"{colour} shirt" for colour in COLOURS)
HAIR_WORDS = tuple(f"{hair} hair" for hair in HAIRS)
LOOKS = tuple(f"look-{number}" for number in range(64))
"""Words for single photos of a member: a picture is asked for in the look of one of them."""

ONE_OF: tuple[tuple[str, ...], ...] = (
    (PERSON,), PLACES + BACKDROPS, FRAMINGS, LIGHTS, TONES, HAIR_WORDS, CLOTHES,
)  # fmt: skip
"""Groups of concepts in the order of a caption; a caption has at most one of each group."""
CONCEPTS: tuple[str, ...] = tuple(word for group in ONE_OF for word in group)
MEMBER_GROUPS = ONE_OF[:5]
"""What a member's pictures can be asked for: their hair and clothes come from their photos, not from words."""


def caption(concepts: Iterable[str], *, groups: tuple[tuple[str, ...], ...] = ONE_OF) -> str:
    """Concepts as one caption: known ones only, the first of each group, in the groups' order."""
    given = list(concepts)
    chosen = (next((word for word in given if word in group), None) for group in groups)
    return ", ".join(word for word in chosen if word is not None)


def normalise(prompt: str) -> tuple[str, list[str]]:
    """The caption the model understands, and the prompt's words it does not, in order and once each.

    Words without a picture of their own ("a", "photo", "of") are dropped in silence; two concepts that exclude each
    other (two places) keep the first and name the second. The trigger word is the caller's to remove.
    """
    table, silent = _table()
    text = " ".join(re.findall(r"[\w&'-]+", prompt.lower()))
    found: list[str] = []
    unknown: list[str] = []
    position = 0
    words = text.split()
    while position < len(words):
        length, concepts = _longest_match(words, position, table)
        if length:
            found.extend(concepts)
        elif words[position] not in silent:
            unknown.append(words[position])
        position += length or 1
    result = caption([PERSON, *found], groups=MEMBER_GROUPS)
    kept = result.split(", ")
    clashes = [word for word in found if word not in kept]
    return result, list(dict.fromkeys(unknown + clashes))


def _longest_match(
    words: list[str], position: int, table: dict[str, tuple[str, ...]]
) -> tuple[int, tuple[str, ...]]:
    longest = max(len(phrase.split()) for phrase in table)
    for length in range(min(longest, len(words) - position), 0, -1):
        phrase = " ".join(words[position : position + length])
        if phrase in table:
            return length, table[phrase]
    return 0, ()


@functools.cache
def _table() -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """Every phrase `normalise` knows with its concepts, and the words it passes over."""
    text = resources.files(__package__).joinpath("synonyms.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    table = {phrase: tuple(concepts) for phrase, concepts in data["synonyms"].items()}
    table |= {word: (word,) for group in MEMBER_GROUPS for word in group}
    return table, frozenset(data["silent"]["words"])
