"""What an operator does for a member's training that is stuck: the member's own ways, with an audit event."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import StudioDatabase
from portraitist.studio.errors import Conflict
from portraitist.studio.provider.accounts import Account
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action, Actor
from portraitist.studio.training import overview, pins, service
from portraitist.studio.training.domain import Status, Training
from portraitist.studio.training.views import absent


async def retry(db: StudioDatabase, by: str | None, training_id: UUID, now: datetime) -> Training:
    """Look for its version again, or test it again: the same run, no new cost. Raises NotFound and Conflict."""
    actor, user_id = await _both(db, by, training_id)
    async with db.member(user_id) as tx:
        await service.retry(tx, training_id, now)
        await trail.note(tx, Action.TRAINING_RETRIED, actor, training=training_id)
        return await service.existing(tx, training_id)


async def cancel(db: StudioDatabase, by: str | None, training_id: UUID, now: datetime) -> Training:
    """Ask for its end, at whatever stage. Raises NotFound, and Conflict where it has ended."""
    actor, user_id = await _both(db, by, training_id)
    async with db.member(user_id) as tx:
        await service.cancel(tx, training_id, now)
        await trail.note(tx, Action.TRAINING_CANCELED, actor, training=training_id)
        return await service.existing(tx, training_id)


async def again(
    db: StudioDatabase, accounts: Sequence[Account], by: str | None, training_id: UUID, now: datetime
) -> Training:
    """Another training on the member's photos in place of one that failed; asked twice it is the same one.

    It is a start of the operator's, which the member's daily budget does not refuse. Raises NotFound, Conflict where
    it did not fail or another is in hand, and Unprocessable where the photos are gone.
    """
    actor, user_id = await _both(db, by, training_id)
    account = await pins.account_of(db, user_id, accounts)
    async with db.member(user_id) as tx:
        if (await service.existing(tx, training_id)).status is not Status.FAILED:
            raise Conflict(
                "training_not_failed",
                "Only a training that failed is begun again.",
                next_step="Look where it stands.",
            )
        begun = await service.start(
            tx,
            owner=account.username,
            account_id=account.id,
            key=f"instead of {training_id}",
            per_day=None,
            now=now,
        )
        await pins.pin(tx, account)
        await trail.note(tx, Action.TRAINING_BEGUN_AGAIN, actor, training=begun.id)
        return begun


async def move(
    db: StudioDatabase, accounts: Sequence[Account], by: str | None, user_id: str, account_id: str
) -> Account:
    """Let a member's next training go to another account; working models stay where they are. Raises NotFound."""
    async with db.registrar(by) as registrar:
        actor = await trail.actor_of(registrar)
    async with db.member(user_id) as tx:
        moved = await pins.move(tx, accounts, account_id)
        await trail.note(tx, Action.MEMBER_MOVED, actor)
    return moved


async def _both(db: StudioDatabase, by: str | None, training_id: UUID) -> tuple[Actor, str]:
    """Who does it, and whose training it is."""
    async with db.registrar(by) as registrar:
        actor = await trail.actor_of(registrar)
    async with db.system() as tx:
        user_id = await overview.whose(tx, training_id)
    if user_id is None:
        raise absent()
    return actor, user_id
