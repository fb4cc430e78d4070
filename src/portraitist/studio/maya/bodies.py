"""What the API says of conversations, cards, style and memory, and what it is sent. Shapes only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from portraitist.studio.generation.endpoints import GenerationOut
from portraitist.studio.generation.views import Seen
from portraitist.studio.maya.domain import (
    LONGEST_ANSWER,
    LONGEST_LIMITS,
    LONGEST_MESSAGE,
    LONGEST_NOTE,
    MOST_ANSWERS,
    REFINEMENTS,
    Card,
    Chat,
    Message,
    Note,
    Role,
    State,
    Style,
)
from portraitist.studio.maya.mind import KEPT
from portraitist.studio.maya.service import Conversation
from portraitist.studio.prompting.craft import ShotType

Taste = Annotated[str, Field(max_length=LONGEST_ANSWER)]


class ChatOut(BaseModel):
    """A conversation; its title is how it began."""

    id: UUID
    title: str = Field(examples=["On a sailing boat in a yellow raincoat"])
    created_at: datetime
    said_at: datetime

    @classmethod
    def of(cls, chat: Chat) -> "ChatOut":
        """From the row."""
        return cls(**vars(chat))


class ChatsOut(BaseModel):
    """A page of conversations, the one talked in last first; `next` is the cursor of the next page."""

    items: list[ChatOut]
    next: str | None = Field(examples=[None])


class SaidIn(BaseModel):
    """A message to Maya; `card_id`: the card that it is about."""

    model_config = ConfigDict(extra="forbid")
    words: str = Field(max_length=4 * LONGEST_MESSAGE, examples=["on a sailing boat in a yellow raincoat"])
    card_id: UUID | None = None


class CardOut(BaseModel):
    """A concept card. What it is shot with stays out of sight; `refinements` are words that change it."""

    id: UUID
    title: str = Field(examples=["On the harbour wall"])
    description: str = Field(examples=["Boats coming in, cotton and wool, salt on everything."])
    shot: ShotType = Field(examples=["half_body"])
    category: str = Field(examples=["Outdoors"])
    look: str | None = Field(examples=["harbour-wall"])
    parent_id: UUID | None = Field(examples=[None])
    refinements: list[str] = Field(examples=[list(REFINEMENTS)])
    generations: list[GenerationOut] = Field(description="What it was shot with, oldest first.")

    @classmethod
    def of(cls, card: Card, shots: Sequence[Seen]) -> "CardOut":
        """From the row and what it was shot with."""
        return cls(
            id=card.id,
            title=card.title,
            description=card.description,
            shot=card.shot,
            category=card.category,
            look=card.look,
            parent_id=card.parent_id,
            refinements=list(REFINEMENTS),
            generations=[GenerationOut.of(seen) for seen in shots],
        )


class MessageOut(BaseModel):
    """Something said. An answer that failed has `error_code`, and can be asked for again."""

    id: UUID
    role: Role = Field(examples=["maya"])
    status: State = Field(examples=["answered"])
    text: str = Field(examples=["A yellow raincoat on a sailing boat: that works."])
    cards: list[CardOut]
    suggestions: list[str] = Field(examples=[["The same in winter", "An evening by the water"]])
    refines: UUID | None = Field(examples=[None])
    error_code: str | None = Field(examples=[None])
    error: str | None = Field(examples=[None])
    next_step: str | None = Field(examples=[None])
    created_at: datetime

    @classmethod
    def of(cls, message: Message, cards: list[CardOut]) -> "MessageOut":
        """From the row and its cards."""
        return cls(
            id=message.id,
            role=message.role,
            status=message.status,
            text=message.text,
            cards=cards,
            suggestions=list(message.suggestions),
            refines=message.refines,
            error_code=message.error_code,
            error=message.error,
            next_step=KEPT if message.status is State.FAILED else None,
            created_at=message.created_at,
        )


class ConversationOut(BaseModel):
    """A whole conversation, oldest first."""

    chat: ChatOut
    messages: list[MessageOut]

    @classmethod
    def of(cls, talk: Conversation, seen: Mapping[UUID, Seen]) -> "ConversationOut":
        """From the rows, and the generations by id."""
        return cls(
            chat=ChatOut.of(talk.chat),
            messages=[MessageOut.of(each, cards_of(talk, each, seen)) for each in talk.messages],
        )


class TurnOut(BaseModel):
    """What was said, and the answer to it."""

    said: MessageOut
    answer: MessageOut


class StyleOut(BaseModel):
    """The member's taste, as they told it."""

    colours: list[str] = Field(examples=[["navy", "cream"]])
    settings: list[str] = Field(examples=[["by the sea"]])
    limits: str = Field(examples=["no bare shoulders, please"])
    no_go: list[str] = Field(examples=[["high heels"]])

    @classmethod
    def of(cls, style: Style) -> "StyleOut":
        """From the row."""
        return cls(
            colours=list(style.colours),
            settings=list(style.settings),
            limits=style.limits,
            no_go=list(style.no_go),
        )


class StyleIn(BaseModel):
    """The member's taste from now on, whole; what is left out is empty."""

    model_config = ConfigDict(extra="forbid")
    colours: list[Taste] = Field(default_factory=list, max_length=MOST_ANSWERS, examples=[["navy", "cream"]])
    settings: list[Taste] = Field(default_factory=list, max_length=MOST_ANSWERS, examples=[["by the sea"]])
    limits: str = Field(default="", max_length=LONGEST_LIMITS, examples=["no bare shoulders, please"])
    no_go: list[Taste] = Field(default_factory=list, max_length=MOST_ANSWERS, examples=[["high heels"]])


class NoteIn(BaseModel):
    """A thing to remember."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(max_length=2 * LONGEST_NOTE, examples=["I love linen"])


class NoteOut(BaseModel):
    """A thing that Maya remembers; `source` is who put it there."""

    id: UUID
    note: str = Field(examples=["I love linen"])
    source: Role = Field(examples=["member"])
    created_at: datetime

    @classmethod
    def of(cls, note: Note) -> "NoteOut":
        """From the row."""
        return cls(**vars(note))


class NotesOut(BaseModel):
    """All that Maya remembers, oldest first."""

    items: list[NoteOut]


def cards_of(talk: Conversation, message: Message, seen: Mapping[UUID, Seen]) -> list[CardOut]:
    """The cards of a message with what they were shot with, as far as that is still there."""
    return [
        CardOut.of(card, [seen[each] for each in talk.shots_of(card) if each in seen])
        for card in talk.cards_of(message)
    ]
