"""The one writer of `generation_trackers`. SQL only; writes are guarded by the row's revision."""

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.kit import jobs
from portraitist.studio import architecture
from portraitist.studio.db import DueRow, SystemTx, UserTx, listed
from portraitist.studio.generation.domain import ENDED, Generation
from portraitist.studio.generation.starts import Start
from portraitist.studio.leases import lease_until
from portraitist.studio.training import admission
from portraitist.studio.training.admission import Room
from portraitist.studio.training.guarded import NEXT_CHECK, RETURNED, Stored, stored
from portraitist.studio.training.looking import left_to_lists

COLUMNS = """user_id, id, status, model_version_id, account_id, words, prompt, seed, requested, attempt,
    revision, next_check_at, admitted_at, webhook_token, submitted_at, provider_prediction_id, raw_output,
    unknown_words, cancel_requested_at, error_code, error, created_at, finished_at, title, look, provider_seconds"""

ENDED_LISTED = listed(ENDED)


async def insert(tx: UserTx, generation: Generation, key: str | None) -> bool:
    """A new generation; False where this member has used the same prompt with the same seed."""
    return (
        await tx.run(
            """insert into generation_trackers (user_id, id, status, model_version_id, account_id, idempotency_key,
               words, prompt, seed, requested, next_check_at, leased_until, webhook_token, created_at, title, look)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (user_id, prompt, seed) do nothing""",
            (
                generation.user_id,
                generation.id,
                generation.status,
                generation.model_version_id,
                generation.account_id,
                key,
                generation.words,
                generation.prompt,
                generation.seed,
                Jsonb(generation.requested),
                generation.next_check_at,
                lease_until(generation.next_check_at, generation.created_at),
                generation.webhook_token,
                generation.created_at,
                generation.title,
                generation.look,
            ),
        )
        == 1
    )


async def get(tx: UserTx, generation_id: UUID) -> Generation | None:
    """One generation of this member."""
    return await tx.maybe(
        Generation,
        f"select {COLUMNS} from generation_trackers where id = %s",  # noqa: S608
        (generation_id,),
    )


async def by_key(tx: UserTx, key: str) -> Generation | None:
    """The generation that this idempotency key began."""
    return await tx.maybe(
        Generation,
        f"select {COLUMNS} from generation_trackers where idempotency_key = %s",  # noqa: S608
        (key,),
    )


async def nth_newest(tx: UserTx, number: int) -> datetime | None:
    """When the n-th newest generation was asked for, of those that were not taken back before they were sent."""
    found: datetime | None = await tx.value(
        """select created_at from generation_trackers where attempt > 0 or status <> 'canceled'
           order by created_at desc offset %s limit 1""",
        (number - 1,),
    )
    return found


async def one_at_a_time(tx: UserTx) -> None:
    """Let the member's other requests wait until this transaction has ended, so that a quota is exact."""
    await tx.run("select pg_advisory_xact_lock(hashtextextended('generations ' || %s, 0))", (tx.user_id,))


async def save(tx: UserTx, after: Generation, leased_until: datetime | None) -> Generation | None:
    """Store a decision made on `after.revision`; the row as it is now, or None where it has moved on since.

    `leased_until`: how long the sweep leaves the row to the job at hand.
    """
    return stored(
        after,
        await tx.maybe(
            Stored,
            f"""update generation_trackers set status = %(status)s, attempt = %(attempt)s, revision = revision + 1,
               next_check_at = {NEXT_CHECK}, leased_until = %(leased_until)s, submitted_at = %(submitted_at)s,
               provider_prediction_id = %(provider_prediction_id)s, raw_output = %(raw_output)s,
               unknown_words = %(unknown_words)s, error_code = %(error_code)s, error = %(error)s,
               finished_at = %(finished_at)s, provider_seconds = %(provider_seconds)s
           where id = %(id)s and revision = %(revision)s
           returning {RETURNED}""",  # noqa: S608
            vars(after)
            | {
                "leased_until": leased_until,
                "raw_output": None if after.raw_output is None else Jsonb(after.raw_output),
            },
        ),
    )


