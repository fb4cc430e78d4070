"""Runs of all members as an operator sees them: where each stands, what was used, what is due. Reads only.

Ids, states, numbers and times; nothing of what was asked for or made. For trainings and, with other words, generations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from portraitist.studio.db import SystemTx, listed
from portraitist.studio.training.domain import ENDED, IN_FLIGHT, Status

AT_ONCE = 200


@dataclass(frozen=True)
class Words:
    """What differs between the two tables of runs. `counted`: the runs of a day that a quota counts."""

    table: LiteralString
    ended: LiteralString
    in_flight: LiteralString
    counted: LiteralString
    progress: LiteralString
    states: frozenset[str]


@dataclass(frozen=True)
class Run:
    """A training or generation, whosever it is: where it stands, and since when."""

    id: UUID
    user_id: str
    status: str
    phase: str | None
    step: int | None
    total_steps: int | None
    error_code: str | None
    canceling: bool
    admitted: bool
    created_at: datetime
    submitted_at: datetime | None
    next_check_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Used:
    """What a member has used since a time: runs done, the provider's seconds, and what a quota counts today."""

    user_id: str
    runs: int
    seconds: float
    today: int


@dataclass(frozen=True)
class Load:
    """What an account has to do: runs in flight, runs that wait for a place, starts in 24 hours."""

    account_id: str
    in_flight: int
    waiting: int
    today: int


@dataclass(frozen=True)
class Queue:
    """What is due and not looked at yet, and for how long; what waits for a place; what is in flight."""

    due: int
    oldest_due_s: float
    waiting: int
    in_flight: int


TRAININGS = Words(
    table="trainings",
    ended=listed(ENDED),
    in_flight=listed(IN_FLIGHT),
    counted="(attempt > 0 or status = 'queued')",
    progress="phase, step, total_steps",
    states=frozenset(Status),
)


async def in_hand(tx: SystemTx, words: Words = TRAININGS) -> list[Run]:
    """Runs that have not ended, parked ones too, oldest first."""
    return await _runs(tx, words, f"status not in ({words.ended}) order by created_at, id", {})


async def of_status(tx: SystemTx, status: str, words: Words = TRAININGS) -> list[Run]:
    """Runs in this state, newest first."""
    return await _runs(tx, words, "status = %(status)s order by created_at desc, id", {"status": status})


async def failed(tx: SystemTx, since: datetime, words: Words = TRAININGS) -> list[Run]:
    """Runs that failed since then and that their member has begun no other after, newest first."""
    later = f"select from {words.table} later where later.user_id = run.user_id and later.created_at > run.created_at"
    return await _runs(
        tx,
        words,
        f"status = 'failed' and finished_at > %(since)s and not exists ({later}) order by finished_at desc, id",
        {"since": since},
    )


async def used(
    tx: SystemTx, since: datetime, a_day_ago: datetime, words: Words = TRAININGS, only: str | None = None
) -> list[Used]:
    """What each member has used since then; or `only` this one."""
    return await tx.all(
        Used,
        f"""select user_id, count(*) filter (where status = 'completed' and created_at > %(since)s) as runs,
                coalesce(sum(provider_seconds) filter (where created_at > %(since)s), 0)::float8 as seconds,
                count(*) filter (where {words.counted} and created_at > %(day)s) as today
            from {words.table} where created_at > least(%(since)s, %(day)s)
                and (%(only)s::text is null or user_id = %(only)s)
            group by user_id""",  # noqa: S608
        {"since": since, "day": a_day_ago, "only": only},
    )


async def loads(tx: SystemTx, a_day_ago: datetime, words: Words = TRAININGS) -> dict[str, Load]:
    """What each account has to do."""
    found = await tx.all(
        Load,
        f"""select account_id,
                count(*) filter (where status in ({words.in_flight}) and admitted_at is not null) as in_flight,
                count(*) filter (where status = 'queued' and admitted_at is null) as waiting,
                count(*) filter (where admitted_at > %(day)s and {words.counted}) as today
            from {words.table} where status not in ({words.ended}) or admitted_at > %(day)s
            group by account_id""",  # noqa: S608
        {"day": a_day_ago},
    )
    return {each.account_id: each for each in found}


async def queue(tx: SystemTx, now: datetime, words: Words = TRAININGS) -> Queue:
    """What there is to do just now, over all accounts."""
    found = await tx.maybe(
        Queue,
        f"""select count(*) filter (where due) as due,
                coalesce(extract(epoch from max(%(now)s - next_check_at) filter (where due)), 0)::float8
                    as oldest_due_s,
                count(*) filter (where status = 'queued' and admitted_at is null) as waiting,
                count(*) filter (where status in ({words.in_flight}) and admitted_at is not null) as in_flight
            from (select status, admitted_at, next_check_at, next_check_at <= %(now)s
                      and (status <> 'queued' or admitted_at is not null) as due
                  from {words.table} where status not in ({words.ended})) runs""",  # noqa: S608
        {"now": now},
    )
    assert found is not None
    return found


async def whose(tx: SystemTx, run_id: UUID, words: Words = TRAININGS) -> str | None:
    """Whose run this is; None where there is no such."""
    found = await tx.value(f"select user_id from {words.table} where id = %s", (run_id,))  # noqa: S608
    return None if found is None else str(found)


async def _runs(tx: SystemTx, words: Words, which: LiteralString, values: Mapping[str, object]) -> list[Run]:
    return await tx.all(
        Run,
        f"""select id, user_id, status, {words.progress}, error_code, cancel_requested_at is not null as canceling,
                admitted_at is not null as admitted, created_at, submitted_at, next_check_at, finished_at
            from {words.table} run where {which} limit {AT_ONCE}""",  # noqa: S608
        dict(values),
    )
