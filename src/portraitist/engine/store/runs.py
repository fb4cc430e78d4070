"""The table `runs`: trainings and predictions, claimed by workers under a lease.

A claim is a random name for one attempt. Whoever lost it (canceled, taken over) changes nothing any more:
every write of a worker is guarded by the claim.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from portraitist.engine import pages
from portraitist.engine.domain import MAX_ATTEMPTS, Event, Kind, Run, Status
from portraitist.engine.pages import Cursor, Page
from portraitist.engine.store import Tx
from portraitist.kit.database import row_to

CHANNEL = "engine_runs"
"""Notified with a run's kind when there is work, and with its id when it was canceled."""

_RUN = sql.SQL(
    "id, kind, status, owner, name, version_id, destination, input, notes, output, error, logs, webhook,"
    " webhook_events, created_at, started_at, completed_at, deadline, data_removed, attempts, predict_s"
)


@dataclass(frozen=True)
class NewRun:
    """What a request settles about a run."""

    id: str
    kind: Kind
    owner: str
    name: str
    version_id: str
    destination: str | None
    input: dict[str, Any]
    notes: tuple[str, ...]
    webhook: str | None
    webhook_events: tuple[Event, ...]
    cancel_after: timedelta | None = None


async def _one(tx: Tx, query: sql.Composed, parameters: dict[str, Any]) -> Run | None:
    return await (await tx.cursor(row_factory=row_to(Run)).execute(query, parameters)).fetchone()


async def _all(tx: Tx, query: sql.Composed, parameters: dict[str, Any]) -> list[Run]:
    return await (await tx.cursor(row_factory=row_to(Run)).execute(query, parameters)).fetchall()


async def insert(tx: Tx, new: NewRun) -> Run:
    """Store a run in `starting` and wake the workers."""
    query = sql.SQL(
        "insert into runs (id, kind, owner, name, version_id, destination, input, notes, webhook,"
        " webhook_events, deadline)"
        " values (%(id)s, %(kind)s, %(owner)s, %(name)s, %(version_id)s, %(destination)s, %(input)s,"
        " %(notes)s, %(webhook)s, %(webhook_events)s, now() + %(cancel_after)s) returning {}"
    ).format(_RUN)
    values = {
        **vars(new),
        "input": Jsonb(new.input),
        "notes": Jsonb(list(new.notes)),
        "webhook_events": Jsonb(list(new.webhook_events)),
    }
    run = await _one(tx, query, values)
    assert run is not None
    await notify(tx, new.kind)
    return run


async def notify(tx: Tx, payload: str) -> None:
    """Wake whoever listens, when this transaction commits."""
    await tx.execute("select pg_notify(%s, %s)", (CHANNEL, payload))


async def get(tx: Tx, run_id: str) -> Run | None:
    """One run, of either kind."""
    return await _one(tx, sql.SQL("select {} from runs where id = %(id)s").format(_RUN), {"id": run_id})


async def page(
    tx: Tx, kind: Kind, cursor: Cursor | None, after: datetime | None = None, before: datetime | None = None
) -> Page[Run]:
    """Runs of a kind, newest first, made within the given bounds."""
    back = cursor is not None and cursor.direction == "previous"
    query = sql.SQL(
        "select {} from runs where kind = %(kind)s"
        " and (%(after)s::timestamptz is null or created_at >= %(after)s)"
        " and (%(before)s::timestamptz is null or created_at < %(before)s)"
        " and (%(at)s::timestamptz is null or (created_at, id) {} (%(at)s, %(key)s))"
        " order by created_at {order}, id {order} limit {limit}"
    ).format(
        _RUN,
        sql.SQL(">" if back else "<"),
        order=sql.SQL("asc" if back else "desc"),
        limit=pages.PAGE_SIZE + 1,
    )
    bounds = {"kind": kind, "after": after, "before": before}
    place = {"at": cursor and cursor.created_at, "key": cursor and cursor.key}
    return pages.cut(await _all(tx, query, {**bounds, **place}), cursor, lambda r: (r.created_at, r.id))


async def claim(tx: Tx, kind: Kind, claim_id: str, lease: timedelta, limit: timedelta) -> Run | None:
    """Take the oldest waiting run of a kind, or one whose worker is gone; `limit` bounds its running time."""
    query = sql.SQL(
        "update runs set status = 'processing', claim = %(claim)s, leased_until = now() + %(lease)s,"
        " attempts = attempts + 1, started_at = coalesce(started_at, now()),"
        " deadline = coalesce(deadline, now() + %(limit)s)"
        " where id = (select id from runs where kind = %(kind)s and completed_at is null"
        "  and (leased_until is null or leased_until < now()) and attempts < {max}"
        "  and (deadline is null or deadline > now())"
        "  order by created_at limit 1 for update skip locked) returning {run}"
    ).format(max=MAX_ATTEMPTS, run=_RUN)
    return await _one(tx, query, {"claim": claim_id, "kind": kind, "lease": lease, "limit": limit})


