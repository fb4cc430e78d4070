"""Whose turn it is: fair admission of waiting rows, one account at a time. SQL and its settings only.

The next to start is chosen by how many its member already runs, so a member with thousands waiting never delays
another's first. Used for trainings and, by `generation`, for generations. One admission at a time in the fleet.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitist.studio.db import DueRow, SystemTx

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Room:
    """How much may be at one provider account at once, and how much may start there in 24 hours (None: any)."""

    in_flight: int
    starts_per_day: int | None = None

    @property
    def each(self) -> int:
        """The most of one member: a quarter, so that there is always a place for somebody else's first."""
        return max(1, self.in_flight // 4)


async def admit(
    tx: SystemTx, table: str, account_id: str, room: Room, *, now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Admit as many waiting rows of the account as there is room for; each is leased to the job it gets."""
    if not await tx.value(_for(table, _WAITING), {"account": account_id}):  # most of the time nobody does
        return []
    # one at a time: two that count the same free places would fill them twice
    await tx.run(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"admission {table} {account_id}",)
    )
    values = {"account": account_id, "now": now, "since": now - DAY, "until": lease_until, "each": room.each}
    busy = await tx.value(_for(table, _BUSY), values)
    free = room.in_flight - int(busy)
    if room.starts_per_day is not None:
        started = await tx.value(_for(table, _STARTED), values)
        free = min(free, room.starts_per_day - int(started))
    if free <= 0:
        return []
    return await tx.all(DueRow, _for(table, _ADMIT), values | {"free": free})


def _for(table: str, statement: str) -> str:
    """The statement for one of our two tables."""
    running = {"trainings": "training", "generation_trackers": "running"}[table]
    return statement.replace("{table}", table).replace("{running}", running)


_WAITING = """select exists (select from {table}
    where status = 'queued' and admitted_at is null and account_id = %(account)s) as waiting"""

_BUSY = """select count(*) as n from {table} where account_id = %(account)s
    and status in ('queued', 'submitting', 'submitted', '{running}')
    and (status <> 'queued' or admitted_at is not null)"""

# a row that was cancelled before it was ever sent has cost nothing
_STARTED = """select coalesce(sum(greatest(attempt, 1)), 0) as n from {table}
    where account_id = %(account)s and admitted_at > %(since)s and (attempt > 0 or status = 'queued')"""

# `members` hops from member to member over the index of waiting rows, so ten thousand rows of one are one hop
_ADMIT = """with recursive members (user_id) as (
        (select user_id from {table}
         where status = 'queued' and admitted_at is null and account_id = %(account)s
         order by account_id, user_id limit 1)
        union all
        select (select w.user_id from {table} w
                where w.status = 'queued' and w.admitted_at is null and w.account_id = %(account)s
                    and w.user_id > m.user_id
                order by w.account_id, w.user_id limit 1)
        from members m where m.user_id is not null),
    busy as (
        select user_id, count(*) as n from {table} where account_id = %(account)s
            and status in ('queued', 'submitting', 'submitted', '{running}')
            and (status <> 'queued' or admitted_at is not null)
        group by user_id),
    turn as (
        select waiting.id, waiting.created_at, coalesce(busy.n, 0) + waiting.place as place
        from members left join busy using (user_id)
        cross join lateral (
            select id, created_at, row_number() over (order by created_at, id) as place from {table}
            where status = 'queued' and admitted_at is null and account_id = %(account)s
                and user_id = members.user_id
            order by created_at, id limit greatest(0, %(each)s - coalesce(busy.n, 0))) as waiting
        where members.user_id is not null
        order by place, created_at limit %(free)s)
    update {table} set admitted_at = %(now)s, leased_until = %(until)s from turn
    where {table}.id = turn.id and {table}.status = 'queued' and {table}.admitted_at is null
    returning {table}.id, {table}.user_id"""
