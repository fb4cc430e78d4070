"""What an operator does for a member's generation that is stuck: the member's own way, with an audit event."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service
from portraitist.studio.generation.overview import GENERATIONS
from portraitist.studio.generation.views import absent
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action
from portraitist.studio.training import overview


async def cancel(db: StudioDatabase, by: str | None, generation_id: UUID, now: datetime) -> None:
    """Ask for its end. Raises NotFound, and Conflict where it has ended."""
    async with db.registrar(by) as registrar:
        actor = await trail.actor_of(registrar)
    async with db.system() as tx:
        user_id = await overview.whose(tx, generation_id, GENERATIONS)
    if user_id is None:
        raise absent()
    async with db.member(user_id) as tx:
        await service.cancel(tx, generation_id, now)
        await trail.note(tx, Action.GENERATION_CANCELED, actor, generation=generation_id)
