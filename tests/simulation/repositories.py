"""The repositories' functions over `MemoryStore`, under the names they have in the product.

Each does what its SQL does, constraints included. `installing` puts them in the place of the real ones; a function
that is not modelled here raises when it is called. `test_store_contract` runs both.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import errors as pg

from portraitist.studio.db import DueRow
from portraitist.studio.generation.domain import ENDED as GENERATION_ENDED
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.generation.starts import Start as DrawingStart
from portraitist.studio.images.domain import Image
from portraitist.studio.leases import lease_until as lease_for
from portraitist.studio.training.domain import ENDED, PARKED, Status, Training
from portraitist.studio.training.progress import Durations
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.starts import Start
from tests.simulation.rows import (
    IN_HAND,
    PAID_FOR,
    admitted,
    columns,
    due_rows,
    guarded_save,
    newest_first,
    note_twin,
    own,
    row_of,
    twins_of,
    wish_to_cancel,
    woken,
)
from tests.simulation.store import MemoryTx, UserModel


class Trainings:
    """`studio.training.repository`."""

    @staticmethod
    async def insert(tx: MemoryTx, training: Training, photos: Any, key: str | None) -> None:
        tables = tx.tables
        if any(row.status in PAID_FOR for row in own(tx, tables.trainings.values())):
            raise pg.UniqueViolation("trainings_one_active")
        if key is not None:
            if ("trainings", tx.user_id, key) in tables.keys:
                raise pg.UniqueViolation("trainings_user_id_idempotency_key_key")
            tables.keys["trainings", tx.user_id, key] = training.id
        tables.trainings[training.id] = training
        tables.leases[training.id] = lease_for(training.next_check_at, training.created_at)
        tables.training_selfies[training.id] = list(photos)

    @staticmethod
    async def get(tx: MemoryTx, training_id: UUID) -> Training | None:
        found: Training | None = row_of(tx, tx.tables.trainings, training_id)
        return found

    @staticmethod
    async def by_key(tx: MemoryTx, key: str) -> Training | None:
        row_id = tx.tables.keys.get(("trainings", tx.user_id, key))
        return None if row_id is None else tx.tables.trainings[row_id]

    @staticmethod
    async def in_hand(tx: MemoryTx) -> Training | None:
        rows = [row for row in newest_first(own(tx, tx.tables.trainings.values())) if row.status in IN_HAND]
        return rows[0] if rows else None

    @staticmethod
    async def parked(tx: MemoryTx) -> bool:
        return any(row.status in PARKED for row in own(tx, tx.tables.trainings.values()))

    @staticmethod
    async def started_since(tx: MemoryTx, since: datetime) -> list[datetime]:
        rows = own(tx, tx.tables.trainings.values())
        counted = [r for r in rows if r.attempt > 0 or r.status is Status.QUEUED]
        return sorted((r.created_at for r in counted if r.created_at > since), reverse=True)

    @staticmethod
    async def newer_exists(tx: MemoryTx, training: Training) -> bool:
        return any(
            row.created_at > training.created_at
            and row.id != training.id
            and row.status not in (Status.FAILED, Status.CANCELED)
            for row in own(tx, tx.tables.trainings.values())
        )

    @staticmethod
    async def save(tx: MemoryTx, after: Training, leased_until: datetime | None) -> Training | None:
        saved = guarded_save(tx, tx.tables.trainings, after, leased_until)
        if saved is None:
            return None
        others = [row for row in tx.tables.trainings.values() if row.id != saved.id]
        if saved.status in PAID_FOR and any(row.status in PAID_FOR for row in own(tx, others)):
            raise pg.UniqueViolation("trainings_one_active")
        for name in ("submit_token", "provider_training_id"):
            value = getattr(saved, name)
            if value is not None and any(getattr(row, name) == value for row in others):
                raise pg.UniqueViolation(name)
        if saved.status is Status.SUBMITTING and saved.submit_token is None:
            raise pg.CheckViolation("submitting without a token")
        if saved.status in (Status.VERIFYING, Status.COMPLETED) and saved.candidate_version is None:
            raise pg.CheckViolation("verifying without a version")
        kept: Training = saved
        return kept

    @staticmethod
    async def starts(tx: MemoryTx) -> list[Start]:
        rows = newest_first(own(tx, tx.tables.trainings.values()))
        sent = [row for row in rows if row.attempt > 0 or row.past_tokens][:50]
        return [Start(**columns(Start, row), twins=twins_of(tx, row.id)) for row in sent]

    @staticmethod
    async def add_twin(tx: MemoryTx, training_id: UUID, twin: dict[str, str]) -> None:
        note_twin(tx, training_id, twin)

    @staticmethod
    async def known_versions(tx: MemoryTx, but: UUID) -> set[str]:
        versions = own(tx, tx.tables.versions.values())
        made = {version.replicate_version_id for version in versions if version.training_id != but}
        rows = own(tx, tx.tables.trainings.values())
        return made | {row.candidate_version for row in rows if row.candidate_version and row.id != but}

    @staticmethod
    async def next_without_version(tx: MemoryTx, training_id: UUID) -> datetime | None:
        rows = own(tx, tx.tables.trainings.values())
        this = next((row for row in rows if row.id == training_id), None)
        if this is None:
            return None
        where = (this.account_id, this.destination)
        later = [row for row in rows if row.created_at > this.created_at and row.candidate_version is None]
        return min(
            (row.created_at for row in later if (row.account_id, row.destination) == where), default=None
        )

    @staticmethod
    async def add_durations(tx: MemoryTx, account_id: str, took: Durations, now: datetime) -> None:
        tx.tables.durations[len(tx.tables.durations)] = (account_id, took)

    @staticmethod
    async def member_of(tx: MemoryTx, training_id: UUID) -> str | None:
        row = tx.tables.trainings.get(training_id)
        return None if row is None else row.user_id

    @staticmethod
    async def request_cancel(tx: MemoryTx, training_id: UUID, now: datetime, leased_until: datetime) -> None:
        wish_to_cancel(tx, tx.tables.trainings, training_id, now, leased_until)

    @staticmethod
    async def wake(tx: MemoryTx, training_id: UUID, now: datetime, leased_until: datetime) -> bool:
        looked_at = {Status.SUBMITTED, Status.TRAINING}
        paid = {Status.SUBMITTING, Status.VERIFYING}
        return woken(tx, tx.tables.trainings, training_id, now, leased_until, looked_at, paid)

    @staticmethod
    async def photos_of(tx: MemoryTx, training_id: UUID) -> list[bytes]:
        return sorted(digest for _, digest in tx.tables.training_selfies.get(training_id, []))

    @staticmethod
    async def selfies_of(tx: MemoryTx, training_id: UUID) -> list[UUID]:
        pairs = sorted(tx.tables.training_selfies.get(training_id, []), key=lambda pair: pair[1])
        return [selfie for selfie, _ in pairs if selfie in tx.tables.selfies]

    @staticmethod
    async def add_version(tx: MemoryTx, version: ModelVersion, image_sha256: bytes) -> ModelVersion:
        found = await Trainings.version_of(tx, version.training_id)
        if found is not None:
            return found
        tx.tables.versions[version.id] = version
        return version

    @staticmethod
    async def version_of(tx: MemoryTx, training_id: UUID) -> ModelVersion | None:
        rows = [row for row in own(tx, tx.tables.versions.values()) if row.training_id == training_id]
        return rows[0] if rows else None

    @staticmethod
    async def version(tx: MemoryTx, version_id: UUID) -> ModelVersion | None:
        found: ModelVersion | None = row_of(tx, tx.tables.versions, version_id)
        return found

    @staticmethod
    async def versions(tx: MemoryTx) -> list[ModelVersion]:
        return newest_first(own(tx, tx.tables.versions.values()))

    @staticmethod
    async def active_version(tx: MemoryTx) -> ModelVersion | None:
        model = tx.tables.user_models.get(tx.user_id)
        return None if model is None or model.active is None else tx.tables.versions[model.active]

    @staticmethod
    async def activate(tx: MemoryTx, version: ModelVersion, trigger_word: str, now: datetime) -> None:
        tables = tx.tables
        found = tables.versions.get(version.id)
        if found is None or found.user_id != tx.user_id:
            raise pg.ForeignKeyViolation("user_models: not a version of this member")
        tables.versions[version.id] = replace(found, promoted_at=now)
        tables.user_models[tx.user_id] = UserModel(tx.user_id, trigger_word, version.id)

    @staticmethod
    async def claim_due(tx: MemoryTx, now: datetime, lease_until: datetime, limit: int) -> list[DueRow]:
        return due_rows(tx, tx.tables.trainings.values(), ENDED, now, lease_until, limit)

    @staticmethod
    async def admit(
        tx: MemoryTx, account_id: str, room: Any, now: datetime, lease_until: datetime
    ) -> list[DueRow]:
        return admitted(tx, tx.tables.trainings, account_id, room, now, lease_until)

    @staticmethod
    async def count_by_status(tx: MemoryTx) -> dict[str, int]:
        return dict(Counter(str(row.status) for row in tx.tables.trainings.values()))


class Generations:
    """`studio.generation.repository`."""

    @staticmethod
    async def insert(tx: MemoryTx, generation: Generation, key: str | None) -> bool:
        tables = tx.tables
        if row_of(tx, tables.versions, generation.model_version_id) is None:
            raise pg.ForeignKeyViolation("generation_trackers: not a version of this member")
        rows = own(tx, tables.generations.values())
        if any((row.prompt, row.seed) == (generation.prompt, generation.seed) for row in rows):
            return False
        if key is not None:
            if ("generations", tx.user_id, key) in tables.keys:
                raise pg.UniqueViolation("generation_trackers_user_id_idempotency_key_key")
            tables.keys["generations", tx.user_id, key] = generation.id
        tables.generations[generation.id] = generation
        tables.leases[generation.id] = lease_for(generation.next_check_at, generation.created_at)
        return True

    @staticmethod
    async def get(tx: MemoryTx, generation_id: UUID) -> Generation | None:
        found: Generation | None = row_of(tx, tx.tables.generations, generation_id)
        return found

    @staticmethod
    async def by_key(tx: MemoryTx, key: str) -> Generation | None:
        row_id = tx.tables.keys.get(("generations", tx.user_id, key))
        return None if row_id is None else tx.tables.generations[row_id]

    @staticmethod
    async def save(tx: MemoryTx, after: Generation, leased_until: datetime | None) -> Generation | None:
        saved = guarded_save(tx, tx.tables.generations, after, leased_until)
        if saved is None:
            return None
        others = (row for row in tx.tables.generations.values() if row.id != saved.id)
        remote = saved.provider_prediction_id
        if remote is not None and any(row.provider_prediction_id == remote for row in others):
            raise pg.UniqueViolation("generation_trackers_provider_id")
        kept: Generation = saved
        return kept

    @staticmethod
    async def request_cancel(
        tx: MemoryTx, generation_id: UUID, now: datetime, leased_until: datetime
    ) -> None:
        wish_to_cancel(tx, tx.tables.generations, generation_id, now, leased_until)

    @staticmethod
    async def claim_due(tx: MemoryTx, now: datetime, lease_until: datetime, limit: int) -> list[DueRow]:
        return due_rows(tx, tx.tables.generations.values(), GENERATION_ENDED, now, lease_until, limit)

    @staticmethod
    async def admit(
        tx: MemoryTx, account_id: str, room: Any, now: datetime, lease_until: datetime
    ) -> list[DueRow]:
        return admitted(tx, tx.tables.generations, account_id, room, now, lease_until)

    @staticmethod
    async def count_by_status(tx: MemoryTx) -> dict[str, int]:
        return dict(Counter(str(row.status) for row in tx.tables.generations.values()))

    @staticmethod
    async def wake(tx: MemoryTx, generation_id: UUID, now: datetime, leased_until: datetime) -> bool:
        looked_at, paid = {Drawing.SUBMITTED, Drawing.RUNNING}, {Drawing.SUBMITTING}
        return woken(tx, tx.tables.generations, generation_id, now, leased_until, looked_at, paid)

    @staticmethod
    async def start_of(tx: MemoryTx, prompt: object, seed: object) -> DrawingStart | None:
        for row in own(tx, tx.tables.generations.values()):
            if (row.prompt, row.seed) == (prompt, seed) and row.attempt > 0:
                return DrawingStart(**columns(DrawingStart, row), twins=twins_of(tx, row.id))
        return None

    @staticmethod
    async def add_twin(tx: MemoryTx, generation_id: UUID, twin: dict[str, str]) -> None:
        note_twin(tx, generation_id, twin)


class Images:
    """`studio.images.repository`."""

    @staticmethod
    async def insert(tx: MemoryTx, image: Image) -> None:
        if row_of(tx, tx.tables.generations, image.generation_id) is None:
            raise pg.ForeignKeyViolation("ai_images: not a generation of this member")
        taken = {(row.generation_id, row.index) for row in tx.tables.images.values()}
        if (image.generation_id, image.index) not in taken:
            tx.tables.images[image.id] = image

    @staticmethod
    async def of_generations(tx: MemoryTx, generation_ids: Any) -> list[Image]:
        wanted = set(generation_ids)
        rows = [row for row in own(tx, tx.tables.images.values()) if row.generation_id in wanted]
        return sorted(rows, key=lambda row: (row.generation_id, row.index))

    @staticmethod
    async def delete(tx: MemoryTx, image_ids: Any, now: datetime) -> list[Image]:
        found = []
        for row in own(tx, tx.tables.images.values()):
            if row.id in image_ids and row.id not in tx.tables.purging:
                tx.tables.images[row.id] = replace(row, deleted_at=row.deleted_at or now)
                found.append(tx.tables.images[row.id])
        return found

    @staticmethod
    async def deleted_before(tx: MemoryTx, cutoff: datetime, limit: int) -> list[DueRow]:
        rows = [row for row in tx.tables.images.values() if row.deleted_at and row.deleted_at <= cutoff]
        rows.sort(key=lambda row: row.deleted_at or cutoff)
        return [DueRow(row.id, row.user_id) for row in rows[:limit]]

    @staticmethod
    async def begin_purge(tx: MemoryTx, image_ids: Any, cutoff: datetime, now: datetime) -> list[Image]:
        rows = [row for row in own(tx, tx.tables.images.values()) if row.id in image_ids]
        rows = [row for row in rows if row.deleted_at is not None and row.deleted_at <= cutoff]
        for row in rows:
            tx.tables.purging[row.id] = tx.tables.purging.get(row.id, now)
        return rows

    @staticmethod
    async def forget(tx: MemoryTx, image_id: UUID) -> None:
        if row_of(tx, tx.tables.images, image_id) is not None and image_id in tx.tables.purging:
            del tx.tables.images[image_id]
            del tx.tables.purging[image_id]


class Selfies:
    """`studio.selfies.repository`."""

    @staticmethod
    async def all_of(tx: MemoryTx) -> list[Any]:
        return own(tx, tx.tables.selfies.values())


class Accounts:
    """`studio.accounts.repository`."""

    @staticmethod
    async def member(tx: MemoryTx) -> Any:
        return tx.tables.members[tx.user_id]


async def enqueue(conn: Any, kind: str, id: str, *, user_id: str, priority: int = 0) -> None:  # noqa: A002
    """`kit.jobs.enqueue`: one waiting job per kind and row."""
    if all(job[:2] != (kind, id) for job in conn.store.pending):
        conn.store.pending.append((kind, id, user_id))


async def enqueue_all(conn: Any, kind: str, rows: Any, *, priority: int = 0) -> None:
    """`kit.jobs.enqueue_all`: the same for many."""
    for row_id, user_id in rows:
        await enqueue(conn, kind, row_id, user_id=user_id)
