"""The one writer of `generation_trackers`. SQL only; writes are guarded by the row's revision."""

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from portraitist.studio import architecture
from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.generation.domain import Generation
from portraitist.studio.generation.starts import Start
from portraitist.studio.leases import lease_until
from portraitist.studio.training import admission
from portraitist.studio.training.admission import Room

COLUMNS = """user_id, id, status, model_version_id, account_id, words, prompt, seed, requested, attempt,
    revision, next_check_at, admitted_at, webhook_token, submitted_at, provider_prediction_id, raw_output,
    unknown_words, cancel_requested_at, error_code, error, created_at, finished_at"""


async def insert(tx: UserTx, generation: Generation, key: str | None) -> bool:
    """A new generation; False where this member has used the same prompt with the same seed."""
    return (
        await tx.run(
            """insert into generation_trackers (user_id, id, status, model_version_id, account_id, idempotency_key,
               words, prompt, seed, requested, next_check_at, leased_until, webhook_token, created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
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


async def newest(tx: UserTx, limit: int = 50) -> list[Generation]:
    """This member's generations, newest first."""
    return await tx.all(
        Generation,
        f"select {COLUMNS} from generation_trackers order by created_at desc, id desc limit %s",  # noqa: S608
        (limit,),
    )


async def in_hand(tx: UserTx) -> list[Generation]:
    """Generations on their way."""
    return await tx.all(
        Generation,
        f"""select {COLUMNS} from generation_trackers
            where status not in ('completed', 'failed', 'canceled', 'lost_at_provider')
            order by created_at desc limit 50""",  # noqa: S608
    )


async def save(tx: UserTx, after: Generation, leased_until: datetime | None) -> bool:
    """Store a decision made on `after.revision`; False where the row has moved on since.

    `leased_until`: how long the sweep leaves the row to the job at hand.
    """
    return (
        await tx.run(
            """update generation_trackers set status = %(status)s, attempt = %(attempt)s, revision = revision + 1,
               next_check_at = %(next_check_at)s, leased_until = %(leased_until)s, submitted_at = %(submitted_at)s,
               provider_prediction_id = %(provider_prediction_id)s, raw_output = %(raw_output)s,
               unknown_words = %(unknown_words)s, error_code = %(error_code)s, error = %(error)s,
               finished_at = %(finished_at)s
           where id = %(id)s and revision = %(revision)s""",
            vars(after)
            | {
                "leased_until": leased_until,
                "raw_output": None if after.raw_output is None else Jsonb(after.raw_output),
            },
        )
        == 1
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
    """Make a waiting generation due; False where there is nothing to see.

    Where only looking is going on, the revision goes up as well: a look that began before this would put the next
    one off. In `submitting` the paid call may be on its way, and its answer must still fit.
    """
    return (
        await tx.run(
            """update generation_trackers set next_check_at = %s, leased_until = %s,
                   revision = revision + (status in ('submitted', 'running'))::int
               where id = %s and status in ('submitting', 'submitted', 'running')""",
            (now, leased_until, generation_id),
        )
        == 1
    )


async def claim_due(tx: SystemTx, now: datetime, lease_until: datetime, limit: int) -> list[DueRow]:
    """Rows whose time has come, leased so that the next sweep leaves them to their job."""
    # for update skip locked: two sweepers share the work instead of waiting for each other
    return await tx.all(
        DueRow,
        """with due as (
               select id from generation_trackers
               where status not in ('completed', 'failed', 'canceled', 'lost_at_provider') and next_check_at <= %s
                   and (status <> 'queued' or admitted_at is not null)
                   and coalesce(leased_until, '-infinity') <= %s
               order by next_check_at limit %s for update skip locked)
           update generation_trackers set leased_until = %s from due where generation_trackers.id = due.id
           returning generation_trackers.id, generation_trackers.user_id""",
        (now, now, limit, lease_until),
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
