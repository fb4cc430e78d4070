"""`studio.training.looking` over `MemoryStore`: which rows a list is read for, and what becomes of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from portraitist.studio.db import DueRow
from portraitist.studio.training.looking import EARLY, Agenda, Crowd, PutOff, Standing
from tests.simulation.rows import (
    LONG_AGO,
    LOOKED_AT,
    later_step,
    list_of,
    listable,
    provider_id,
    waits_its_turn,
)
from tests.simulation.store import MemoryTx

OVER = ("completed", "failed", "canceled", "lost_at_provider")


class Looking:
    """`studio.training.looking`."""

    @staticmethod
    async def agenda(tx: MemoryTx, now: datetime) -> Agenda:
        tables, leases = tx.tables, tx.tables.leases
        kinds = {"training": tables.trainings.values(), "generation": tables.generations.values()}
        going = {kind: [row for row in rows if row.status not in OVER] for kind, rows in kinds.items()}
        due = [
            row.next_check_at <= now and (leases.get(row.id) or LONG_AGO) <= now and not waits_its_turn(row)
            for rows in going.values()
            for row in rows
        ]
        due += [
            row.status == "wanted"
            and max(row.next_check_at, tables.copying.get(row.training_id, LONG_AGO)) <= now
            for row in tables.archives.values()
        ]
        return Agenda([kind for kind, rows in going.items() if any(map(waits_its_turn, rows))], any(due))

    @staticmethod
    async def crowded(tx: MemoryTx, table: str, now: datetime, least: int) -> list[Crowd]:
        looks = tx.tables.looks
        due = Counter(
            row.account_id
            for row in rows_of(tx, table).values()
            if listable(row, now)
            and row.next_check_at <= now
            and (tx.tables.leases.get(row.id) or LONG_AGO) <= now
            and looks.get(list_of(row), LONG_AGO) <= now
        )
        return [Crowd(account) for account, count in sorted(due.items()) if count >= least]

    @staticmethod
    async def take(tx: MemoryTx, kind: str, account_id: str, now: datetime, until: datetime) -> bool:
        if tx.tables.looks.get((account_id, kind), LONG_AGO) > now:
            return False
        tx.tables.looks[account_id, kind] = until
        return True

    @staticmethod
    async def hold(tx: MemoryTx, kind: str, account_id: str, until: datetime) -> None:
        tx.tables.looks[account_id, kind] = until

    @staticmethod
    async def standing(tx: MemoryTx, table: str, account_id: str, now: datetime) -> list[Standing]:
        rows = [
            row
            for row in rows_of(tx, table).values()
            if row.account_id == account_id
            and listable(row, now)
            and row.next_check_at <= now + min(EARLY, (now - row.submitted_at) / 120)
            and (tx.tables.leases.get(row.id) or LONG_AGO) <= now
        ]
        rows.sort(key=lambda row: row.submitted_at, reverse=True)
        names = ("id", "user_id", "status", "revision", "submitted_at", "next_check_at")
        return [
            Standing(
                **{name: getattr(row, name) for name in names},
                provider_id=provider_id(row),
                step=getattr(row, "step", None),
            )
            for row in rows
        ]

    @staticmethod
    async def put_off(tx: MemoryTx, table: str, seen: Sequence[PutOff]) -> None:
        rows = rows_of(tx, table)
        for each in seen:
            row = rows.get(each.id)
            if row is None or row.revision != each.revision or row.cancel_requested_at is not None:
                continue
            told = {name: getattr(each, name) for name in ("step", "total_steps", "phase")}
            progress = {name: value for name, value in told.items() if value is not None}
            if each.step is not None:
                progress["step"] = later_step(row.step, each.step)
            rows[each.id] = replace(row, next_check_at=each.next_check_at, **progress)

    @staticmethod
    async def hand_over(
        tx: MemoryTx, table: str, ids: Sequence[UUID], now: datetime, lease_until: datetime
    ) -> list[DueRow]:
        rows, leases, found = rows_of(tx, table), tx.tables.leases, []
        for row_id in ids:
            row = rows.get(row_id)
            if row is None or row.status not in LOOKED_AT or (leases.get(row_id) or LONG_AGO) > now:
                continue
            rows[row_id] = replace(row, next_check_at=min(row.next_check_at, now))
            leases[row_id] = lease_until
            found.append(DueRow(row_id, row.user_id))
        return found


def rows_of(tx: MemoryTx, table: str) -> dict[UUID, Any]:
    """The rows of one of the two tables."""
    return tx.tables.trainings if table == "trainings" else tx.tables.generations
