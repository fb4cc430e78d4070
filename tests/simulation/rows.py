"""What the repositories in memory share: whose rows, guarded updates, leases, admission, twins."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from portraitist.studio.db import DueRow
from portraitist.studio.generation.domain import Generation
from portraitist.studio.training.domain import Status, Training
from tests.simulation.store import MemoryTx

LONG_AGO = datetime.min.replace(tzinfo=UTC)
PAID_FOR = frozenset({Status.QUEUED, Status.SUBMITTING, Status.SUBMITTED, Status.TRAINING})
IN_HAND = PAID_FOR | {Status.EXTRACTING, Status.VERIFYING}
AT_PROVIDER = frozenset({"queued", "submitting", "submitted", "training", "running"})
LOOKED_AT = frozenset({"submitted", "training", "running"})
LISTED_FOR = {"training": timedelta(hours=2), "generation": timedelta(minutes=30)}
NOT_SAVED = frozenset(
    {"user_id", "id", "account_id", "trigger_word", "destination", "trainer", "requested", "created_at"}
    | {"cancel_requested_at", "admitted_at", "webhook_token", "model_version_id", "words", "prompt", "seed"}
)
"""Columns that no transition writes: they keep what the row has, whatever the decision was made on."""


def own(tx: MemoryTx, rows: Iterable[Any]) -> list[Any]:
    return [row for row in rows if row.user_id == tx.user_id]


def newest_first(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)


def row_of(tx: MemoryTx, table: dict[UUID, Any], row_id: UUID) -> Any:
    row = table.get(row_id)
    return row if row is not None and row.user_id == tx.user_id else None


def guarded_save(tx: MemoryTx, table: dict[UUID, Any], after: Any, leased_until: datetime | None) -> Any:
    """The row after a guarded update, or None where the guard did not hold."""
    row = row_of(tx, table, after.id)
    if row is None or row.revision != after.revision:
        return None
    kept = {name: getattr(row, name) for name in NOT_SAVED & vars(row).keys()}
    saved = replace(after, **kept, revision=row.revision + 1)
    if isinstance(row, Training):
        total = row.total_steps if after.total_steps is None else after.total_steps
        saved = replace(saved, step=later_step(row.step, after.step), total_steps=total)
    if row.status == "submitting" and after.status == "submitted" and tx.tables.leases.get(row.id):
        saved = replace(saved, next_check_at=after.submitted_at)  # woken meanwhile
    table[after.id] = saved
    tx.tables.leases[after.id] = leased_until
    return saved


def later_step(first: int | None, second: int | None) -> int | None:
    """As SQL's `greatest`."""
    return max((step for step in (first, second) if step is not None), default=None)


def waits_its_turn(row: Any) -> bool:
    """Whether a row has not been admitted yet."""
    return row.status == "queued" and getattr(row, "admitted_at", row) is None


def due_rows(
    tx: MemoryTx, rows: Iterable[Any], ended: frozenset[Any], now: datetime, until: datetime, limit: int
) -> list[DueRow]:
    leases = tx.tables.leases
    due = [
        row
        for row in rows
        if row.status not in ended
        and row.next_check_at <= now
        and not waits_its_turn(row)
        and (leases.get(row.id) or LONG_AGO) <= now
        and not (listable(row, now) and tx.tables.looks.get(list_of(row), LONG_AGO) > now)
    ]
    due.sort(key=lambda row: row.next_check_at)
    for row in due[:limit]:
        leases[row.id] = until
    return [DueRow(row.id, row.user_id) for row in due[:limit]]


def listable(row: Any, now: datetime) -> bool:
    """Whether the provider's list is enough of a look at this row."""
    if row.status not in LOOKED_AT or row.cancel_requested_at is not None or row.error_code is not None:
        return False
    listed_for = LISTED_FOR[list_of(row)[1]]
    return provider_id(row) is not None and row.submitted_at > now - listed_for


def list_of(row: Any) -> tuple[str, str]:
    """The list that this row's run stands in: account and kind."""
    return row.account_id, "generation" if isinstance(row, Generation) else "training"


def provider_id(row: Any) -> Any:
    return row.provider_prediction_id if isinstance(row, Generation) else row.provider_training_id


def admitted(
    tx: MemoryTx, table: dict[UUID, Any], account_id: str, room: Any, now: datetime, until: datetime
) -> list[DueRow]:
    waiting = [row for row in table.values() if waits_its_turn(row) and row.account_id == account_id]
    if not waiting:
        return []
    rows = [row for row in table.values() if row.account_id == account_id]
    busy = Counter(row.user_id for row in rows if row.status in AT_PROVIDER and not waits_its_turn(row))
    free = room.in_flight - busy.total()
    if room.starts_per_day is not None:
        recent = [row for row in rows if row.admitted_at and row.admitted_at > now - timedelta(days=1)]
        started = (max(row.attempt, 1) for row in recent if row.attempt > 0 or row.status == "queued")
        free = min(free, room.starts_per_day - sum(started))
    turns = []
    for member in sorted({row.user_id for row in waiting}):
        own = sorted((r for r in waiting if r.user_id == member), key=lambda r: (r.created_at, r.id))
        own = own[: max(0, room.each - busy[member])]
        turns += [(busy[member] + place, row.created_at, row) for place, row in enumerate(own, 1)]
    turns.sort(key=lambda turn: turn[:2])
    admitted = [row for _, _, row in turns[: max(0, free)]]
    for row in admitted:
        table[row.id] = replace(row, admitted_at=now)
        tx.tables.leases[row.id] = until
    return [DueRow(row.id, row.user_id) for row in admitted]


def wish_to_cancel(
    tx: MemoryTx, table: dict[UUID, Any], row_id: UUID, now: datetime, leased_until: datetime
) -> None:
    row = row_of(tx, table, row_id)
    if row is None:
        return
    admitted = {"admitted_at": row.admitted_at or now} if hasattr(row, "admitted_at") else {}
    wished = row.cancel_requested_at or now
    table[row_id] = replace(row, cancel_requested_at=wished, next_check_at=now, **admitted)
    tx.tables.leases[row_id] = leased_until


def woken(
    tx: MemoryTx,
    table: dict[UUID, Any],
    row_id: UUID,
    now: datetime,
    leased_until: datetime,
    looked_at: AbstractSet[Any],
    paid: AbstractSet[Any],
) -> bool:
    """Make a row due; where it is only looked at, decisions of before do not count any more."""
    row = row_of(tx, table, row_id)
    if row is None or row.status not in looked_at | paid:
        return False
    tx.tables.leases[row_id] = leased_until
    if row.status == "submitting":  # whoever records the answer looks at it
        return False
    table[row_id] = replace(row, next_check_at=now, revision=row.revision + (row.status in looked_at))
    return True


def columns(shape: type, row: Any) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in fields(shape) if column.name != "twins"}


def twins_of(tx: MemoryTx, row_id: UUID) -> list[str]:
    return [twin["provider_id"] for twin in tx.tables.twins.get(row_id, [])]


def note_twin(tx: MemoryTx, row_id: UUID, twin: dict[str, str]) -> None:
    if twin["provider_id"] not in twins_of(tx, row_id):
        tx.tables.twins[row_id] = [*tx.tables.twins.get(row_id, []), twin]
