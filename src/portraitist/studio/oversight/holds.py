"""Legal holds: placing and releasing one, and asking whether a member is held.

What a hold does is the database's (quarantine, nothing new, the member's row stays), the erasure's and the timers'.
"""

from uuid import uuid4

from portraitist.kit.logging import logger
from portraitist.studio.db import RegistrarTx, UserTx, held
from portraitist.studio.errors import Conflict, NotFound
from portraitist.studio.oversight import repository
from portraitist.studio.oversight.domain import Hold
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

log = logger(__name__)
MEMBER_NOT_FOUND = NotFound("member_not_found", "There is no such account.")


async def place(tx: RegistrarTx, user_id: str, reason: str) -> Hold:
    """Hold this member's things. Raises NotFound, and Conflict where they are held already.

    The event names the hold and not the member: what is told of them is theirs to read.
    """
    if not await repository.lock_member(tx, user_id):
        raise MEMBER_NOT_FOUND
    if await repository.hold_of(tx, user_id) is not None:
        raise Conflict("held_already", "This member is held already.", next_step="Look at the holds.")
    hold_id = uuid4()
    await repository.place(tx, user_id, hold_id, reason, (await trail.actor_of(tx)).id)
    await trail.note_about(tx, None, Action.HOLD_PLACED, hold=hold_id)
    log.warning("hold.placed", hold=str(hold_id))
    return await _existing(tx, user_id)


async def release(tx: RegistrarTx, user_id: str) -> Hold:
    """The member's things are theirs again; an erasure that waits goes on. Raises NotFound."""
    hold = await _existing(tx, user_id)
    await repository.release(tx, hold.id, (await trail.actor_of(tx)).id)
    await trail.note_about(tx, None, Action.HOLD_RELEASED, hold=hold.id)
    log.warning("hold.released", hold=str(hold.id))
    return hold


async def all_holds(tx: RegistrarTx) -> list[Hold]:
    """Every hold, newest first."""
    return await repository.holds(tx)


async def hold_on(tx: RegistrarTx, user_id: str) -> Hold | None:
    """The hold that this member is under."""
    return await repository.hold_of(tx, user_id)


async def is_held(tx: UserTx) -> bool:
    """Whether the member of this transaction is held."""
    return await repository.is_held(tx)


async def refuse(tx: UserTx) -> None:
    """Raises Conflict where the member is held."""
    if await repository.is_held(tx):
        raise held()


async def _existing(tx: RegistrarTx, user_id: str) -> Hold:
    found = await repository.hold_of(tx, user_id)
    if found is None:
        raise NotFound("hold_not_found", "This member is not held.")
    return found
