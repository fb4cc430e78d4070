"""Break-glass: an admin opens one member's photos and pictures, reading only, and the member sees that it was done.

Each look is written down, for the member and in the audit events, in the transaction that finds the file: nothing is
sent before that is committed. What shows through an open glass is the database's to say (the role `breakglass`).
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectStore
from portraitist.studio.db import GlassTx, RegistrarTx, StudioDatabase, UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.images import through_glass as pictures
from portraitist.studio.oversight import repository
from portraitist.studio.oversight.domain import Glass, Opening, Thing, ThingKind
from portraitist.studio.oversight.holds import MEMBER_NOT_FOUND
from portraitist.studio.selfies import through_glass as photos
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action, Actor

log = logger(__name__)
NEWEST = 100
NOT_OPEN = NotFound(
    "glass_not_found",
    "You have no such break-glass open.",
    next_step="Open one, with a reason; it ends after fifteen minutes.",
)
THING_NOT_FOUND = NotFound("thing_not_found", "The member has no such photo or picture.")


async def open_for(tx: RegistrarTx, user_id: str, reason: str) -> Glass:
    """Open this member's things to the admin of the transaction. Raises NotFound."""
    admin = await trail.actor_of(tx)
    subject = await trail.subject_of(tx, user_id)
    if subject is None or admin.id is None:
        raise MEMBER_NOT_FOUND
    glass_id = uuid4()
    await repository.open_glass(tx, user_id, glass_id, admin=admin.id, subject=subject, reason=reason)
    await trail.note_about(tx, user_id, Action.GLASS_BROKEN, glass=glass_id)
    log.warning("break_glass.opened", glass=str(glass_id))
    opened = await repository.glass(tx, glass_id)
    assert opened is not None, "just made"
    return opened


async def newest(tx: RegistrarTx) -> list[Glass]:
    """The latest looks of all admins."""
    return await repository.glasses(tx, NEWEST)


async def end(tx: RegistrarTx, glass_id: UUID) -> None:
    """End a look before its time; any admin may. Raises NotFound."""
    found = await repository.glass(tx, glass_id)
    if found is None or not await repository.end_glass(tx, glass_id):
        raise NOT_OPEN
    await trail.note_about(tx, found.user_id, Action.GLASS_ENDED, glass=glass_id)


async def openings(tx: UserTx) -> list[Opening]:
    """Who looked at this member's things, when, why, and at what; newest first."""
    found, views = await repository.own_glasses(tx), await repository.own_views(tx)
    return [Opening(glass, [view for view in views if view.glass_id == glass.id]) for glass in found]


@dataclass(frozen=True)
class Looking:
    """An admin looking through a glass. `admin` is their audit subject."""

    db: StudioDatabase
    objects: ObjectStore
    admin: UUID

    async def listed(self, glass_id: UUID) -> list[Thing]:
        """What there is to look at, newest first; no words. Raises NotFound."""
        async with self.db.glass(glass_id, self.admin) as tx:
            await self._noted(tx, Action.GLASS_LISTED, "list", None)
            found = [Thing("photo", *row) for row in await photos.listed(tx)]
            found += [Thing("picture", *row) for row in await pictures.listed(tx)]
        return sorted(found, key=lambda thing: thing.created_at, reverse=True)

    async def opened(self, glass_id: UUID, kind: ThingKind, thing_id: UUID) -> bytes:
        """The file of one photo or picture. Raises NotFound and KitError."""
        async with self.db.glass(glass_id, self.admin) as tx:
            if await repository.through(tx) is None:
                raise NOT_OPEN
            key = await (photos if kind == "photo" else pictures).key_of(tx, thing_id)
            if key is None:
                raise THING_NOT_FOUND
            await self._noted(tx, Action.GLASS_USED, kind, thing_id)
        return await self.objects.get(key)

    async def _noted(self, tx: GlassTx, action: Action, kind: str, thing_id: UUID | None) -> None:
        whose = await repository.through(tx)
        if whose is None:
            raise NOT_OPEN
        await repository.viewed(tx, whose.user_id, kind, thing_id)
        by = Actor("admin", whose.admin)
        await trail.note_through_glass(
            tx, whose.subject, action, by, glass=tx.glass_id, kind=kind, thing=thing_id
        )
