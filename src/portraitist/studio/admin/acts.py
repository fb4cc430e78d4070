"""An admin's exceptional acts on a member where more than one slice takes part: erasing them, ending a hold, a look."""

from datetime import datetime

from portraitist.studio.accounts import admission
from portraitist.studio.db import StudioDatabase
from portraitist.studio.http import Core
from portraitist.studio.oversight import holds
from portraitist.studio.oversight.domain import Hold
from portraitist.studio.oversight.glass import Looking
from portraitist.studio.privacy import service as privacy
from portraitist.studio.privacy.service import Begun
from portraitist.studio.trail import service as trail


async def erase(db: StudioDatabase, by: str | None, user_id: str, token: str | None, now: datetime) -> Begun:
    """Erase a member as they could themselves: the same way, the same receipt. Raises NotFound and Conflict."""
    async with db.registrar(by) as registrar:
        await admission.check_erasable(registrar, user_id)
        actor = await trail.actor_of(registrar)
    async with db.member(user_id) as tx:
        return await privacy.erase_account(tx, token, now, actor)


async def release(db: StudioDatabase, by: str | None, user_id: str, now: datetime) -> Hold:
    """End the hold; an erasure that waited goes on at once. Raises NotFound."""
    async with db.registrar(by) as registrar:
        hold = await holds.release(registrar, user_id)
    async with db.member(user_id) as tx:
        await privacy.resume(tx, now)
    return hold


async def looking(core: Core, admin: str) -> Looking:
    """This admin, looking through the glasses that they opened."""
    async with core.db.registrar(admin) as tx:
        subject = await trail.subject_of(tx, admin)
    assert subject is not None, "whoever is signed in is there"
    return Looking(core.db, core.objects, subject)
