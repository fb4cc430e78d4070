"""A prompt brought into the shape that `craft` asks for, where that takes no word away from it.

Pure. It puts the trigger and subject words first, takes brackets and weights off, and adds what is missing at the end;
what would need another word in place of one that stands there is left for `lint_card` to report.
"""

import re
from typing import Final

from portraitist.studio.architecture import trigger_pattern
from portraitist.studio.prompting.craft import (
    FEWEST_WORDS,
    LENSES,
    SUBJECT,
    TEXTURE,
    WEIGHTS,
    ShotType,
    count_words,
    lint_card,
    listed,
)

_HANDS: Final = "hands relaxed and at ease"
_MOOD: Final = "calm, unposed mood"


def repair(prompt: str, *, trigger: str | None, subject: str | None, shot: ShotType) -> str:
    """The prompt without a finding that is repairable; every word of it is kept, in its order."""
    words = prompt
    if trigger is not None:
        words = trigger_pattern(trigger).sub(" ", words)
    words = _tidied(_led(_unweighed(words), subject or SUBJECT))
    missing = {
        finding.rule
        for finding in lint_card(words, trigger=None, subject=subject, shot=shot)
        if finding.repairable
    }
    lens = LENSES[shot]
    wanted = {
        "shot": lens.words,
        "lens": f"{lens.millimetres} mm lens",
        "aperture": f"at {lens.usual}",
        "hands": _HANDS,
        "mood": _MOOD,
        "texture": TEXTURE,
    }
    pieces = [words.rstrip(" ,;."), *(added for rule, added in wanted.items() if rule in missing)]
    for more in listed("frames"):
        if count_words(", ".join(pieces)) >= FEWEST_WORDS:
            break
        if more not in words:
            pieces.append(more)
    mended = ", ".join(pieces) if len(pieces) > 1 else words
    return f"{trigger} {mended}" if trigger is not None else mended


def _unweighed(words: str) -> str:
    held = "\0".join(WEIGHTS.sub(" ", part) for part in words.split(SUBJECT))
    return _tidied(held.replace("\0", SUBJECT))


def _tidied(words: str) -> str:
    """Single spaces, and none before a comma or stop."""
    return re.sub(r"\s+([,;.])", r"\1", " ".join(words.split()))


def _led(words: str, subject: str) -> str:
    """The subject word first: alone where the prompt goes on without it, before a comma where it has it later."""
    if re.match(rf"{re.escape(subject)}(?!\w)", words):
        return words
    later = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", words)
    return f"{subject}, {words}" if later else f"{subject} {words}".rstrip()
