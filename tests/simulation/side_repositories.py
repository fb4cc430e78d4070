"""The SQL of webhooks, notices and copies of weights over `MemoryStore`; that of the main tables is `repositories`."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from portraitist.studio.db import DueRow
from portraitist.studio.leases import leased_from
from portraitist.studio.notices.domain import Notice, Ways
from portraitist.studio.training.domain import Training
from portraitist.studio.training.weights import Archive
from portraitist.studio.training.weights import Status as ArchiveStatus
from portraitist.studio.webhooks.repository import Kind, Message, Subject
from tests.simulation.rows import LONG_AGO, row_of
from tests.simulation.store import Delivery, MemoryTx

SOON = timedelta(seconds=1)


class Webhooks:
    """`studio.webhooks.repository`."""

    @staticmethod
    async def subject(tx: MemoryTx, kind: Kind, token: str) -> Subject | None:
        if kind == "generation":
            drawings = [row for row in tx.tables.generations.values() if row.webhook_token == token]
            return _subject(drawings, "provider_prediction_id")
        found = [row for row in tx.tables.trainings.values() if row.webhook_token == token]
        return _subject(found, "provider_training_id" if kind == "training" else "verify_prediction_id")

    @staticmethod
    async def as_member(tx: MemoryTx, user_id: str) -> MemoryTx:
        return MemoryTx(tx.store, user_id)

    @staticmethod
    async def store(tx: MemoryTx, found: Subject, message: Message, outcome: str, now: datetime) -> bool:
        key = (message.account_id, message.webhook_id)
        if key in tx.tables.deliveries:
            return False
        tx.tables.deliveries[key] = Delivery(found, message, outcome)
        return True


class Copies:
    """The SQL of `studio.training.weights`."""

    @staticmethod
    async def claim_due(tx: MemoryTx, now: datetime, limit: int) -> list[DueRow]:
        archives, leases = tx.tables.archives.values(), tx.tables.copying
        due = [row for row in archives if row.status == "wanted" and row.next_check_at <= now]
        due = sorted(due, key=lambda row: row.next_check_at)[:limit]
        due = [row for row in due if leases.get(row.training_id, LONG_AGO) <= now]
        for row in due:
            leases[row.training_id] = leased_from(now)
        return [DueRow(row.training_id, row.user_id) for row in due]

    @staticmethod
    async def _insert(tx: MemoryTx, training: Training, url: str, now: datetime) -> bool:
        if training.id in tx.tables.archives:
            return False
        about = (training.user_id, training.id, training.account_id)
        nothing = (None, None, None, None)
        tx.tables.archives[training.id] = Archive(*about, ArchiveStatus.WANTED, url, 0, now, *nothing)
        tx.tables.copying[training.id] = leased_from(now)
        return True

    @staticmethod
    async def _get(tx: MemoryTx, training_id: UUID) -> Archive | None:
        found: Archive | None = row_of(tx, tx.tables.archives, training_id)
        return found

    @staticmethod
    async def _hold(tx: MemoryTx, training_id: UUID, until: datetime) -> None:
        if row_of(tx, tx.tables.archives, training_id) is not None:
            tx.tables.copying[training_id] = until

    @staticmethod
    async def _save(tx: MemoryTx, after: Archive) -> None:
        row = row_of(tx, tx.tables.archives, after.training_id)
        if row is not None and row.status == "wanted":
            tx.tables.archives[after.training_id] = after
            tx.tables.copying[after.training_id] = LONG_AGO

    @staticmethod
    async def _settled_before(tx: MemoryTx, cutoff: datetime, limit: int) -> list[DueRow]:
        rows = [row for row in tx.tables.archives.values() if row.status != "wanted"]
        rows = [row for row in rows if row.training_id not in tx.tables.parts_cleared]
        due = sorted((row for row in rows if row.next_check_at <= cutoff), key=lambda row: row.next_check_at)
        return [DueRow(row.training_id, row.user_id) for row in due[:limit]]

    @staticmethod
    async def _parts_cleared(tx: MemoryTx, training_id: UUID, now: datetime) -> None:
        if row_of(tx, tx.tables.archives, training_id) is not None:
            tx.tables.parts_cleared[training_id] = now


class LateZips:
    """The SQL of `studio.training.late_zips`."""

    @staticmethod
    async def _ended_before(tx: MemoryTx, cutoff: datetime, limit: int) -> list[DueRow]:
        rows = [row for row in tx.tables.trainings.values() if row.id not in tx.tables.cleared]
        ended = [(row.succeeded_at or row.finished_at or cutoff + SOON, row) for row in rows]
        ended = sorted((each for each in ended if each[0] <= cutoff), key=lambda each: each[0])
        return [DueRow(row.id, row.user_id) for _, row in ended[:limit]]

    @staticmethod
    async def _cleared(tx: MemoryTx, training_id: UUID, now: datetime) -> None:
        if row_of(tx, tx.tables.trainings, training_id) is not None:
            tx.tables.cleared[training_id] = now


def _subject(rows: list[Any], provider_id: str) -> Subject | None:
    return next((Subject(r.user_id, r.id, r.account_id, getattr(r, provider_id)) for r in rows), None)


class Notices:
    """`studio.notices.repository`, as far as a training tells of itself; of each event once."""

    @staticmethod
    async def add(tx: MemoryTx, notice: Notice) -> bool:
        key = (tx.user_id, notice.kind, notice.event)
        if key in tx.tables.notices:
            return False
        tx.tables.notices[key] = notice
        return True

    @staticmethod
    async def ways(tx: MemoryTx) -> Ways:
        return Ways(mail=False, push=False)
