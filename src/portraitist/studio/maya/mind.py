"""What a mind of Maya's is asked and what it answers, and the errors of one that does not. Pure.

`book` answers by rule, `model` by a language model. What is in `Asked` is all that a mind ever learns of a member.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from portraitist.studio.errors import StudioError, Unavailable
from portraitist.studio.maya.domain import Concept, Role, Style

USUAL_SUBJECTS: Final = frozenset({"woman", "man", "person"})
_PRIVATE: Final = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.]+"  # mail
    r"|\buser[a-z0-9]{12}\b"  # trigger words
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"  # ids
    r"|(?<!\w)\+?\d[\d ()/-]{7,}\d\b",  # telephones
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """Something that was said earlier in the conversation."""

    by: Role
    text: str


@dataclass(frozen=True)
class Asked:
    """The member's words, and all that may be known with them: no name, no address, no id, no trigger word.

    `subject` is the member's subject word where it is a usual one, else "person". `refining`: the card that the words
    are about. `step`: what comes before a shoot, where there is no active model; None where there is one.
    """

    words: str
    said: tuple[Line, ...] = ()
    style: Style = field(default_factory=Style)
    notes: tuple[str, ...] = ()
    subject: str = "person"
    refining: Concept | None = None
    step: str | None = None


@dataclass(frozen=True)
class Answer:
    """A whole answer. `remember`: notes worth keeping. Tokens are what it took."""

    reply: str
    concepts: tuple[Concept, ...]
    suggestions: tuple[str, ...]
    remember: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Chosen:
    """Which language model: `provider:name`, its key, its address where it is not the provider's own.

    `output`: how it gives a structured answer; `most_tokens`: of one answer.
    """

    name: str
    key: str = ""
    url: str = ""
    output: Literal["tool", "native", "prompted"] = "tool"
    most_tokens: int = 4_000


class Anew:
    """What was said so far does not count: the reply begins again."""


ANEW: Final = Anew()
Piece = str | Anew | Answer


class Mind(Protocol):
    """Answers: pieces of the reply as they come, and last the whole answer. Raises MayaFailed and MayaAway."""

    def answer(self, asked: Asked) -> AsyncIterator[Piece]:
        """Begin to answer."""
        ...

    async def ready(self) -> None:
        """Have at hand what takes time to get."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class MayaFailed(StudioError):
    """No answer, through no fault of the member's. `tokens` is what the try took."""

    status = 502
    tokens: tuple[int, int] = (0, 0)


class MayaAway(Unavailable):
    """Whoever answers for Maya can't be reached, or is too slow. `tokens` is what the try took."""

    tokens: tuple[int, int] = (0, 0)


def away() -> MayaAway:
    """Nobody answers."""
    return MayaAway("maya_away", "Maya can't be reached just now.", next_step=KEPT)


def slow() -> MayaAway:
    """It takes too long."""
    return MayaAway("maya_slow", "Maya took too long to answer.", next_step=KEPT)


def refused() -> MayaFailed:
    """The language model's provider does not answer this."""
    return MayaFailed("maya_refused", "Maya would not answer that.", next_step="Say it another way. " + SHOOT)


def unreadable() -> MayaFailed:
    """What came back is no answer, twice."""
    return MayaFailed("maya_unreadable", "Maya lost her thread.", next_step=KEPT)


SHOOT: Final = "The photoshoot is open as ever."
KEPT: Final = "Your words are kept: try again in a moment. " + SHOOT


def without_private(text: str, names: tuple[str, ...] = ()) -> str:
    """The text without addresses, ids, telephone numbers and these names of the member's."""
    hidden = _PRIVATE.sub("…", text)
    for name in names:
        if len(name) > 1:
            hidden = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", hidden, flags=re.IGNORECASE)
    return hidden


def usual_subject(word: str) -> str:
    """The subject word that a mind is told: one that says nothing more of the member than that."""
    return word if word in USUAL_SUBJECTS else "person"
