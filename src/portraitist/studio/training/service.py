"""What members do with trainings and model versions: start, cancel, retry, roll back. Looking is in `views`.

Each call works inside the member's transaction. The work itself happens in `tasks`, woken by a job that is
enqueued in the same transaction.
"""

import secrets
from datetime import datetime
from typing import NoReturn
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.kit import jobs
from portraitist.studio import architecture
from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.errors import Conflict, NotFound, TooMany, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.leases import leased_from
from portraitist.studio.selfies import service as selfies
from portraitist.studio.training import repository
from portraitist.studio.training.admission import DAY, Room
from portraitist.studio.training.domain import ENDED, PARKED, Status, Training
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.views import absent

JOB = "training"
ADMISSION = "admission"
"""Kind of the job that looks whose turn it is; its id is the kind of what waits."""


async def start(
    tx: UserTx, *, owner: str, account_id: str, key: str | None, per_day: int | None, now: datetime
) -> Training:
    """Begin a training on all accepted photos, at this account of this owner.

    The same idempotency key gives the same training. Raises Unprocessable for too few photos, Conflict while
    another training of this member is in hand, and TooMany after `per_day` (None: any number) in 24 hours.
    """
    if earlier := await _begun_with(tx, key):
        return earlier
    photos = await selfies.accepted(tx)
    if len(photos) < selfies.MIN_PHOTOS:
        raise Unprocessable(
            "too_few_photos",
            f"A model needs at least {selfies.MIN_PHOTOS} good photos; {len(photos)} are accepted so far.",
            next_step="Add more photos of the same person: other light, other places, other distances.",
        )
    if await repository.in_hand(tx) is not None:
        # it may have begun between the two looks, by this very click
        return await _begun_with(tx, key) or _refused_as_in_hand()
    starts = [] if per_day is None else await repository.started_since(tx, now - DAY)
    if per_day is not None and len(starts) >= per_day:
        raise TooMany(
            "start_budget_spent",
            f"{per_day} trainings in 24 hours are the most that this studio starts for one member.",
            next_step="Try again tomorrow; your model, if you have one, keeps working.",
            retry_after_s=(starts[per_day - 1] + DAY - now).total_seconds(),
        )
    training = _queued(tx.user_id, owner, account_id, now)
    try:
        async with tx.conn.transaction():  # a savepoint: the loser of two tabs still has to read the winner
            await repository.insert(tx, training, [(p.id, p.source_sha256) for p in photos], key)
    except pg.UniqueViolation:  # two tabs at once: the index is the judge
        return await _begun_with(tx, key) or _refused_as_in_hand()
    await jobs.enqueue(tx.conn, ADMISSION, JOB, user_id=tx.user_id, priority=2)
    await events.announce(tx, JOB, training.id)
    return training


async def _begun_with(tx: UserTx, key: str | None) -> Training | None:
    return None if key is None else await repository.by_key(tx, key)


def _refused_as_in_hand() -> NoReturn:
    raise Conflict(
        "training_in_hand",
        "A training of yours is already running.",
        next_step="Wait for it, or cancel it first.",
    )


async def existing(tx: UserTx, training_id: UUID) -> Training:
    """One training of the member; raises NotFound."""
    training = await repository.get(tx, training_id)
    if training is None:
        raise absent()
    return training


async def cancel(tx: UserTx, training_id: UUID, now: datetime) -> None:
    """Ask for the end of a training; a second wish changes nothing. Raises Conflict where it has ended."""
    training = await existing(tx, training_id)
    if training.status is Status.CANCELED:
        return
    if training.status in ENDED:
        raise Conflict(
            "training_ended", "This training has already ended.", next_step="Start another whenever you like."
        )
    await repository.request_cancel(tx, training_id, now, leased_from(now))
    await _wake(tx, training_id)


async def retry(tx: UserTx, training_id: UUID, now: datetime) -> None:
    """Look for the version again, or test it again: the same run, no new cost."""
    training = await existing(tx, training_id)
    if training.status not in PARKED:
        raise Conflict(
            "nothing_to_retry",
            "Only a trained model whose version was not found or did not pass its test can be retried.",
            next_step="Start a new training instead."
            if training.status in ENDED
            else "Wait for it to finish.",
        )
    if await repository.save(tx, training.retried(now), leased_from(now)):
        await _wake(tx, training_id)


