"""The one writer of `audit_events` and `audit_chain`. SQL only, and only inserts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.studio.db import GlassTx, RegistrarTx, SystemTx, Tx, UserTx
from portraitist.studio.paging import Wanted
from portraitist.studio.trail.domain import Actor, Event, Head, Link

LOOK_BACK = "1 day"
"""Events are sealed within seconds; one older than this before the last sealing never was."""
SEALING = 7_203_517_544_011_920_021  # the lock of whoever seals


@dataclass(frozen=True)
class _Row:
    seq: int
    digest: bytes
    id: UUID | None
    at: datetime | None
    action: str | None
    actor: str | None
    actor_id: UUID | None
    subject: UUID | None
    detail: dict[str, Any] | None


async def append_own(tx: UserTx, action: str, actor: Actor | None, detail: dict[str, Any]) -> None:
    """About the member of this transaction; by them, unless somebody else is named."""
    await tx.run(
        """insert into audit_events (action, actor, actor_id, subject, detail)
           select %(action)s, %(actor)s, case when %(own)s then own.subject else %(actor_id)s end, own.subject,
               %(detail)s
           from (select (select audit_subject from users where id = current_member()) as subject) own""",
        {
            "action": action,
            "own": actor is None,
            "actor": "member" if actor is None else actor.kind,
            "actor_id": None if actor is None else actor.id,
            "detail": Jsonb(detail),
        },
    )


async def append_about(
    tx: RegistrarTx, user_id: str | None, action: str, actor: Actor, detail: dict[str, Any]
) -> None:
    """About this member, or (None) about the studio."""
    await tx.run(
        """insert into audit_events (action, actor, actor_id, subject, detail)
           values (%s, %s, %s, (select audit_subject from users where id = %s), %s)""",
        (action, actor.kind, actor.id, user_id, Jsonb(detail)),
    )


async def append_unknown(tx: Tx, action: str, actor: Actor, detail: dict[str, Any]) -> None:
    """About nobody in particular."""
    await tx.run(
        "insert into audit_events (action, actor, actor_id, detail) values (%s, %s, %s, %s)",
        (action, actor.kind, actor.id, Jsonb(detail)),
    )


async def append_seen(tx: GlassTx, subject: UUID, action: str, actor: Actor, detail: dict[str, Any]) -> None:
    """About the member of this number, in whose things somebody looks."""
    await tx.run(
        "insert into audit_events (action, actor, actor_id, subject, detail) values (%s, %s, %s, %s, %s)",
        (action, actor.kind, actor.id, subject, Jsonb(detail)),
    )


async def subject_of(tx: RegistrarTx, user_id: str) -> UUID | None:
    """By which number events name this member."""
    found = await tx.value("select audit_subject from users where id = %s", (user_id,))
    return None if found is None else UUID(str(found))


async def recently(tx: UserTx, action: str, seconds: float) -> bool:
    """Whether the member's trail has such an event that is no older."""
    return bool(
        await tx.value(
            """select exists (select from audit_events where action = %s
                   and at > clock_timestamp() - make_interval(secs => %s)) as found""",
            (action, seconds),
        )
    )


async def page(tx: UserTx | RegistrarTx, subject: UUID | None, page: Wanted) -> list[Event]:
    """Events, newest first: of one subject or of all that this transaction may see; one more than the page has."""
    after = page.after
    return await tx.all(
        Event,
        """select id, at, action, actor, actor_id, subject, detail from audit_events
           where (%(subject)s::uuid is null or subject = %(subject)s)
               and (%(at)s::timestamptz is null or (at, id) < (%(at)s, %(id)s))
           order by at desc, id desc limit %(limit)s""",
        {
            "subject": subject,
            "at": None if after is None else after.at,
            "id": None if after is None else after.id,
            "limit": page.limit + 1,
        },
    )


async def may_seal(tx: SystemTx) -> bool:
    """Whether this transaction is the one that seals now: there is one chain."""
    return bool(await tx.value("select pg_try_advisory_xact_lock(%s)", (SEALING,)))


async def head(tx: SystemTx | RegistrarTx) -> Head | None:
    """The end of the chain; None where nothing was sealed yet."""
    return await tx.maybe(Head, "select seq, digest from audit_chain order by seq desc limit 1")


async def unsealed(tx: SystemTx, limit: int) -> list[Event]:
    """Committed events that are not in the chain, oldest first."""
    return await tx.all(
        Event,
        """select e.id, e.at, e.action, e.actor, e.actor_id, e.subject, e.detail from audit_events e
           where e.at >= coalesce((select sealed_at from audit_chain order by seq desc limit 1), '-infinity')
                   - %s::interval
               and not exists (select from audit_chain c where c.event_id = e.id)
           order by e.at, e.id limit %s""",
        (LOOK_BACK, limit),
    )


async def seal(tx: SystemTx, links: Sequence[Link]) -> None:
    """Append to the chain."""
    seqs = [link.seq for link in links]
    ids = [None if link.event is None else link.event.id for link in links]
    await tx.run(
        """insert into audit_chain (seq, event_id, digest)
           select * from unnest(%s::bigint[], %s::uuid[], %s::bytea[])""",
        (seqs, ids, [link.digest for link in links]),
    )


async def links(tx: RegistrarTx, after: int, limit: int) -> list[Link]:
    """The chain from behind a number on, in order."""
    rows = await tx.all(
        _Row,
        """select c.seq, c.digest, e.id, e.at, e.action, e.actor, e.actor_id, e.subject, e.detail
           from audit_chain c left join audit_events e on e.id = c.event_id
           where c.seq > %s order by c.seq limit %s""",
        (after, limit),
    )
    return [Link(row.seq, row.digest, _event(row)) for row in rows]


async def outside(tx: RegistrarTx, limit: int) -> tuple[int, list[UUID]]:
    """How many events wait to be sealed, and (oldest first) those that never will be."""
    waiting = await tx.value(
        """select count(*) from audit_events e where not exists (select from audit_chain c where c.event_id = e.id)"""
    )
    cursor = await tx.conn.execute(
        """select e.id from audit_events e
           where e.at < (select sealed_at from audit_chain order by seq desc limit 1) - %s::interval
               and not exists (select from audit_chain c where c.event_id = e.id)
           order by e.at, e.id limit %s""",
        (LOOK_BACK, limit),
    )
    never = [row["id"] for row in await cursor.fetchall()]
    return int(waiting) - len(never), never


def _event(row: _Row) -> Event | None:
    if row.id is None or row.at is None:
        return None
    return Event(
        row.id, row.at, row.action or "", row.actor or "", row.actor_id, row.subject, row.detail or {}
    )