async def renew(tx: Tx, run_id: str, claim_id: str, lease: timedelta) -> bool:
    """Prolong a lease; `False` if the claim is lost (canceled, timed out or taken over)."""
    query = (
        "update runs set leased_until = now() + %s where id = %s and claim = %s and completed_at is null"
        " and (deadline is null or deadline > now())"
    )
    return (await tx.execute(query, (lease, run_id, claim_id))).rowcount == 1


async def release(tx: Tx, run_id: str, claim_id: str) -> None:
    """Give a run back unharmed: the worker stops in good order and the attempt does not count."""
    query = (
        "update runs set claim = null, leased_until = null, attempts = attempts - 1"
        " where id = %s and claim = %s and completed_at is null returning kind"
    )
    row = await (await tx.execute(query, (run_id, claim_id))).fetchone()
    if row is not None:
        await notify(tx, row["kind"])


async def append_logs(tx: Tx, run_id: str, claim_id: str, text: str) -> Run | None:
    """Add lines to the logs; `None` if the claim is lost."""
    query = sql.SQL(
        "update runs set logs = logs || %(text)s where id = %(id)s and claim = %(claim)s"
        " and completed_at is null returning {}"
    ).format(_RUN)
    return await _one(tx, query, {"text": text, "id": run_id, "claim": claim_id})


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `logs` are its last lines."""

    status: Status
    output: Any = None
    error: str | None = None
    logs: str = ""


async def finish(tx: Tx, run_id: str, claim_id: str, outcome: Outcome) -> Run | None:
    """End a run that this claim holds; `None` if the claim is lost."""
    query = sql.SQL(
        "update runs set status = %(status)s, output = %(output)s, error = %(error)s,"
        " logs = logs || %(logs)s, completed_at = now(), claim = null, leased_until = null,"
        " predict_s = extract(epoch from now() - started_at)"
        " where id = %(id)s and claim = %(claim)s and completed_at is null returning {}"
    ).format(_RUN)
    output = Jsonb(outcome.output) if outcome.output is not None else None
    values = {**vars(outcome), "output": output, "id": run_id, "claim": claim_id}
    return await _one(tx, query, values)


async def cancel(tx: Tx, run_id: str) -> Run | None:
    """End a run as canceled, whoever holds it; `None` if it has ended already or never was."""
    query = sql.SQL(
        "update runs set status = 'canceled', completed_at = now(), claim = null, leased_until = null,"
        " predict_s = extract(epoch from now() - started_at)"
        " where id = %(id)s and completed_at is null returning {}"
    ).format(_RUN)
    run = await _one(tx, query, {"id": run_id})
    if run is not None:
        await notify(tx, run.id)
    return run


async def expire(tx: Tx) -> list[Run]:
    """End what passed its deadline: `aborted` if it never started, else `canceled`."""
    query = sql.SQL(
        "update runs set status = case when started_at is null then 'aborted' else 'canceled' end,"
        " completed_at = now(), claim = null, leased_until = null,"
        " predict_s = extract(epoch from now() - started_at)"
        " where completed_at is null and deadline < now() returning {}"
    ).format(_RUN)
    runs = await _all(tx, query, {})
    for run in runs:
        await notify(tx, run.id)
    return runs


async def give_up(tx: Tx, error: str) -> list[Run]:
    """Fail what lost its worker once too often."""
    query = sql.SQL(
        "update runs set status = 'failed', error = %(error)s, completed_at = now(), claim = null,"
        " leased_until = null, predict_s = extract(epoch from now() - started_at)"
        " where completed_at is null and attempts >= {} and leased_until < now() returning {}"
    ).format(MAX_ATTEMPTS, _RUN)
    return await _all(tx, query, {"error": error})


_MODEL_IS_THERE = sql.SQL(
    "exists (select from models m where (m.owner, m.name) ="
    " (split_part(named.whole, '/', 1), split_part(named.whole, '/', 2)))"
)
"""Of a run's model; `named.whole` is a training's destination, a prediction's own name."""


async def to_forget(tx: Tx, retention: timedelta, limit: int) -> list[str]:
    """Ended predictions whose data is older than the engine keeps it, and ended runs whose model was deleted."""
    query = sql.SQL(
        "select id from runs r, lateral (select coalesce(r.destination, r.owner || '/' || r.name) as whole) named"
        " where not data_removed and completed_at is not null"
        " and ((kind = 'prediction' and completed_at < now() - %s) or not {there})"
        " order by completed_at limit %s"
    ).format(there=_MODEL_IS_THERE)
    return [row["id"] for row in await (await tx.execute(query, (retention, limit))).fetchall()]


async def forget(tx: Tx, run_id: str) -> None:
    """Remove what a run was asked and gave; the row itself stays. Of a deleted model the name goes too."""
    query = sql.SQL(
        "update runs r set data_removed = true, input = '{{}}', notes = '[]', output = null, logs = '', webhook = null,"
        " destination = case when destination is null or {there} then destination else 'deleted/deleted' end,"
        " name = case when destination is not null or {there} then name else 'deleted' end"
        " from (select coalesce(destination, owner || '/' || name) as whole from runs where id = %s) named"
        " where r.id = %s and r.completed_at is not null"
    ).format(there=_MODEL_IS_THERE)
    await tx.execute(query, (run_id, run_id))
