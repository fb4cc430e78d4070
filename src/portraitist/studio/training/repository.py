"""The one writer of `trainings`, `training_selfies`, `model_versions` and `user_models`.

SQL only. Rows that others may have moved on meanwhile are guarded by their revision: `save` says whether this
decision still held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.kit import jobs
from portraitist.studio.db import DueRow, SystemTx, UserTx, listed
from portraitist.studio.leases import lease_until
from portraitist.studio.training import admission
from portraitist.studio.training.admission import Room
from portraitist.studio.training.domain import ENDED, Training
from portraitist.studio.training.guarded import NEXT_CHECK, RETURNED, Stored, stored
from portraitist.studio.training.looking import left_to_lists
from portraitist.studio.training.progress import Durations
from portraitist.studio.training.starts import Start

ENDED_LISTED = listed(ENDED)
COLUMNS = """user_id, id, status, account_id, trigger_word, destination, trainer, requested, effective, attempt,
    retries, revision, next_check_at, admitted_at, webhook_token, submit_token, past_tokens, submitted_at,
    photos_key, photos_file_id, photos_url,
    provider_training_id, phase, step, total_steps, logs_tail, raw_output, candidate_version, candidate_schema,
    verify_seed, verify_submitted_at, verify_prediction_id, past_seeds, past_tests, cancel_requested_at,
    error_code, error, created_at, started_at, succeeded_at, finished_at"""


@dataclass(frozen=True)
class ModelVersion:
    """One row of `model_versions`: a verified version of the member's own model."""

    user_id: str
    id: UUID
    training_id: UUID
    account_id: str
    replicate_model_id: str
    replicate_version_id: str
    input_schema: dict[str, Any]
    created_at: datetime
    promoted_at: datetime | None

    @property
    def name(self) -> str:
        """`owner/name:version`, as the provider takes it."""
        return f"{self.replicate_model_id}:{self.replicate_version_id}"


