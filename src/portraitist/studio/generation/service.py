"""What members do with generations: ask and cancel. Looking is in `views`.

The gate stands here: no generation without the member's own active version. What is sent is sealed when it is
sent (`tasks`), from the version this row names.
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.kit import jobs
from portraitist.studio import architecture
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.errors import Conflict, TooMany, Unprocessable
from portraitist.studio.events import service as events
from portraitist.studio.generation import repository
from portraitist.studio.generation.domain import ENDED, Generation, Status
from portraitist.studio.generation.views import absent
from portraitist.studio.leases import leased_from
from portraitist.studio.prompting.compose import compose
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.training import service as training
from portraitist.studio.training.admission import DAY, Room
from portraitist.studio.training.service import ADMISSION

JOB = "generation"
SEED_TRIES = 20


async def ask(
    tx: UserTx,
    words: str,
    *,
    key: str | None,
    new_seed: Callable[[], int],
    now: datetime,
    refusals: Refusals,
    per_day: int | None = None,
    title: str | None = None,
    look: str | None = None,
) -> Generation:
    """Three pictures of these words with the member's own model.

    `title`: what the member sees in place of the words, which are a card's or a look's then. The same idempotency key
    gives the same generation. Raises EmptyPrompt, PromptTooLong or PromptRefused for the words
    (`refusals`: with the operator's list), Unprocessable (`key_reused`) for a key that came with others, Conflict (with
    the next step) without a model, and TooMany after `per_day` (None: any number) in 24 hours.
    """
    if earlier := await _asked_with(tx, key, words):
        return earlier
    member = await accounts.me(tx)
    prompt = _composed(words, tx.user_id, member.subject_word, refusals)
    version = await training.require_active_version(tx)
    await _check_quota(tx, per_day, now)
    for _ in range(SEED_TRIES):
        generation = _queued(
            tx.user_id,
            words,
            prompt,
            version_id=version.id,
            account_id=version.account_id,
            seed=new_seed(),
            now=now,
        )
        generation = replace(generation, title=title, look=look)
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


def _composed(words: str, user_id: str, subject_word: str, refusals: Refusals) -> str:
    """The prompt. What is refused is looked for in the member's own words, the subject word among them."""
    trigger = architecture.trigger_word(user_id)
    prompt = compose(words, trigger=trigger, subject=subject_word)
    said = prompt.removeprefix(f"{trigger} ").removeprefix(subject_word)
    refusals.check(f"{subject_word}, {said}")
    return prompt


def _queued(
    user_id: str, words: str, prompt: str, *, version_id: UUID, account_id: str, seed: int, now: datetime
) -> Generation:
    return Generation(
        user_id=user_id,
        id=uuid4(),
        status=Status.QUEUED,
        model_version_id=version_id,
        account_id=account_id,
        words=words,
        prompt=prompt,
        seed=seed,
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


async def _check_quota(tx: UserTx, per_day: int | None, now: datetime) -> None:
    if per_day is None:
        return
    await repository.one_at_a_time(tx)
    last_of_a_day = await repository.nth_newest(tx, per_day)
    if last_of_a_day is not None and last_of_a_day > now - DAY:
        raise TooMany(
            "generation_quota_spent",
            f"{per_day} times three pictures in 24 hours are the most that this studio makes for one member.",
            next_step="Try again when Retry-After is over; your pictures stay.",
            retry_after_s=(last_of_a_day + DAY - now).total_seconds(),
        )


async def _asked_with(tx: UserTx, key: str | None, words: str) -> Generation | None:
    """What this key began. Raises Unprocessable where it was for other words: the caller mixes keys up."""
    earlier = None if key is None else await repository.by_key(tx, key)
    if earlier is not None and earlier.words != words:
        raise Unprocessable(
            "key_reused", "This Idempotency-Key was used for other words.", next_step="Use a new key."
        )
    return earlier


async def cancel(tx: UserTx, generation_id: UUID, now: datetime) -> None:
    """Ask for the end of a generation; a second wish changes nothing. Raises Conflict where it has ended."""
    generation = await repository.get(tx, generation_id)
    if generation is None:
        raise absent()
    if generation.status is Status.CANCELED:
        return
    if generation.status in ENDED:
        raise Conflict(
            "generation_ended", "These pictures are already done.", next_step="Nothing to do: look at them."
        )
    await repository.request_cancel(tx, generation_id, now, leased_from(now))
    await _wake(tx, generation_id)


async def wake(tx: UserTx, generation_id: UUID, now: datetime) -> None:
    """A webhook says that it has moved: have it looked at now."""
    if await repository.wake(tx, generation_id, now, leased_from(now)):
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


async def _wake(tx: UserTx, generation_id: UUID) -> None:
    await jobs.enqueue(tx.conn, JOB, str(generation_id), user_id=tx.user_id, priority=1)
    await events.announce(tx, JOB, generation_id)
