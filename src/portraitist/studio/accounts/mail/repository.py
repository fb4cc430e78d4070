"""The one writer of `mails` and `mail_wishes`, and of links that go by mail. SQL only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.studio.accounts.mail.letters import Kind, LinkKind, WishKind
from portraitist.studio.db import DueRow, SystemTx, Tx, UserTx


@dataclass(frozen=True)
class Mail:
    """One row of `mails`."""

    id: UUID
    kind: Kind
    detail: Mapping[str, Any]
    created_at: datetime
    tries: int


@dataclass(frozen=True)
class Wish:
    """One row of `mail_wishes`."""

    id: UUID
    kind: WishKind
    address: str
    created_at: datetime


async def add_wish(tx: Tx, wish: Wish) -> None:
    """Somebody wants a link for this address."""
    await tx.run(
        "insert into mail_wishes (id, kind, address, created_at) values (%s, %s, %s, %s)",
        (wish.id, wish.kind, wish.address, wish.created_at),
    )


async def next_wish(tx: Tx) -> Wish | None:
    """The oldest wish that nobody else has in hand; it is gone when the transaction commits."""
    return await tx.maybe(
        Wish,
        """delete from mail_wishes where id = (
               select id from mail_wishes order by created_at limit 1 for update skip locked)
           returning id, kind, address, created_at""",
    )


async def forget_wishes(tx: Tx, address: str) -> None:
    """Nobody wants a link for this address any more."""
    await tx.run("delete from mail_wishes where address = %s", (address,))


async def member_of(tx: Tx, address: str) -> str | None:
    """Whose address this is, unless the account is disabled."""
    found = await tx.value("select user_id from member_of_email(%s)", (address,))
    return None if found is None else str(found)


async def add(tx: UserTx, mail: Mail) -> None:
    """A letter that is to be sent; of each kind with a link at most one waits."""
    await tx.run(
        """insert into mails (user_id, id, kind, detail, created_at, next_check_at)
           select %(user_id)s, %(id)s, %(kind)s, %(detail)s, %(at)s, %(at)s
           where %(kind)s not in ('sign_in', 'mailed_reset', 'proof')
               or not exists (select from mails where kind = %(kind)s)""",
        {
            "user_id": tx.user_id,
            "id": mail.id,
            "kind": mail.kind,
            "detail": Jsonb(dict(mail.detail)),
            "at": mail.created_at,
        },
    )


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Letters whose time has come, left to the caller until then."""
    return await tx.all(
        DueRow,
        """update mails set leased_until = %s where id in (
               select id from mails where next_check_at <= %s and (leased_until is null or leased_until <= %s)
               order by next_check_at limit %s for update skip locked)
           returning id, user_id""",
        (until, now, now, limit),
    )


async def get(tx: UserTx, mail_id: UUID) -> Mail | None:
    """One letter, if it still waits."""
    return await tx.maybe(
        Mail, "select id, kind, detail, created_at, tries from mails where id = %s", (mail_id,)
    )


async def put_off(tx: UserTx, mail_id: UUID, until: datetime) -> None:
    """It was tried in vain, and is tried again then."""
    await tx.run(
        "update mails set tries = tries + 1, next_check_at = %s, leased_until = null where id = %s",
        (until, mail_id),
    )


async def remove(tx: UserTx, mail_id: UUID) -> None:
    """It is sent, or given up."""
    await tx.run("delete from mails where id = %s", (mail_id,))


async def remove_all(tx: UserTx) -> int:
    """No letter waits for this member any more; how many did."""
    return await tx.run("delete from mails")


async def replace_link(
    tx: UserTx, kind: LinkKind, link_id: UUID, digest: bytes, *, now: datetime, until: datetime
) -> None:
    """The member's one link of this kind; earlier ones open nothing any more."""
    await tx.run("delete from one_time_links where kind = %s", (kind,))
    await tx.run(
        """insert into one_time_links (id, kind, token_hash, user_id, created_at, expires_at)
           values (%s, %s, %s, %s, %s, %s)""",
        (link_id, kind, digest, tx.user_id, now, until),
    )