async def insert(
    tx: UserTx, training: Training, photos: Sequence[tuple[UUID, bytes]], key: str | None
) -> None:
    """A new training and the photos it is made of, as (selfie id, digest of the uploaded bytes)."""
    await tx.run(
        """insert into trainings (user_id, id, status, account_id, idempotency_key, trigger_word, destination,
               trainer, requested, next_check_at, leased_until, webhook_token, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            training.user_id,
            training.id,
            training.status,
            training.account_id,
            key,
            training.trigger_word,
            training.destination,
            training.trainer,
            Jsonb(training.requested),
            training.next_check_at,
            lease_until(training.next_check_at, training.created_at),
            training.webhook_token,
            training.created_at,
        ),
    )
    async with tx.conn.cursor() as cursor:
        await cursor.executemany(
            """insert into training_selfies (user_id, training_id, selfie_id, source_sha256)
               values (%s, %s, %s, %s)""",
            [(training.user_id, training.id, selfie, digest) for selfie, digest in photos],
        )


async def get(tx: UserTx, training_id: UUID) -> Training | None:
    """One training of this member."""
    return await tx.maybe(Training, f"select {COLUMNS} from trainings where id = %s", (training_id,))  # noqa: S608


async def by_key(tx: UserTx, key: str) -> Training | None:
    """The training that this idempotency key began."""
    return await tx.maybe(
        Training,
        f"select {COLUMNS} from trainings where idempotency_key = %s",  # noqa: S608
        (key,),
    )


async def in_hand(tx: UserTx) -> Training | None:
    """The one training that is neither ended nor parked."""
    return await tx.maybe(
        Training,
        f"""select {COLUMNS} from trainings where status in
            ('queued', 'submitting', 'submitted', 'training', 'extracting', 'verifying')
            order by created_at desc limit 1""",  # noqa: S608
    )


async def parked(tx: UserTx) -> bool:
    """Whether a training of the member is done and paid for, but its version could not be taken into use."""
    return bool(
        await tx.value(
            """select exists (select from trainings
               where status in ('extraction_failed', 'verification_failed')) as parked"""
        )
    )


async def started_since(tx: UserTx, since: datetime) -> list[datetime]:
    """When trainings of this member were begun since then and not taken back before they were sent, newest first."""
    cursor = await tx.conn.execute(
        """select created_at from trainings where created_at > %s and (attempt > 0 or status = 'queued')
           order by created_at desc""",
        (since,),
    )
    return [row["created_at"] for row in await cursor.fetchall()]


async def newer_exists(tx: UserTx, training: Training) -> bool:
    """Whether a training begun later than this one is on its way or done."""
    return bool(
        await tx.value(
            """select exists (select from trainings
               where created_at > %s and id <> %s and status not in ('failed', 'canceled')) as newer""",
            (training.created_at, training.id),
        )
    )


async def save(tx: UserTx, after: Training, leased_until: datetime | None) -> Training | None:
    """Store a decision made on `after.revision`; the row as it is now, or None where it has moved on since.

    A list that was read meanwhile may have written a later step: progress never goes back.
    `leased_until`: how long the sweep leaves the row to the job at hand.
    """
    return stored(
        after,
        await tx.maybe(
            Stored,
            f"""update trainings set status = %(status)s, effective = %(effective)s, attempt = %(attempt)s,
               retries = %(retries)s, revision = revision + 1, next_check_at = {NEXT_CHECK},
               leased_until = %(leased_until)s,
               submit_token = %(submit_token)s, past_tokens = %(past_tokens)s,
               submitted_at = %(submitted_at)s, photos_key = %(photos_key)s,
               photos_file_id = %(photos_file_id)s, photos_url = %(photos_url)s,
               provider_training_id = %(provider_training_id)s,
               phase = %(phase)s, step = greatest(step, %(step)s),
               total_steps = coalesce(%(total_steps)s, total_steps), logs_tail = %(logs_tail)s,
               raw_output = %(raw_output)s, candidate_version = %(candidate_version)s,
               candidate_schema = %(candidate_schema)s, verify_seed = %(verify_seed)s,
               verify_submitted_at = %(verify_submitted_at)s, verify_prediction_id = %(verify_prediction_id)s,
               past_seeds = %(past_seeds)s, past_tests = %(past_tests)s,
               error_code = %(error_code)s, error = %(error)s, started_at = %(started_at)s,
               succeeded_at = %(succeeded_at)s, finished_at = %(finished_at)s
           where id = %(id)s and revision = %(revision)s
           returning {RETURNED}""",  # noqa: S608
            vars(after)
            | {
                "leased_until": leased_until,
                "effective": Jsonb(after.effective),
                "raw_output": None if after.raw_output is None else Jsonb(after.raw_output),
                "candidate_schema": None if after.candidate_schema is None else Jsonb(after.candidate_schema),
            },
        ),
    )


async def starts(tx: UserTx) -> list[Start]:
    """What is known of the starts of this member's last trainings that were ever sent."""
    return await tx.all(
        Start,
        """select id, status, submit_token, past_tokens, webhook_token, provider_training_id, verify_seed,
               verify_prediction_id, past_seeds, past_tests,
               array(select twin->>'provider_id' from jsonb_array_elements(twins) as twin) as twins
           from trainings where attempt > 0 or past_tokens <> '{}' order by created_at desc limit 50""",
    )


async def add_twin(tx: UserTx, training_id: UUID, twin: dict[str, str]) -> None:
    """Record a second run that was ended; once per run."""
    same = Jsonb([{"provider_id": twin["provider_id"]}])
    await tx.run(
        "update trainings set twins = twins || %s where id = %s and not twins @> %s",
        (Jsonb([twin]), training_id, same),
    )


async def known_versions(tx: UserTx, but: UUID) -> set[str]:
    """Ids of versions that other trainings of this member than `but` made, promoted or not."""
    cursor = await tx.conn.execute(
        """select replicate_version_id as id from model_versions where training_id <> %(but)s
           union select candidate_version from trainings where candidate_version is not null and id <> %(but)s""",
        {"but": but},
    )
    return {row["id"] for row in await cursor.fetchall()}


async def next_without_version(tx: UserTx, training_id: UUID) -> datetime | None:
    """When the first training after this one to the same destination was asked for whose version we don't know."""
    cursor = await tx.conn.execute(
        """select min(later.created_at) as at
           from trainings this join trainings later using (user_id, account_id, destination)
           where this.id = %s and later.created_at > this.created_at and later.candidate_version is null""",
        (training_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else row["at"]


async def add_durations(tx: UserTx, account_id: str, took: Durations, now: datetime) -> None:
    """Remember how long a training took, without saying whose."""
    await tx.run(
        "insert into training_durations (account_id, day, waited_s, ran_s, checked_s) values (%s, %s, %s, %s, %s)",
        (account_id, now.date(), took.waited_s, took.ran_s, took.checked_s),
    )


async def request_cancel(tx: UserTx, training_id: UUID, now: datetime, leased_until: datetime) -> None:
    """Leave the wish on the row; whoever holds the training next acts on it."""
    await tx.run(
        """update trainings set cancel_requested_at = coalesce(cancel_requested_at, %s), next_check_at = %s,
               leased_until = %s, admitted_at = coalesce(admitted_at, %s)
           where id = %s""",
        (now, now, leased_until, now, training_id),
    )


async def wake(tx: UserTx, training_id: UUID, now: datetime, leased_until: datetime) -> bool:
    """Make a waiting training due; False where there is nothing to see, or not yet.

    While only looking is going on, the revision goes up as well: a look that began before this would put the next
    one off. In `verifying` a paid call may be on its way, and its answer must still fit; in `submitting` it surely
    is: its lease has whoever records that answer go on at once (`guarded`).
    """
    status = await tx.value(
        """update trainings set leased_until = %(leased)s,
               next_check_at = case when status = 'submitting' then next_check_at else %(now)s end,
               revision = revision + (status in ('submitted', 'training'))::int
           where id = %(id)s and status in ('submitting', 'submitted', 'training', 'verifying') returning status""",
        {"now": now, "leased": leased_until, "id": training_id},
    )
    return status not in (None, "submitting")


async def photos_of(tx: UserTx, training_id: UUID) -> list[bytes]:
    """Digests of the photos that a training saw."""
    cursor = await tx.conn.execute(
        "select source_sha256 from training_selfies where training_id = %s order by source_sha256",
        (training_id,),
    )
    return [bytes(row["source_sha256"]) for row in await cursor.fetchall()]


async def selfies_of(tx: UserTx, training_id: UUID) -> list[UUID]:
    """Ids of the photos of a training that still exist."""
    cursor = await tx.conn.execute(
        """select selfie_id from training_selfies where training_id = %s and selfie_id is not null
           order by source_sha256""",
        (training_id,),
    )
    return [row["selfie_id"] for row in await cursor.fetchall()]


VERSION_COLUMNS = """user_id, id, training_id, account_id, replicate_model_id, replicate_version_id, input_schema,
    created_at, promoted_at"""


async def add_version(tx: UserTx, version: ModelVersion, image_sha256: bytes) -> ModelVersion:
    """Enter a verified version into the member's history; a second time it is found again."""
    await tx.run(
        """insert into model_versions (user_id, id, training_id, account_id, replicate_model_id,
               replicate_version_id, input_schema, verified_image_sha256, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (training_id) do nothing""",
        (
            version.user_id,
            version.id,
            version.training_id,
            version.account_id,
            version.replicate_model_id,
            version.replicate_version_id,
            Jsonb(version.input_schema),
            image_sha256,
            version.created_at,
        ),
    )
    stored = await version_of(tx, version.training_id)
    assert stored is not None, "just inserted, or there before"
    return stored


async def version_of(tx: UserTx, training_id: UUID) -> ModelVersion | None:
    """The version that a training led to."""
    return await tx.maybe(
        ModelVersion,
        f"select {VERSION_COLUMNS} from model_versions where training_id = %s",  # noqa: S608
        (training_id,),
    )


async def version(tx: UserTx, version_id: UUID) -> ModelVersion | None:
    """A version of this member by the row's id."""
    return await tx.maybe(
        ModelVersion,
        f"select {VERSION_COLUMNS} from model_versions where id = %s and erased_at is null",  # noqa: S608
        (version_id,),
    )


async def versions(tx: UserTx) -> list[ModelVersion]:
    """The member's history, newest first."""
    return await tx.all(
        ModelVersion,
        f"select {VERSION_COLUMNS} from model_versions where erased_at is null order by created_at desc, id desc",  # noqa: S608
    )


async def active_version(tx: UserTx) -> ModelVersion | None:
    """The version that pictures are made with."""
    return await tx.maybe(
        ModelVersion,
        f"""select {VERSION_COLUMNS} from model_versions
            where id = (select active_version_id from user_models)""",  # noqa: S608
    )


async def activate(tx: UserTx, version: ModelVersion, trigger_word: str, now: datetime) -> None:
    """Swap the member's active version; the old one stays in the history."""
    await tx.run("update model_versions set promoted_at = %s where id = %s", (now, version.id))
    await tx.run(
        """insert into user_models (user_id, trigger_word, active_version_id, replicate_model_id,
               replicate_version_id, updated_at)
           values (%s, %s, %s, %s, %s, %s)
           on conflict (user_id) do update set active_version_id = excluded.active_version_id,
               replicate_model_id = excluded.replicate_model_id,
               replicate_version_id = excluded.replicate_version_id, updated_at = excluded.updated_at""",
        (
            version.user_id,
            trigger_word,
            version.id,
            version.replicate_model_id,
            version.replicate_version_id,
            now,
        ),
    )


async def claim_due(tx: SystemTx, now: datetime, lease_until: datetime, limit: int) -> list[DueRow]:
    """Rows whose time has come and that neither wait as a job nor have their list read, leased to the job they get."""
    # for update skip locked: two sweepers share the work instead of waiting for each other
    return await tx.all(
        DueRow,
        f"""with due as (
               select id from trainings
               where status not in ({ENDED_LISTED}) and next_check_at <= %(now)s
                   and (status <> 'queued' or admitted_at is not null)
                   and coalesce(leased_until, '-infinity') <= %(now)s
                   and not {left_to_lists("trainings")} and not {jobs.waits("training", "trainings.id")}
               order by next_check_at limit %(limit)s for update skip locked)
           update trainings set leased_until = %(until)s from due where trainings.id = due.id
           returning trainings.id, trainings.user_id""",  # noqa: S608
        {"now": now, "limit": limit, "until": lease_until},
    )


async def admit(
    tx: SystemTx, account_id: str, room: Room, now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Admit waiting rows of an account, fairly, as far as there is room."""
    return await admission.admit(tx, "trainings", account_id, room, now=now, lease_until=lease_until)


async def count_by_status(tx: SystemTx) -> dict[str, int]:
    """How many trainings stand where, over all members."""
    cursor = await tx.conn.execute("select status, count(*) as n from trainings group by status")
    return {row["status"]: row["n"] for row in await cursor.fetchall()}
