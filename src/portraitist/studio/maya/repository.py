"""The one writer of conversations: `maya_chats`, `maya_messages`, `concept_cards`, `maya_shots`. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.studio.db import UserTx
from portraitist.studio.maya.domain import Card, Chat, Message, State
from portraitist.studio.paging import Wanted

CHAT = "select id, title, created_at, said_at from maya_chats"
MESSAGE = """select chat_id, id, place, role, status, text, suggestions, refines, error_code, error,
    created_at, answered_at from maya_messages"""
CARD = """select message_id, id, place, title, description, shot, category, prompt, look,
    parts, parent_id, created_at from concept_cards"""


@dataclass(frozen=True)
class Shot:
    """A generation that a card was shot with."""

    card_id: UUID
    generation_id: UUID


async def insert_chat(tx: UserTx, chat: Chat) -> None:
    """A new conversation."""
    await tx.run(
        "insert into maya_chats (user_id, id, title, created_at, said_at) values (%s, %s, %s, %s, %s)",
        (tx.user_id, chat.id, chat.title, chat.created_at, chat.said_at),
    )


async def chat(tx: UserTx, chat_id: UUID) -> Chat | None:
    """One conversation of the member."""
    return await tx.maybe(Chat, f"{CHAT} where id = %s", (chat_id,))


async def chats(tx: UserTx, page: Wanted) -> list[Chat]:
    """At most one conversation more than the page has, the one talked in last first."""
    return await tx.all(
        Chat,
        f"""{CHAT} where %(at)s::timestamptz is null or (said_at, id) < (%(at)s, %(id)s)
            order by said_at desc, id desc limit %(limit)s""",
        {"at": page.after and page.after.at, "id": page.after and page.after.id, "limit": page.limit + 1},
    )


async def forget_oldest(tx: UserTx, kept: int) -> None:
    """Remove the conversations beyond so many, the oldest."""
    await tx.run(
        """delete from maya_chats where id in (
               select id from maya_chats order by said_at desc, id desc offset %s)""",
        (kept,),
    )


async def delete_chat(tx: UserTx, chat_id: UUID) -> None:
    """Remove a conversation with its cards; pictures stay."""
    await tx.run("delete from maya_chats where id = %s", (chat_id,))


async def touch(tx: UserTx, chat_id: UUID, title: str, now: datetime) -> None:
    """Something was said in it; its title stays where it has one."""
    await tx.run(
        "update maya_chats set said_at = %s, title = case when title = '' then %s else title end where id = %s",
        (now, title, chat_id),
    )


async def insert_message(tx: UserTx, message: Message, key: str | None = None) -> None:
    """A message; raises psycopg's UniqueViolation for a second answer at once, or for a key that was used."""
    await tx.run(
        """insert into maya_messages (user_id, chat_id, id, place, role, status, text, refines, idempotency_key,
               created_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tx.user_id,
            message.chat_id,
            message.id,
            message.place,
            message.role,
            message.status,
            message.text,
            message.refines,
            key,
            message.created_at,
        ),
    )


async def messages(tx: UserTx, chat_id: UUID) -> list[Message]:
    """Everything said in a conversation, in order."""
    return await tx.all(Message, f"{MESSAGE} where chat_id = %s order by place", (chat_id,))


async def message(tx: UserTx, message_id: UUID) -> Message | None:
    """One message."""
    return await tx.maybe(Message, f"{MESSAGE} where id = %s", (message_id,))


async def by_key(tx: UserTx, key: str) -> Message | None:
    """The message that came with this idempotency key."""
    return await tx.maybe(Message, f"{MESSAGE} where idempotency_key = %s", (key,))


async def after(tx: UserTx, message: Message) -> Message | None:
    """The message that follows this one."""
    return await tx.maybe(
        Message,
        f"{MESSAGE} where chat_id = %s and place = %s",
        (message.chat_id, message.place + 1),
    )


async def settle(tx: UserTx, message: Message, status: State) -> bool:
    """Give an answer that has `status` what it says now; False where another was faster."""
    return (
        await tx.run(
            """update maya_messages set status = %s, text = %s, suggestions = %s, error_code = %s, error = %s,
                   created_at = %s, answered_at = %s where id = %s and status = %s""",
            (
                message.status,
                message.text,
                list(message.suggestions),
                message.error_code,
                message.error,
                message.created_at,
                message.answered_at,
                message.id,
                status,
            ),
        )
        == 1
    )


async def insert_cards(tx: UserTx, cards: Sequence[Card]) -> None:
    """The cards of an answer, each with its prompt."""
    async with tx.conn.cursor() as cursor:
        await cursor.executemany(
            """insert into concept_cards (user_id, message_id, id, place, title, description, shot, category, prompt,
                   look, parts, parent_id, created_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    tx.user_id,
                    card.message_id,
                    card.id,
                    card.place,
                    card.title,
                    card.description,
                    card.shot,
                    card.category,
                    card.prompt,
                    card.look,
                    None if card.parts is None else Jsonb(dict(card.parts)),
                    card.parent_id,
                    card.created_at,
                )
                for card in cards
            ],
        )


async def card(tx: UserTx, card_id: UUID) -> Card | None:
    """One card of the member."""
    return await tx.maybe(Card, f"{CARD} where id = %s", (card_id,))


async def cards(tx: UserTx, chat_id: UUID) -> list[Card]:
    """The cards of a conversation, in order."""
    return await tx.all(
        Card,
        f"""{CARD} where message_id in (
                select id from maya_messages where chat_id = %s and role = 'maya') order by message_id, place""",  # noqa: S608  # our own words
        (chat_id,),
    )


async def insert_shot(tx: UserTx, card_id: UUID, generation_id: UUID, now: datetime) -> None:
    """A card was shot; the same generation is entered once."""
    await tx.run(
        """insert into maya_shots (user_id, card_id, generation_id, created_at) values (%s, %s, %s, %s)
           on conflict do nothing""",
        (tx.user_id, card_id, generation_id, now),
    )


async def shots(tx: UserTx, chat_id: UUID) -> list[Shot]:
    """What was shot of a conversation's cards, in order."""
    return await tx.all(
        Shot,
        """select s.card_id, s.generation_id from maya_shots s join concept_cards c on c.id = s.card_id
               join maya_messages m on m.id = c.message_id
           where m.chat_id = %s order by s.created_at, s.generation_id""",
        (chat_id,),
    )
