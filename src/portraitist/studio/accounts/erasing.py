"""What an erasure needs of accounts: closing the doors at its start, and removing the member at its end.

Invitations carry an address and no member: they are the registrar's to remove.
"""

from datetime import datetime

from portraitist.studio.accounts import guessing
from portraitist.studio.accounts import repository_sessions as kept
from portraitist.studio.accounts.mail import repository as mails
from portraitist.studio.accounts.oidc import repository as identities
from portraitist.studio.accounts.passkeys import repository as passkeys
from portraitist.studio.db import RegistrarTx, UserTx


async def lock(tx: UserTx) -> bool:
    """Wait for what is being entered for this member, and keep new things waiting; False if there is none."""
    return await tx.value("select 1 as there from users where id = %s for update", (tx.user_id,)) is not None


async def shut(tx: UserTx) -> None:
    """Nobody is signed in as this member any more, nor can be."""
    await tx.run("delete from sessions")
    await tx.run("delete from api_tokens")
    await tx.run("delete from passwords")
    await passkeys.remove_all(tx)
    await mails.remove_all(tx)
    await identities.remove_all(tx)


async def withdraw(tx: UserTx, now: datetime) -> int:
    """Every consent ends; returns how many did now."""
    return await tx.run("update consents set withdrawn_at = %s where withdrawn_at is null", (now,))


async def has_consent_of(tx: UserTx, before: datetime) -> bool:
    """Whether a consent that was given before then holds."""
    sql = "select exists (select from consents where given_at <= %s and withdrawn_at is null) as found"
    return bool(await tx.value(sql, (before,)))


async def email_of(tx: UserTx) -> str | None:
    """The member's address, if they are still there and have one."""
    found = await tx.value("select email from users where id = %s", (tx.user_id,))
    return None if found is None else str(found)


async def forget_tries(tx: UserTx, email: str | None, secret: str) -> None:
    """Nobody has tried to sign in as this member."""
    for known_as in {email or tx.user_id, tx.user_id}:
        key = guessing.account_key(known_as, secret)
        await kept.forget_tries(tx, key)
        await kept.forget_tries(tx, guessing.MAILS + key)
    await mails.forget_wishes(tx, email or "")


async def forget_links(tx: RegistrarTx, user_id: str, email: str | None) -> int:
    """Remove links made for this member or address; returns how many."""
    return await tx.run("delete from one_time_links where user_id = %s or email = %s", (user_id, email))


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove the member, last of all: a row that still hangs on them refuses it (a foreign key)."""
    await shut(tx)
    return {
        "one_time_links": await tx.run("delete from one_time_links"),
        "consents": await tx.run("delete from consents"),
        "users": await tx.run("delete from users where id = %s", (tx.user_id,)),
    }


async def ids(tx: RegistrarTx, after: str, limit: int) -> list[str]:
    """Members in the order of their ids, from the one after `after`."""
    cursor = await tx.conn.execute("select id from users where id > %s order by id limit %s", (after, limit))
    return [row["id"] for row in await cursor.fetchall()]
