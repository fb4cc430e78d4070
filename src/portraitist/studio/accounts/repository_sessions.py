"""The one writer of `sessions`, `one_time_links` and `sign_in_attempts`. SQL only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.studio.accounts.domain import Known, LinkKind, Session, SpentLink
from portraitist.studio.accounts.guessing import Tries
from portraitist.studio.db import Tx, UserTx


async def holder_of_session(tx: Tx, token_hash: bytes, now: datetime, idle: timedelta) -> Known | None:
    """Whose session this is, while it is good."""
    return await tx.maybe(
        Known,
        "select user_id, id, role, seen_at from member_of_session(%s, %s, %s)",
        (token_hash, now, idle),
    )


async def add_session(tx: UserTx, session: Session, token_hash: bytes) -> None:
    """Remember a session by its secret's hash."""
    await tx.run(
        """insert into sessions (user_id, id, token_hash, label, created_at, seen_at, proved_at, expires_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tx.user_id,
            session.id,
            token_hash,
            session.label,
            session.created_at,
            session.seen_at,
            session.created_at,
            session.expires_at,
        ),
    )


async def sessions(tx: UserTx, now: datetime, idle: timedelta) -> list[Session]:
    """Where the member is signed in, the last used first."""
    return await tx.all(
        Session,
        """select id, label, created_at, seen_at, expires_at from sessions
           where expires_at > %s and seen_at > %s order by seen_at desc, id desc""",
        (now, now - idle),
    )


async def session_seen(tx: UserTx, session_id: UUID, now: datetime) -> None:
    """The session has just been used."""
    await tx.run("update sessions set seen_at = %s where id = %s", (now, session_id))


async def remove_session(tx: UserTx, session_id: UUID) -> bool:
    """Whether there was such a session; it is gone."""
    return await tx.run("delete from sessions where id = %s", (session_id,)) == 1


async def remove_sessions(tx: UserTx, but: UUID | None = None) -> int:
    """End every session of the member, but one; returns how many."""
    return await tx.run("delete from sessions where id is distinct from %s", (but,))


async def remove_dead_sessions(tx: UserTx, now: datetime, idle: timedelta) -> None:
    """Forget sessions of this member that have run out."""
    await tx.run("delete from sessions where expires_at <= %s or seen_at <= %s", (now, now - idle))


async def spend_link(
    tx: Tx, token_hash: bytes, wanted: Sequence[LinkKind], now: datetime
) -> SpentLink | None:
    """What the link opens; it opens nothing a second time."""
    return await tx.maybe(
        SpentLink,
        "select kind, user_id, email, role from spend_link(%s, %s, %s)",
        (token_hash, now, list(wanted)),
    )


async def locked_tries(tx: Tx, key: str, now: datetime) -> Tries:
    """What is known of a key, kept for this transaction; old failures are forgotten."""
    await tx.run(
        """insert into sign_in_attempts (key, failures, tried_at, blocked_until) values (%s, 0, %s, %s)
           on conflict (key) do nothing""",
        (key, now, now),
    )
    found = await tx.maybe(
        Tries, "select failures, blocked_until from sign_in_attempts where key = %s for update", (key,)
    )
    assert found is not None, "the row was made above"
    return found


async def set_tries(tx: Tx, key: str, tries: Tries, now: datetime) -> None:
    """What is known of a key from now on."""
    await tx.run(
        "update sign_in_attempts set failures = %s, blocked_until = %s, tried_at = %s where key = %s",
        (tries.failures, tries.blocked_until, now, key),
    )


async def forget_tries(tx: Tx, key: str) -> None:
    """A key starts anew."""
    await tx.run("delete from sign_in_attempts where key = %s", (key,))


async def forgive_try(tx: Tx, key: str, now: datetime) -> None:
    """One try of this key was none of the failed ones."""
    await tx.run(
        """update sign_in_attempts set failures = greatest(failures - 1, 0), blocked_until = %s
           where key = %s""",
        (now, key),
    )


async def forget_old_tries(tx: Tx, before: datetime) -> None:
    """Keys that nobody has tried for long start anew."""
    await tx.run("delete from sign_in_attempts where tried_at < %s", (before,))


async def add_ceremony(tx: Tx, digest: bytes, until: datetime) -> None:
    """Remember a challenge by its digest."""
    await tx.run("insert into ceremonies (digest, expires_at) values (%s, %s)", (digest, until))


async def take_ceremony(tx: Tx, digest: bytes, now: datetime) -> bool:
    """Whether the challenge was there and is good; it is gone."""
    return (
        await tx.value("delete from ceremonies where digest = %s returning expires_at > %s", (digest, now))
        is True
    )


async def forget_old_ceremonies(tx: Tx, before: datetime) -> None:
    """Challenges that have run out."""
    await tx.run("delete from ceremonies where expires_at < %s", (before,))


async def proved_at(tx: UserTx, session_id: UUID | None, token_id: UUID | None) -> datetime | None:
    """When this session or token was last proved to be the member's own."""
    found: datetime | None = await tx.value(
        """select proved_at from sessions where id = %s
           union all select proved_at from api_tokens where id = %s""",
        (session_id, token_id),
    )
    return found


async def session_proved(tx: UserTx, session_id: UUID, token_hash: bytes, now: datetime) -> bool:
    """The session is proved now, and known by another secret from now on; False where it is gone."""
    sql = "update sessions set proved_at = %s, token_hash = %s where id = %s"
    return await tx.run(sql, (now, token_hash, session_id)) == 1


async def token_proved(tx: UserTx, token_id: UUID, now: datetime) -> None:
    """Whoever uses this token has just proved to be the member."""
    await tx.run("update api_tokens set proved_at = %s where id = %s", (now, token_id))
