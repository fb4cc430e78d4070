"""What members do in conversations: begin one, say something, shoot a card, look at it all.

How an answer comes about is `talking`'s; a shot is an ordinary generation, with the member's own model or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.studio.db import UserTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.generation import service as generation
from portraitist.studio.generation.domain import Generation
from portraitist.studio.maya import repository
from portraitist.studio.maya.domain import (
    LONGEST_MESSAGE,
    MOST_CHATS,
    MOST_MESSAGES,
    Card,
    Chat,
    Concept,
    Message,
    Role,
    State,
    parts_of,
    title_of,
)
from portraitist.studio.paging import Position, Wanted, cut
from portraitist.studio.prompting.refusing import Refusals

KIND = "maya"
"""What open pages are told has moved."""


@dataclass(frozen=True)
class Conversation:
    """A conversation as its member sees it; `shots` are the generations of each card."""

    chat: Chat
    messages: Sequence[Message]
    cards: Sequence[Card]
    shots: Sequence[repository.Shot]

    def cards_of(self, message: Message) -> list[Card]:
        """The cards of an answer."""
        return [card for card in self.cards if card.message_id == message.id]

    def shots_of(self, card: Card) -> list[UUID]:
        """The generations that a card was shot with."""
        return [shot.generation_id for shot in self.shots if shot.card_id == card.id]


@dataclass(frozen=True)
class Turn:
    """A member's message and the answer to it; `is_new`: the answer is still to be made."""

    said: Message
    answer: Message
    is_new: bool


async def begin(tx: UserTx, now: datetime) -> Chat:
    """A new conversation; beyond MOST_CHATS the oldest goes."""
    chat = Chat(uuid4(), "", now, now)
    await repository.insert_chat(tx, chat)
    await repository.forget_oldest(tx, MOST_CHATS)
    return chat


async def page(tx: UserTx, page: Wanted) -> tuple[list[Chat], str | None]:
    """A page of the member's conversations, the one talked in last first, and the cursor of the next."""
    found = await repository.chats(tx, page)
    return cut(found, page, lambda each: Position(each.said_at, each.id))


async def conversation(tx: UserTx, chat_id: UUID, now: datetime) -> Conversation:
    """A conversation with all that is in it. Raises NotFound."""
    chat = await _chat(tx, chat_id)
    messages = await _messages(tx, chat_id, now)
    return Conversation(
        chat, messages, await repository.cards(tx, chat_id), await repository.shots(tx, chat_id)
    )


async def _chat(tx: UserTx, chat_id: UUID) -> Chat:
    found = await repository.chat(tx, chat_id)
    if found is None:
        raise _absent("maya_chat_not_found", "There is no such conversation.", "Begin a new one.")
    return found


async def _messages(tx: UserTx, chat_id: UUID, now: datetime) -> list[Message]:
    return [message.at(now) for message in await repository.messages(tx, chat_id)]


async def delete(tx: UserTx, chat_id: UUID) -> None:
    """Remove a conversation with its cards; pictures stay. Raises NotFound."""
    await _chat(tx, chat_id)
    await repository.delete_chat(tx, chat_id)


async def say(
    tx: UserTx,
    chat_id: UUID,
    words: str,
    *,
    refines: UUID | None,
    key: str | None,
    refusals: Refusals,
    now: datetime,
) -> Turn:
    """Say something; its answer is to be made then. The same key gives the same turn.

    Raises NotFound for conversation or card, Unprocessable for the words (`maya_words_empty`, `maya_words_too_long`,
    PromptRefused), Conflict (`maya_answering`, `maya_chat_full`).
    """
    if key is not None and (said := await repository.by_key(tx, key)) is not None:
        answer = await repository.after(tx, said)
        if said.chat_id != chat_id or said.text != words.strip() or answer is None:
            raise Unprocessable(
                "key_reused", "This Idempotency-Key was used for other words.", next_step="Use a new key."
            )
        return Turn(said, answer.at(now), is_new=False)
    wanted = _checked(words, refusals)
    await _chat(tx, chat_id)
    earlier = await _messages(tx, chat_id, now)
    if refines is not None:
        await card(tx, refines)
    if len(earlier) >= MOST_MESSAGES:
        raise Conflict(
            "maya_chat_full", "This conversation has grown very long.", next_step="Begin a new one."
        )
    await _end_interrupted(tx, earlier)
    said = _message(chat_id, len(earlier), Role.MEMBER, now, text=wanted, refines=refines)
    answer = _message(chat_id, len(earlier) + 1, Role.MAYA, now)
    await _insert_both(tx, said, answer, key)
    await repository.touch(tx, chat_id, title_of(wanted), now)
    await events.announce(tx, KIND, chat_id)
    return Turn(said, answer, is_new=True)


