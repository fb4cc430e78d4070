"""An admin's SQL on accounts and links: addresses, roles, states and times, as the role `registrar`."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from portraitist.studio.accounts.register import Account, Link
from portraitist.studio.db import RegistrarTx


async def accounts(tx: RegistrarTx, after: str, limit: int, part: str) -> list[Account]:
    """Accounts with this part in their address in the order of their ids, from the one after `after`."""
    return await tx.all(
        Account,
        """select id, email, role, created_at, disabled_at from users
           where id > %s and position(%s in email) > 0 order by id limit %s""",
        (after, part, limit),
    )


async def account(tx: RegistrarTx, user_id: str) -> Account | None:
    """One account, kept for this transaction; local members are none."""
    return await tx.maybe(
        Account,
        """select id, email, role, created_at, disabled_at from users
           where id = %s and email is not null for update""",
        (user_id,),
    )


async def addresses(tx: RegistrarTx, ids: Collection[str]) -> dict[str, str]:
    """Addresses by id."""
    cursor = await tx.conn.execute(
        "select id, email from users where id = any(%s) and email is not null", (list(ids),)
    )
    return {row["id"]: row["email"] for row in await cursor.fetchall()}


async def addresses_of_subjects(tx: RegistrarTx, subjects: Collection[UUID]) -> dict[UUID, str]:
    """Addresses by audit subject."""
    cursor = await tx.conn.execute(
        "select audit_subject, email from users where audit_subject = any(%s) and email is not null",
        (list(subjects),),
    )
    return {row["audit_subject"]: row["email"] for row in await cursor.fetchall()}


async def admins(tx: RegistrarTx) -> list[str]:
    """Ids of the admins who may sign in, kept for this transaction."""
    cursor = await tx.conn.execute(
        "select id from users where role = 'admin' and disabled_at is null order by id for update"
    )
    return [row["id"] for row in await cursor.fetchall()]


async def change(tx: RegistrarTx, account: Account) -> None:
    """Role and state of an account."""
    await tx.run(
        "update users set role = %s, disabled_at = %s where id = %s",
        (account.role, account.disabled_at, account.id),
    )


async def end_sessions(tx: RegistrarTx, user_id: str) -> None:
    """The member is signed in nowhere any more."""
    await tx.run("delete from sessions where user_id = %s", (user_id,))


async def end_tokens(tx: RegistrarTx, user_id: str) -> None:
    """No token of the member is good any more."""
    await tx.run("delete from api_tokens where user_id = %s", (user_id,))


async def add_link(tx: RegistrarTx, link: Link, token_hash: bytes) -> None:
    """Remember a link by its secret's hash."""
    await tx.run(
        """insert into one_time_links (id, kind, token_hash, user_id, email, role, created_at, expires_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            link.id,
            link.kind,
            token_hash,
            link.user_id,
            link.email,
            link.role,
            link.created_at,
            link.expires_at,
        ),
    )


async def links(tx: RegistrarTx, now: datetime) -> list[Link]:
    """Invitations that may still be used, newest first."""
    return await tx.all(
        Link,
        """select id, kind, user_id, email, role, created_at, expires_at from one_time_links
           where kind = 'invitation' and used_at is null and expires_at > %s order by created_at desc, id desc""",
        (now,),
    )


async def remove_invitation(tx: RegistrarTx, link_id: UUID) -> bool:
    """Whether there was such an invitation; it opens nothing any more."""
    sql = "delete from one_time_links where id = %s and kind = 'invitation' and used_at is null"
    return await tx.run(sql, (link_id,)) == 1


async def remove_first_links(tx: RegistrarTx) -> None:
    """Earlier links to the first account open nothing any more."""
    await tx.run("delete from one_time_links where kind = 'first'")


async def remove_resets(tx: RegistrarTx, user_id: str) -> None:
    """Earlier links to a new password of this member open nothing any more."""
    await tx.run("delete from one_time_links where kind = 'reset' and user_id = %s", (user_id,))
