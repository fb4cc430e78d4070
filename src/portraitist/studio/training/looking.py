"""What runs at the provider, as the list is compared with it: SQL on both tables, as the sweeper's role.

It sees ids, states, counts and times of one provider account, and may put a look off or hand a row to a job; a
status is never written here. How a list is read is `lookout`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from portraitist.studio.db import DueRow, SystemTx, listed
from portraitist.studio.training.domain import ENDED

EARLY = timedelta(seconds=20)
"""A row on a page that is read anyway is compared up to so much before its time."""


@dataclass(frozen=True)
class Standing:
    """A row whose run is in flight, as far as it is known here."""

    id: UUID
    user_id: str
    provider_id: str
    status: str
    revision: int
    submitted_at: datetime
    next_check_at: datetime
    step: int | None


@dataclass(frozen=True)
class PutOff:
    """Seen, and as it was: the row, the revision it was compared at, and when it is looked at next."""

    id: UUID
    revision: int
    next_check_at: datetime
    step: int | None = None
    total_steps: int | None = None
    phase: str | None = None


@dataclass(frozen=True)
class Crowd:
    """An account with many rows that are due."""

    account_id: str


@dataclass(frozen=True)
class Agenda:
    """What there is for a sweep to do: kinds of which somebody waits for a turn, and whether anything is due."""

    waiting: list[str]
    due: bool


async def agenda(tx: SystemTx, now: datetime) -> Agenda:
    """What a sweep would find, in one statement: most of the time it is nothing."""
    found = await tx.maybe(Agenda, _AGENDA, {"now": now})
    assert found is not None
    return found


async def crowded(tx: SystemTx, table: str, now: datetime, least: int) -> list[Crowd]:
    """Accounts where at least so many rows are due and may be looked at through the list."""
    return await tx.all(Crowd, _for(table, _CROWDED), {"now": now, "least": least})


async def take(tx: SystemTx, kind: str, account_id: str, now: datetime, until: datetime) -> bool:
    """Be the one in the fleet who reads this list until then; False where somebody else is."""
    return (
        await tx.run(
            """insert into looks (account_id, kind, leased_until) values (%(account)s, %(kind)s, %(until)s)
               on conflict (account_id, kind) do update set leased_until = excluded.leased_until
               where looks.leased_until <= %(now)s""",
            {"account": account_id, "kind": kind, "now": now, "until": until},
        )
        == 1
    )


async def hold(tx: SystemTx, kind: str, account_id: str, until: datetime) -> None:
    """Go on reading until then, or be done with it (a time that has passed)."""
    await tx.run(
        "update looks set leased_until = %s where account_id = %s and kind = %s", (until, account_id, kind)
    )


async def standing(tx: SystemTx, table: str, account_id: str, now: datetime) -> list[Standing]:
    """The account's rows that are due, or nearly, and may be looked at through its list; newest first."""
    values = {"account": account_id, "now": now, "early": EARLY}
    return await tx.all(Standing, _for(table, _STANDING), values)


async def put_off(tx: SystemTx, table: str, seen: Sequence[PutOff]) -> None:
    """Look at these again at their time; none that was moved on, woken or cancelled since it was compared."""
    columns = {name: [getattr(each, name) for each in seen] for name in PutOff.__dataclass_fields__}
    await tx.run(_for(table, _PUT_OFF), columns)


async def hand_over(
    tx: SystemTx, table: str, ids: Sequence[UUID], now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Make these due and lease them to the jobs that the caller gives them; none that has a job already."""
    values = {"ids": list(ids), "now": now, "until": lease_until}
    return await tx.all(DueRow, _for(table, _HAND_OVER), values)


# what has an error to take back, a wish to meet or a deadline near is looked at by itself
LISTABLE = """status in ('submitted', '{running}') and {provider_id} is not null and cancel_requested_at is null
    and error_code is null and submitted_at > %(now)s - interval '{listed_for}'"""

LEFT_TO_A_LIST = """exists (select from looks where looks.account_id = {table}.account_id and kind = '{kind}'
    and looks.leased_until > %(now)s)"""

_WAITING = "exists (select from {table} where status = 'queued' and admitted_at is null)"
_DUE = """exists (select from {table} where status not in ({ended}) and next_check_at <= %(now)s
    and (status <> 'queued' or admitted_at is not null) and coalesce(leased_until, '-infinity') <= %(now)s)"""

_CROWDED = """select account_id from {table}
    where {listable} and next_check_at <= %(now)s and coalesce(leased_until, '-infinity') <= %(now)s
        and not {left}
    group by account_id having count(*) >= %(least)s"""

_STANDING = """select id, user_id, {provider_id} as provider_id, status, revision, submitted_at, next_check_at,
        {step} as step
    from {table} where account_id = %(account)s and {listable}
        and next_check_at <= %(now)s + least(%(early)s, (%(now)s - submitted_at) / 120)
        and coalesce(leased_until, '-infinity') <= %(now)s
    order by submitted_at desc limit 20000"""

_PUT_OFF = """update {table} set next_check_at = seen.next_check_at{progress}
    from unnest(%(id)s::uuid[], %(revision)s::int[], %(next_check_at)s::timestamptz[], %(step)s::int[],
        %(total_steps)s::int[], %(phase)s::text[])
        as seen (id, revision, next_check_at, step, total_steps, phase)
    where {table}.id = seen.id and {table}.revision = seen.revision and cancel_requested_at is null"""

_HAND_OVER = """update {table} set next_check_at = least(next_check_at, %(now)s), leased_until = %(until)s
    where id = any(%(ids)s) and coalesce(leased_until, '-infinity') <= %(now)s
        and status in ('submitted', '{running}')
    returning id, user_id"""

_PROGRESS = """, step = greatest(seen.step, {table}.step),
    total_steps = coalesce(seen.total_steps, {table}.total_steps), phase = coalesce(seen.phase, {table}.phase)"""

_WORDS = {
    "trainings": {
        "running": "training",
        "kind": "training",
        "ended": listed(ENDED),
        "listed_for": "2 hours",
        "provider_id": "provider_training_id",
        "step": "step",
        "progress": _PROGRESS,
    },
    "generation_trackers": {
        "running": "running",
        "kind": "generation",
        "ended": "'canceled', 'completed', 'failed', 'lost_at_provider'",  # generation's ENDED: a slice above this one
        "listed_for": "30 minutes",
        "provider_id": "provider_prediction_id",
        "step": "null::int",
        "progress": "",
    },
}


def _for(table: str, statement: str) -> str:
    """The statement for one of our two tables."""
    statement = statement.replace("{listable}", LISTABLE).replace("{left}", LEFT_TO_A_LIST)
    for word, meaning in _WORDS[table].items():
        statement = statement.replace("{" + word + "}", meaning)
    return statement.replace("{table}", table)


_AGENDA = f"""select array_remove(array[case when {_for("trainings", _WAITING)} then 'training' end,
        case when {_for("generation_trackers", _WAITING)} then 'generation' end], null) as waiting,
    {_for("trainings", _DUE)} or {_for("generation_trackers", _DUE)} or exists (select from weights_archives
        where status = 'wanted' and next_check_at <= %(now)s and coalesce(leased_until, '-infinity') <= %(now)s)
        as due"""  # noqa: S608


def left_to_lists(table: str) -> str:
    """The condition of rows that a reader of their account's list takes care of; `now` is a value."""
    return _for(table, "({listable} and {left})")
