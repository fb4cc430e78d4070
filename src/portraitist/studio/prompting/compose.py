"""One prompt out of a member's own words: trigger word, subject word, then the words as they are.

Pure. It cleans what can't be sent and judges nothing; the locks on prompts are `architecture`'s.
"""

import re
import unicodedata
from typing import Final

from portraitist.studio.architecture import trigger_pattern
from portraitist.studio.errors import Unprocessable

LONGEST_PROMPT: Final = 2_000
"""Characters a member may write; beyond it the models' text encoders have long stopped listening."""

_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Invisible characters that scripts and emoji need."""


class EmptyPrompt(Unprocessable):
    """Nothing to draw was said."""

    def __init__(self) -> None:
        super().__init__(
            "prompt_empty",
            "Your prompt is empty.",
            next_step='Say what the picture should show, for example "in a garden, soft morning light".',
        )


class PromptTooLong(Unprocessable):
    """More words than a prompt can hold."""

    def __init__(self, length: int) -> None:
        super().__init__(
            "prompt_too_long",
            f"Your prompt has {length:,} characters; at most {LONGEST_PROMPT:,} fit.",
            next_step="Shorten it to one moment, one outfit and one place.",
        )


class EmptySubject(Unprocessable):
    """The member's subject word is missing; it is never assumed."""

    def __init__(self) -> None:
        super().__init__(
            "subject_empty",
            "The word that names you in prompts is empty.",
            next_step='Choose one, for example "woman", "man" or "person".',
        )


def compose(member_words: str, *, trigger: str, subject: str) -> str:
    """The prompt: trigger word first and exactly once, subject word, then the member's words.

    White space is made single, control characters go, and so does a trigger word typed by the member. Words
    that already begin with the subject word keep it as theirs: a composed prompt composes to itself.
    Raises EmptyPrompt, PromptTooLong, EmptySubject.
    """
    subject = _cleaned(subject, trigger)
    words = _cleaned(member_words, trigger)
    if not subject:
        raise EmptySubject
    if not words:
        raise EmptyPrompt
    if len(words) > LONGEST_PROMPT:
        raise PromptTooLong(len(words))
    has_subject = re.match(rf"{re.escape(subject)}(?!\w)", words)
    return f"{trigger} {words}" if has_subject else f"{trigger} {subject} {words}"


def _cleaned(text: str, trigger: str) -> str:
    visible = "".join(kept for character in text if (kept := _kept(character)))
    # A space in its place, so that what stood around it can't join to a new trigger word.
    without = re.sub(rf"{trigger_pattern(trigger).pattern}\s*,?", " ", visible, flags=re.IGNORECASE)
    return " ".join(without.split())


def _kept(character: str) -> str:
    """The character as it may be sent: a space for any white space, nothing for what can't be seen."""
    if character.isspace():
        return " "
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs"} and character not in _JOINERS
    return "" if hidden else character
