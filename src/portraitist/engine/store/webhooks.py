"""The table `webhook_messages`: what is to be sent. A row goes when it is delivered or given up."""

from dataclasses import dataclass
from datetime import timedelta

from portraitist.engine.domain import Event
from portraitist.engine.store import Tx
from portraitist.kit.database import row_to

CHANNEL = "engine_webhooks"


@dataclass(frozen=True)
class Message:
    """One message of one run; `attempts` counts the one now under way."""

    id: str
    run_id: str
    event: Event
    attempts: int


async def insert(tx: Tx, message_id: str, run_id: str, event: Event) -> None:
    """Queue a message, to be sent once this transaction has committed."""
    query = "insert into webhook_messages (id, run_id, event) values (%s, %s, %s)"
    await tx.execute(query, (message_id, run_id, event))
    await tx.execute("select pg_notify(%s, '')", (CHANNEL,))


async def take(tx: Tx, hold: timedelta) -> Message | None:
    """The next message that is due; it comes again after `hold` unless it is settled before."""
    query = (
        "update webhook_messages set attempts = attempts + 1, due_at = now() + %s where id ="
        " (select id from webhook_messages where due_at <= now() order by due_at limit 1"
        "  for update skip locked) returning id, run_id, event, attempts"
    )
    return await (await tx.cursor(row_factory=row_to(Message)).execute(query, (hold,))).fetchone()


async def postpone(tx: Tx, message_id: str, pause: timedelta) -> None:
    """Try again after a pause."""
    await tx.execute("update webhook_messages set due_at = now() + %s where id = %s", (pause, message_id))


async def delete(tx: Tx, message_id: str) -> None:
    """The message is settled."""
    await tx.execute("delete from webhook_messages where id = %s", (message_id,))