async def again(tx: UserTx, message_id: UUID, now: datetime) -> Turn:
    """Ask anew for an answer that failed. Raises NotFound, and Conflict where it is not one to try again."""
    found = await repository.message(tx, message_id)
    if found is None or found.role is not Role.MAYA:
        raise _absent("maya_message_not_found", "There is no such answer.", "Look at the conversation.")
    messages = await _messages(tx, found.chat_id, now)
    if found.at(now).status is not State.FAILED or messages[-1].id != found.id:
        raise Conflict(
            "maya_nothing_to_retry",
            "This answer is not one to try again.",
            next_step="Say it in a new message.",
        )
    answer = _message(found.chat_id, found.place, Role.MAYA, now, message_id=found.id)
    if not await repository.settle(tx, answer, found.status):
        raise _answering()
    await events.announce(tx, KIND, found.chat_id)
    return Turn(next(each for each in messages if each.place == found.place - 1), answer, is_new=True)


async def settle(tx: UserTx, answer: Message, concepts: Sequence[Concept], parent: UUID | None) -> None:
    """An answer is there, or has failed; its cards go in with it. What came too late changes nothing."""
    if await repository.settle(tx, answer, State.ANSWERING):
        cards = [
            _card(answer, place, concept, parent, answer.answered_at or answer.created_at)
            for place, concept in enumerate(concepts)
        ]
        await repository.insert_cards(tx, cards)
    await events.announce(tx, KIND, answer.chat_id)


async def card(tx: UserTx, card_id: UUID) -> Card:
    """One card of the member. Raises NotFound."""
    found = await repository.card(tx, card_id)
    if found is None:
        raise _card_absent()
    return found


def _card_absent() -> NotFound:
    return _absent("maya_card_not_found", "There is no such card.", "Ask Maya for new ideas.")


async def shoot(
    tx: UserTx,
    card_id: UUID,
    *,
    chat_id: UUID | None = None,
    key: str | None,
    new_seed: Callable[[], int],
    now: datetime,
    per_day: int | None,
    refusals: Refusals,
) -> Generation:
    """Three pictures of a card, with its prompt as it is; with `chat_id`, of one that stands in this conversation.

    Raises NotFound, and what `generation.ask` raises.
    """
    found = await card(tx, card_id)
    message = await repository.message(tx, found.message_id)
    if chat_id is not None and (message is None or message.chat_id != chat_id):
        raise _card_absent()
    made = await generation.ask(
        tx,
        found.prompt,
        key=key,
        new_seed=new_seed,
        now=now,
        per_day=per_day,
        refusals=refusals,
        title=found.title,
        look=found.look,
    )
    await repository.insert_shot(tx, card_id, made.id, now)
    if message is not None:
        await events.announce(tx, KIND, message.chat_id)
    return made


def _message(
    chat_id: UUID,
    place: int,
    role: Role,
    now: datetime,
    *,
    text: str = "",
    refines: UUID | None = None,
    message_id: UUID | None = None,
) -> Message:
    return Message(
        chat_id=chat_id,
        id=message_id or uuid4(),
        place=place,
        role=role,
        status=State.SAID if role is Role.MEMBER else State.ANSWERING,
        text=text,
        suggestions=(),
        refines=refines,
        error_code=None,
        error=None,
        created_at=now,
        answered_at=None,
    )


def _card(answer: Message, place: int, concept: Concept, parent: UUID | None, now: datetime) -> Card:
    return Card(
        message_id=answer.id,
        id=uuid4(),
        place=place,
        title=concept.title,
        description=concept.description,
        shot=concept.shot,
        category=concept.category,
        prompt=concept.prompt,
        look=concept.look,
        parts=parts_of(concept),
        parent_id=parent,
        created_at=now,
    )


async def _insert_both(tx: UserTx, said: Message, answer: Message, key: str | None) -> None:
    try:
        async with tx.conn.transaction():
            await repository.insert_message(tx, said, key)
            await repository.insert_message(tx, answer)
    except pg.UniqueViolation as exc:  # another window was faster, or she is still at it
        raise _answering() from exc


async def _end_interrupted(tx: UserTx, messages: Sequence[Message]) -> None:
    """What nobody will answer any more is written down as such, so that it stands in no one's way."""
    for message in messages:
        if message.status is State.FAILED and message.role is Role.MAYA:
            await repository.settle(tx, message, State.ANSWERING)


def _checked(words: str, refusals: Refusals) -> str:
    wanted = words.replace("\0", " ").strip()
    if not wanted:
        raise Unprocessable(
            "maya_words_empty", "There are no words.", next_step="Say what you would like to be seen in."
        )
    if len(wanted) > LONGEST_MESSAGE:
        raise Unprocessable(
            "maya_words_too_long",
            f"A message has {LONGEST_MESSAGE:,} characters at most.",
            next_step="Say it shorter, or in two messages.",
        )
    refusals.check(wanted)
    return wanted


def _answering() -> Conflict:
    return Conflict("maya_answering", "Maya is still answering.", next_step="Wait for her answer.")


def _absent(code: str, message: str, step: str) -> NotFound:
    return NotFound(code, message, next_step=step)
