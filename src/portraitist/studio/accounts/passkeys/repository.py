"""The one writer of `passkeys` and `recovery_codes`. SQL only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.accounts.passkeys.domain import Codes, Credential, Passkey
from portraitist.studio.db import Tx, UserTx


async def member_of(tx: Tx, credential_id: bytes) -> str | None:
    """Whose passkey this is, unless the account is disabled."""
    found = await tx.value("select user_id from member_of_passkey(%s)", (credential_id,))
    return None if found is None else str(found)


async def credential(tx: UserTx, credential_id: bytes) -> Credential | None:
    """The member's own passkey of this id, kept until the transaction ends."""
    return await tx.maybe(
        Credential,
        """select id, credential_id, public_key, sign_count from passkeys
           where credential_id = %s for update""",
        (credential_id,),
    )


async def credential_ids(tx: UserTx) -> list[bytes]:
    """Ids of the member's passkeys, as devices know them."""
    cursor = await tx.conn.execute("select credential_id from passkeys order by created_at, id")
    return [bytes(row["credential_id"]) for row in await cursor.fetchall()]


async def add(tx: UserTx, passkey: Passkey, credential: Credential) -> bool:
    """Remember a passkey; False where somebody has registered this very one."""
    sql = """insert into passkeys (user_id, id, credential_id, public_key, sign_count, name, backed_up, created_at)
             values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing"""
    values = (
        tx.user_id,
        passkey.id,
        credential.credential_id,
        credential.public_key,
        credential.sign_count,
        passkey.name,
        passkey.backed_up,
        passkey.created_at,
    )
    return await tx.run(sql, values) == 1


async def passkeys(tx: UserTx) -> list[Passkey]:
    """The member's passkeys, the first made first."""
    return await tx.all(
        Passkey, "select id, name, backed_up, created_at, used_at from passkeys order by created_at, id"
    )


async def used(tx: UserTx, passkey_id: UUID, count: int, *, backed_up: bool, now: datetime) -> None:
    """The passkey has just signed."""
    await tx.run(
        "update passkeys set sign_count = %s, backed_up = %s, used_at = %s where id = %s",
        (count, backed_up, now, passkey_id),
    )


async def rename(tx: UserTx, passkey_id: UUID, name: str) -> bool:
    """Whether there is such a passkey; it is called so now."""
    return await tx.run("update passkeys set name = %s where id = %s", (name, passkey_id)) == 1


async def remove(tx: UserTx, passkey_id: UUID) -> bool:
    """Whether there was such a passkey; it opens nothing any more."""
    return await tx.run("delete from passkeys where id = %s", (passkey_id,)) == 1


async def remove_all(tx: UserTx) -> dict[str, int]:
    """Remove the member's passkeys and codes; how many rows."""
    return {
        "passkeys": await tx.run("delete from passkeys"),
        "recovery_codes": await tx.run("delete from recovery_codes"),
    }


async def replace_codes(tx: UserTx, digests: Sequence[bytes], now: datetime) -> None:
    """These recovery codes and no others."""
    await tx.run("delete from recovery_codes")
    await tx.run(
        "insert into recovery_codes (user_id, digest, created_at) select %s, unnest(%s::bytea[]), %s",
        (tx.user_id, list(digests), now),
    )


async def spend_code(tx: UserTx, digest: bytes, now: datetime) -> bool:
    """Whether the code is one of the member's that was good until now."""
    sql = "update recovery_codes set used_at = %s where digest = %s and used_at is null"
    return await tx.run(sql, (now, digest)) == 1


async def codes(tx: UserTx) -> Codes:
    """How many codes there are and are left."""
    found = await tx.maybe(
        Codes,
        """select count(*)::int as made, (count(*) filter (where used_at is null))::int as left,
               max(created_at) as made_at from recovery_codes""",
    )
    assert found is not None, "an aggregate has a row"
    return found