async def start_of(tx: UserTx, prompt: object, seed: object) -> Start | None:
    """What is known of the start of the generation with this prompt and seed, if it was ever sent."""
    if not isinstance(prompt, str) or not isinstance(seed, int) or seed not in architecture.SEEDS:
        return None
    return await tx.maybe(
        Start,
        """select id, status, provider_prediction_id,
               array(select twin->>'provider_id' from jsonb_array_elements(twins) as twin) as twins
           from generation_trackers where prompt = %s and seed = %s and attempt > 0""",
        (prompt, seed),
    )


async def add_twin(tx: UserTx, generation_id: UUID, twin: dict[str, str]) -> None:
    """Record a second prediction that was ended; once per prediction."""
    same = Jsonb([{"provider_id": twin["provider_id"]}])
    await tx.run(
        "update generation_trackers set twins = twins || %s where id = %s and not twins @> %s",
        (Jsonb([twin]), generation_id, same),
    )


async def request_cancel(tx: UserTx, generation_id: UUID, now: datetime, leased_until: datetime) -> None:
    """Leave the wish on the row; whoever holds the generation next acts on it."""
    await tx.run(
        """update generation_trackers set cancel_requested_at = coalesce(cancel_requested_at, %s), next_check_at = %s,
               leased_until = %s, admitted_at = coalesce(admitted_at, %s)
           where id = %s""",
        (now, now, leased_until, now, generation_id),
    )


async def wake(tx: UserTx, generation_id: UUID, now: datetime, leased_until: datetime) -> bool:
    """Make a waiting generation due; False where there is nothing to see, or not yet.

    The revision goes up as well: a look that began before this would put the next one off. In `submitting` the answer
    of the paid call is on its way: its lease has whoever records that go on at once (`guarded`).
    """
    status = await tx.value(
        """update generation_trackers set leased_until = %(leased)s,
               next_check_at = case when status = 'submitting' then next_check_at else %(now)s end,
               revision = revision + (status <> 'submitting')::int
           where id = %(id)s and status in ('submitting', 'submitted', 'running') returning status""",
        {"now": now, "leased": leased_until, "id": generation_id},
    )
    return status not in (None, "submitting")


async def claim_due(tx: SystemTx, now: datetime, lease_until: datetime, limit: int) -> list[DueRow]:
    """Rows whose time has come and that neither wait as a job nor have their list read, leased to the job they get."""
    # for update skip locked: two sweepers share the work instead of waiting for each other
    return await tx.all(
        DueRow,
        f"""with due as (
               select id from generation_trackers
               where status not in ({ENDED_LISTED}) and next_check_at <= %(now)s
                   and (status <> 'queued' or admitted_at is not null)
                   and coalesce(leased_until, '-infinity') <= %(now)s
                   and not {left_to_lists("generation_trackers")}
                   and not {jobs.waits("generation", "generation_trackers.id")}
               order by next_check_at limit %(limit)s for update skip locked)
           update generation_trackers set leased_until = %(until)s from due where generation_trackers.id = due.id
           returning generation_trackers.id, generation_trackers.user_id""",  # noqa: S608
        {"now": now, "limit": limit, "until": lease_until},
    )


async def admit(
    tx: SystemTx, account_id: str, room: Room, now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Admit waiting rows of an account, fairly, as far as there is room."""
    return await admission.admit(
        tx, "generation_trackers", account_id, room, now=now, lease_until=lease_until
    )


async def count_by_status(tx: SystemTx) -> dict[str, int]:
    """How many generations stand where, over all members."""
    cursor = await tx.conn.execute("select status, count(*) as n from generation_trackers group by status")
    return {row["status"]: row["n"] for row in await cursor.fetchall()}
