"""What members do with generations: ask, look, cancel.

The gate stands here: no generation without the member's own active version. What is sent is sealed when it is
sent (`tasks`), from the version this row names.
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.kit import jobs
from portraitist.studio import architecture
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.generation import repository
from portraitist.studio.generation.domain import ENDED, Generation, Status
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Image
from portraitist.studio.leases import LEASE
from portraitist.studio.prompting.compose import compose
from portraitist.studio.training import service as training
from portraitist.studio.training.admission import Room
from portraitist.studio.training.service import ADMISSION

JOB = "generation"
SEED_TRIES = 20


@dataclass(frozen=True)
class Seen:
    """A generation as the member sees it, with its pictures and the version that makes them."""

    generation: Generation
    images: list[Image]
    version: str


async def ask(
    tx: UserTx, words: str, *, key: str | None, new_seed: Callable[[], int], now: datetime
) -> Generation:
    """Three pictures of these words with the member's own model.

    The same idempotency key gives the same generation. Raises EmptyPrompt or PromptTooLong for the words,
    Unprocessable (`key_reused`) for a key that came with others, and Conflict (`no_model`, with the next step)
    without a model.
    """
    if earlier := await _asked_with(tx, key, words):
        return earlier
    member = await accounts.me(tx)
    trigger = architecture.trigger_word(tx.user_id)
    prompt = compose(words, trigger=trigger, subject=member.subject_word)
    version = await training.require_active_version(tx)
    for _ in range(SEED_TRIES):
        generation = Generation(
            user_id=tx.user_id,
            id=uuid4(),
            status=Status.QUEUED,
            model_version_id=version.id,
            account_id=version.account_id,
            words=words,
            prompt=prompt,
            seed=new_seed(),
            requested=asdict(architecture.GENERATION),
            attempt=0,
            revision=0,
            next_check_at=now,
            admitted_at=None,
            webhook_token=secrets.token_hex(16),
            submitted_at=None,
            provider_prediction_id=None,
            raw_output=None,
            unknown_words=[],
            cancel_requested_at=None,
            error_code=None,
            error=None,
            created_at=now,
            finished_at=None,
        )
        try:
            # a savepoint: the loser of two clicks still has to read the winner
            async with tx.conn.transaction():
                inserted = await repository.insert(tx, generation, key)
        except pg.UniqueViolation:
            if (winner := await _asked_with(tx, key, words)) is None:
                raise
            return winner
        if inserted:
            await jobs.enqueue(tx.conn, ADMISSION, JOB, user_id=tx.user_id, priority=2)
            await events.announce(tx, JOB, generation.id)
            return generation
    raise Conflict(
        "seeds_used_up", "These words have been drawn very often already.", next_step="Change a word."
    )


async def _asked_with(tx: UserTx, key: str | None, words: str) -> Generation | None:
    """What this key began. Raises Unprocessable where it was for other words: the caller mixes keys up."""
    earlier = None if key is None else await repository.by_key(tx, key)
    if earlier is not None and earlier.words != words:
        raise Unprocessable(
            "key_reused", "This Idempotency-Key was used for other words.", next_step="Use a new key."
        )
    return earlier


async def see(tx: UserTx, generation_id: UUID) -> Seen:
    """One generation of the member; raises NotFound."""
    generation = await repository.get(tx, generation_id)
    if generation is None:
        raise NotFound("generation_not_found", "There is no such generation.")
    return (await _seen(tx, [generation]))[0]


async def see_all(tx: UserTx) -> list[Seen]:
    """The member's generations, newest first."""
    return await _seen(tx, await repository.newest(tx))


async def in_hand(tx: UserTx) -> list[Seen]:
    """Generations on their way."""
    return await _seen(tx, await repository.in_hand(tx))


async def cancel(tx: UserTx, generation_id: UUID, now: datetime) -> None:
    """Ask for the end of a generation; a second wish changes nothing. Raises Conflict where it has ended."""
    generation = (await see(tx, generation_id)).generation
    if generation.status is Status.CANCELED:
        return
    if generation.status in ENDED:
        raise Conflict("generation_ended", "These pictures are already done.")
    await repository.request_cancel(tx, generation_id, now, now + LEASE)
    await _wake(tx, generation_id)


async def wake(tx: UserTx, generation_id: UUID, now: datetime) -> None:
    """A webhook says that it has moved: have it looked at now."""
    if await repository.wake(tx, generation_id, now, now + LEASE):
        await jobs.enqueue(tx.conn, JOB, str(generation_id), user_id=tx.user_id, priority=1)


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Generations whose time has come, leased until `until`; the sweeper gives each a job."""
    return await repository.claim_due(tx, now, until, limit)


async def admit(
    tx: SystemTx, account_id: str, room: Room, now: datetime, lease_until: datetime
) -> list[DueRow]:
    """Whose turn it is at this account; each is leased to the job that the caller gives it."""
    return await repository.admit(tx, account_id, room, now, lease_until)


async def count_by_status(tx: SystemTx) -> dict[str, int]:
    """How many generations stand where, over all members."""
    return await repository.count_by_status(tx)


async def _seen(tx: UserTx, generations: list[Generation]) -> list[Seen]:
    pictures = await images.of_generations(tx, [generation.id for generation in generations])
    names = {version.id: version.name for version, _ in await training.versions(tx)}
    return [Seen(g, pictures[g.id], names[g.model_version_id]) for g in generations]


async def _wake(tx: UserTx, generation_id: UUID) -> None:
    await jobs.enqueue(tx.conn, JOB, str(generation_id), user_id=tx.user_id, priority=1)
    await events.announce(tx, JOB, generation_id)
