"""The one writer of `notices`, `notice_ways`, `push_subscriptions` and `pushes`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.notices.domain import KEPT_FOR, Notice, Subscription, Ways


@dataclass(frozen=True)
class Push:
    """One row of `pushes`: a notice on its way to a browser."""

    id: UUID
    notice_id: UUID
    subscription_id: UUID
    created_at: datetime
    tries: int


async def add(tx: UserTx, notice: Notice) -> bool:
    """Enter a notice; False where the member was told of this event before. Those from long ago go."""
    await tx.run("delete from notices where created_at < %s", (notice.created_at - KEPT_FOR,))
    return (
        await tx.run(
            """insert into notices (user_id, id, kind, event, detail, created_at) values (%s, %s, %s, %s, %s, %s)
               on conflict (user_id, kind, event) do nothing""",
            (
                tx.user_id,
                notice.id,
                notice.kind,
                notice.event,
                Jsonb(dict(notice.detail)),
                notice.created_at,
            ),
        )
        == 1
    )


async def get(tx: UserTx, notice_id: UUID) -> Notice | None:
    """One notice of the member's."""
    query = "select id, kind, event, detail, created_at, read_at from notices where id = %s"
    return await tx.maybe(Notice, query, (notice_id,))


async def newest(tx: UserTx, limit: int) -> list[Notice]:
    """The member's notices, newest first."""
    return await tx.all(
        Notice,
        """select id, kind, event, detail, created_at, read_at from notices
           order by created_at desc, id desc limit %s""",
        (limit,),
    )


async def unread(tx: UserTx) -> int:
    """How many the member has not seen."""
    return int(await tx.value("select count(*) as n from notices where read_at is null"))


async def read_all(tx: UserTx, now: datetime) -> int:
    """The member has seen them; returns how many were new."""
    return await tx.run("update notices set read_at = %s where read_at is null", (now,))


async def ways(tx: UserTx) -> Ways:
    """How the member wants to hear of them."""
    return await tx.maybe(Ways, "select mail, push, language from notice_ways") or Ways()


async def save_ways(tx: UserTx, ways: Ways) -> None:
    """From now on."""
    await tx.run(
        """insert into notice_ways (user_id, mail, push, language)
           values (%(user_id)s, %(mail)s, %(push)s, %(language)s) on conflict (user_id) do update
           set mail = excluded.mail, push = excluded.push, language = excluded.language""",
        vars(ways) | {"user_id": tx.user_id},
    )


async def subscribe(tx: UserTx, session_id: UUID, new: Subscription, now: datetime) -> None:
    """This session's browser; in the place of what it gave before."""
    await tx.run(
        "delete from push_subscriptions where session_id = %s or endpoint = %s", (session_id, new.endpoint)
    )
    await tx.run(
        """insert into push_subscriptions (user_id, id, session_id, endpoint, p256dh, auth, created_at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        (tx.user_id, new.id, session_id, new.endpoint, new.p256dh, new.auth, now),
    )


async def unsubscribe(tx: UserTx, session_id: UUID) -> None:
    """This session's browser hears no more."""
    await tx.run("delete from push_subscriptions where session_id = %s", (session_id,))


async def is_subscribed(tx: UserTx, session_id: UUID) -> bool:
    """Whether this session's browser is pushed to."""
    query = "select exists (select from push_subscriptions where session_id = %s) as found"
    return bool(await tx.value(query, (session_id,)))


async def subscription(tx: UserTx, subscription_id: UUID) -> Subscription | None:
    """One browser of the member's."""
    query = "select id, endpoint, p256dh, auth from push_subscriptions where id = %s"
    return await tx.maybe(Subscription, query, (subscription_id,))


async def forget_subscription(tx: UserTx, subscription_id: UUID) -> None:
    """There is no such browser any more; what waited for it goes too."""
    await tx.run("delete from push_subscriptions where id = %s", (subscription_id,))


async def add_pushes(tx: UserTx, notice_id: UUID, now: datetime) -> None:
    """This notice to each of the member's browsers."""
    cursor = await tx.conn.execute("select id from push_subscriptions")
    for row in await cursor.fetchall():
        await tx.run(
            """insert into pushes (user_id, id, notice_id, subscription_id, created_at, next_check_at)
               values (%s, %s, %s, %s, %s, %s)""",
            (tx.user_id, uuid4(), notice_id, row["id"], now, now),
        )


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Pushes whose time has come, left to the caller until then."""
    return await tx.all(
        DueRow,
        """update pushes set leased_until = %s where id in (
               select id from pushes where next_check_at <= %s and (leased_until is null or leased_until <= %s)
               order by next_check_at limit %s for update skip locked)
           returning id, user_id""",
        (until, now, now, limit),
    )


async def push(tx: UserTx, push_id: UUID) -> Push | None:
    """One push of the member's."""
    query = "select id, notice_id, subscription_id, created_at, tries from pushes where id = %s"
    return await tx.maybe(Push, query, (push_id,))


async def put_off(tx: UserTx, push_id: UUID, until: datetime) -> None:
    """Try again then."""
    await tx.run(
        "update pushes set next_check_at = %s, leased_until = null, tries = tries + 1 where id = %s",
        (until, push_id),
    )


async def forget_push(tx: UserTx, push_id: UUID) -> None:
    """It was sent, or nobody waits for it."""
    await tx.run("delete from pushes where id = %s", (push_id,))


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row of the member's; how many of each table."""
    return {
        "pushes": await tx.run("delete from pushes"),
        "push_subscriptions": await tx.run("delete from push_subscriptions"),
        "notices": await tx.run("delete from notices"),
        "notice_ways": await tx.run("delete from notice_ways"),
    }
