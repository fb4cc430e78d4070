"""Conversations, cards, style and memory: their types, limits and rules. Pure.

What a well-made prompt is belongs to `prompting`; how an answer comes about is `mind`'s and its makers'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from portraitist.studio.prompting.craft import Parts, ShotType

LONGEST_MESSAGE: Final = 2_000
"""Characters of one message of a member's."""
FEWEST_CARDS, MOST_CARDS = 3, 6
FEWEST_SUGGESTIONS, MOST_SUGGESTIONS = 2, 4
MOST_NOTES, LONGEST_NOTE = 30, 200
MOST_ANSWERS, LONGEST_ANSWER = 12, 60
"""Colours, places or no-go items that a member may name, and characters of each."""
LONGEST_LIMITS: Final = 400
MOST_CHATS: Final = 200
MOST_MESSAGES: Final = 400
"""Conversations of one member, and messages of one conversation."""
ANSWER_TAKES: Final = timedelta(minutes=3)
"""An answer that is older and still not there will not come any more: its process has gone."""
REFINEMENTS: Final = ("More like this", "Warmer", "Another place", "Same outfit, evening")
"""What a card offers in a word; each is an ordinary message about that card."""


class Role(StrEnum):
    """Who says a message."""

    MEMBER = "member"
    MAYA = "maya"


class State(StrEnum):
    """How far a message is; a member's is always said."""

    SAID = "said"
    ANSWERING = "answering"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(frozen=True)
class Chat:
    """One row of `maya_chats`; its title is how its first message begins."""

    id: UUID
    title: str
    created_at: datetime
    said_at: datetime


@dataclass(frozen=True)
class Message:
    """One row of `maya_messages`."""

    chat_id: UUID
    id: UUID
    place: int
    role: Role
    status: State
    text: str
    suggestions: Sequence[str]
    refines: UUID | None
    error_code: str | None
    error: str | None
    created_at: datetime
    answered_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "status", State(self.status))

    def at(self, now: datetime) -> "Message":
        """The message as it stands now: an answer whose time is over has failed."""
        if self.status is State.ANSWERING and now > self.created_at + ANSWER_TAKES:
            return replace(
                self,
                status=State.FAILED,
                error_code="maya_slow",
                error="Maya was interrupted before she was done.",
            )
        return self


@dataclass(frozen=True)
class Concept:
    """An idea that can be shot, as a mind has it. `prompt` goes out of sight with it and is used as it is.

    `parts`: what it is composed of, where it was composed by rule; `look`: the look it is taken from.
    """

    title: str
    description: str
    shot: ShotType
    category: str
    prompt: str
    look: str | None = None
    parts: Parts | None = None


@dataclass(frozen=True)
class Card:
    """One row of `concept_cards`."""

    message_id: UUID
    id: UUID
    place: int
    title: str
    description: str
    shot: ShotType
    category: str
    prompt: str
    look: str | None
    parts: Mapping[str, Any] | None
    parent_id: UUID | None
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "shot", ShotType(self.shot))

    @property
    def concept(self) -> Concept:
        """The idea on the card."""
        parts = None if self.parts is None else Parts(**self.parts)
        return Concept(self.title, self.description, self.shot, self.category, self.prompt, self.look, parts)


def parts_of(concept: Concept) -> Mapping[str, Any] | None:
    """The parts as they are stored."""
    return None if concept.parts is None else asdict(concept.parts)


@dataclass(frozen=True)
class Style:
    """What a member has said of their taste: colours, places they like, limits in their words, what never comes in."""

    colours: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    limits: str = ""
    no_go: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("colours", "settings", "no_go"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True)
class Note:
    """One row of `maya_memory`: a thing she remembers across conversations; the member reads, changes, deletes it."""

    id: UUID
    note: str
    source: Role
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", Role(self.source))


@dataclass(frozen=True)
class Prices:
    """Micro-units of the operator's currency for a token in, and for one out."""

    token_in: float = 0.0
    token_out: float = 0.0

    def cost_micros(self, tokens_in: int, tokens_out: int) -> int:
        """What an answer costs."""
        return round(tokens_in * self.token_in + tokens_out * self.token_out)


@dataclass(frozen=True)
class Budget:
    """What one member's answers may use in 24 hours; None: any amount. An answer takes `at_most` in advance."""

    tokens: int | None = None
    cost_micros: int | None = None
    at_most: int = 0
    prices: Prices = field(default_factory=Prices)

    def has_room(self, tokens: int, cost_micros: int) -> bool:
        """Whether one more answer fits beside what was used."""
        cost = self.prices.cost_micros(0, self.at_most)
        return (self.tokens is None or tokens + self.at_most <= self.tokens) and (
            self.cost_micros is None or cost_micros + cost <= self.cost_micros
        )


def title_of(words: str) -> str:
    """What a conversation is called: how it began."""
    line = " ".join(words.split())
    return line if len(line) <= 60 else line[:60].rsplit(" ", 1)[0] + "…"


def tidy(given: Sequence[str]) -> tuple[str, ...]:
    """Answers of a list: single spaces, no blanks, each once, as many as are kept."""
    lines = (" ".join(each.split())[:LONGEST_ANSWER].strip() for each in given)
    return tuple(dict.fromkeys(line for line in lines if line))[:MOST_ANSWERS]
