"""The one writer of `identities`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import Tx, UserTx


@dataclass(frozen=True)
class Identity:
    """One row of `identities`."""

    id: UUID
    issuer: str
    subject: str
    created_at: datetime
    used_at: datetime | None


async def member_of(tx: Tx, issuer: str, subject: str) -> str | None:
    """Which member this person of the provider's is, unless the account is disabled."""
    found = await tx.value("select user_id from member_of_identity(%s, %s)", (issuer, subject))
    return None if found is None else str(found)


async def add(tx: UserTx, identity: Identity) -> bool:
    """The member is this person of the provider's; False where somebody is already."""
    sql = """insert into identities (user_id, id, issuer, subject, created_at, used_at)
             values (%s, %s, %s, %s, %s, %s) on conflict do nothing"""
    values = (
        tx.user_id,
        identity.id,
        identity.issuer,
        identity.subject,
        identity.created_at,
        identity.used_at,
    )
    return await tx.run(sql, values) == 1


async def identities(tx: UserTx) -> list[Identity]:
    """Who the member is at providers, the first linked first."""
    return await tx.all(
        Identity, "select id, issuer, subject, created_at, used_at from identities order by created_at, id"
    )


async def used(tx: UserTx, issuer: str, subject: str, now: datetime) -> None:
    """The member has just come in this way."""
    await tx.run(
        "update identities set used_at = %s where issuer = %s and subject = %s", (now, issuer, subject)
    )


async def remove(tx: UserTx, identity_id: UUID) -> bool:
    """Whether there was such a link; it opens nothing any more."""
    return await tx.run("delete from identities where id = %s", (identity_id,)) == 1


async def remove_all(tx: UserTx) -> int:
    """Remove the member's links; how many rows."""
    return await tx.run("delete from identities")
