"""SQL of webhooks: whose row a token stands for, and the deliveries. The one writer of `webhook_deliveries`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from portraitist.studio.db import SystemTx, Tx, UserTx

Kind = Literal["training", "verification", "generation"]


@dataclass(frozen=True)
class Subject:
    """The row that a webhook's token stands for."""

    user_id: str
    id: UUID
    account_id: str
    provider_id: str | None


@dataclass(frozen=True)
class Message:
    """One webhook that its account's provider has signed; `provider_id` is the run that it shows."""

    account_id: str
    webhook_id: str
    kind: Kind
    provider_id: str


async def subject(tx: Tx, kind: Kind, token: str) -> Subject | None:
    """The row with this token, before its member is known."""
    return await tx.maybe(
        Subject, "select user_id, id, account_id, provider_id from work_of_webhook(%s, %s)", (kind, token)
    )


async def as_member(tx: Tx, user_id: str) -> UserTx:
    """The same transaction goes on as the member that a token stands for."""
    await tx.value("select set_config('app.user_id', %s, true)", (user_id,))
    return UserTx(tx.conn, user_id)


async def store(tx: UserTx, found: Subject, message: Message, outcome: str, now: datetime) -> bool:
    """Enter a delivery; False where the same message was entered before."""
    return (
        await tx.run(
            """insert into webhook_deliveries (user_id, id, account_id, webhook_id, kind, subject_id, provider_id,
                   outcome, received_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (account_id, webhook_id) do nothing""",
            (
                tx.user_id,
                uuid4(),
                message.account_id,
                message.webhook_id,
                message.kind,
                found.id,
                message.provider_id,
                outcome,
                now,
            ),
        )
        == 1
    )


async def clear(tx: SystemTx, before: datetime) -> None:
    """Forget deliveries received before this moment."""
    await tx.run("delete from webhook_deliveries where received_at < %s", (before,))