async def active_version(tx: UserTx) -> ModelVersion | None:
    """The version that pictures are made with."""
    return await repository.active_version(tx)


async def require_active_version(tx: UserTx) -> ModelVersion:
    """The gate of every generation: the member's own verified version, or the next step to get one."""
    version = await repository.active_version(tx)
    if version is None:
        raise await _no_model(tx)
    return version


async def _no_model(tx: UserTx) -> Conflict:
    """Why there is no model yet, and what the member does about it."""
    if await repository.in_hand(tx) is not None:
        return Conflict(
            "model_in_training",
            "Your model is still being trained.",
            next_step="Come back when it is ready; the page tells you.",
        )
    if await repository.parked(tx):
        return Conflict(
            "training_to_retry",
            "Your model is trained, but it could not be taken into use yet.",
            next_step="Retry its training (POST /api/v1/trainings/{id}/retry), at no cost, or train again.",
        )
    if len(await selfies.accepted(tx)) < selfies.MIN_PHOTOS:
        return Conflict(
            "no_photos_yet",
            "You have no trained model yet, and too few photos for one.",
            next_step=f"Add at least {selfies.MIN_PHOTOS} good photos, then start a training.",
        )
    return Conflict("no_model", "You have no trained model yet.", next_step="Start a training.")


async def versions(tx: UserTx) -> list[tuple[ModelVersion, list[bytes]]]:
    """The history of the member's model with the photos of each, newest first."""
    return [(v, await repository.photos_of(tx, v.training_id)) for v in await repository.versions(tx)]


async def version(tx: UserTx, version_id: UUID) -> ModelVersion:
    """One version of this member's model, which a row of theirs names. Raises NotFound."""
    found = await repository.version(tx, version_id)
    if found is None:
        raise NotFound(
            "version_not_found",
            "There is no such version of your model.",
            next_step="Look at your versions (GET /api/v1/models).",
        )
    return found


async def roll_back(tx: UserTx, version_id: UUID, now: datetime) -> ModelVersion:
    """Make an earlier version the active one. Raises NotFound."""
    chosen = await version(tx, version_id)
    await repository.activate(tx, chosen, architecture.trigger_word(tx.user_id), now)
    return chosen


async def wake(tx: UserTx, training_id: UUID, now: datetime) -> None:
    """A webhook says that it has moved: have it looked at now."""
    if await repository.wake(tx, training_id, now, leased_from(now)):
        await jobs.enqueue(tx.conn, JOB, str(training_id), user_id=tx.user_id)


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Trainings whose time has come, leased until `until`; the sweeper gives each a job."""
    return await repository.claim_due(tx, now, until, limit)


async def admit(
    tx: SystemTx, account_id: str, room: Room, now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Whose turn it is at this account; each is leased to the job that the caller gives it."""
    return await repository.admit(tx, account_id, room, now, lease_until)


async def count_by_status(tx: SystemTx) -> dict[str, int]:
    """How many trainings stand where, over all members."""
    return await repository.count_by_status(tx)


def _queued(user_id: str, owner: str, account_id: str, now: datetime) -> Training:
    return Training(
        user_id=user_id,
        id=uuid4(),
        status=Status.QUEUED,
        account_id=account_id,
        trigger_word=architecture.trigger_word(user_id),
        destination=architecture.destination(owner, user_id),
        trainer=architecture.TRAINER,
        requested=dict(architecture.HYPERPARAMETERS),
        effective={},
        attempt=0,
        retries=0,
        revision=0,
        next_check_at=now,
        admitted_at=None,
        webhook_token=secrets.token_hex(16),
        submit_token=None,
        past_tokens=[],
        submitted_at=None,
        photos_key=None,
        photos_file_id=None,
        photos_url=None,
        provider_training_id=None,
        phase="queued",
        step=None,
        total_steps=None,
        logs_tail="",
        raw_output=None,
        candidate_version=None,
        candidate_schema=None,
        verify_seed=None,
        verify_submitted_at=None,
        verify_prediction_id=None,
        past_seeds=[],
        past_tests=[],
        cancel_requested_at=None,
        error_code=None,
        error=None,
        created_at=now,
        started_at=None,
        succeeded_at=None,
        finished_at=None,
    )


async def _wake(tx: UserTx, training_id: UUID) -> None:
    await jobs.enqueue(tx.conn, JOB, str(training_id), user_id=tx.user_id)
    await events.announce(tx, JOB, training_id)
