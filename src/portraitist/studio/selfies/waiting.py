"""Photos that wait for their faces to be counted: asked for again until the operator's service answers.

The verdict is stored first, by whoever comes first, and the file of a photo that is turned away goes after it.
"""

from dataclasses import dataclass, replace

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectMissing, ObjectStore
from portraitist.studio.db import DueRow, StudioDatabase
from portraitist.studio.selfies import domain, repository
from portraitist.studio.selfies.domain import Code, Rejected
from portraitist.studio.selfies.faces import FaceCounter, FacesUnknown
from portraitist.studio.selfies.repository import Selfie

log = logger(__name__)
AT_ONCE = 50
ENOUGH = 3


@dataclass(frozen=True)
class WaitingPhotos:
    """Safe to run in every worker at once."""

    db: StudioDatabase
    objects: ObjectStore
    faces: FaceCounter | None
    clock: Clock

    async def sweep(self) -> int:
        """Ask again for the photos that wait; returns how many have got their verdict.

        Without a service they go on waiting: an operator who takes it away decides nothing about photos by that.
        """
        if self.faces is None:
            return 0
        async with self.db.system() as tx:
            due = await repository.waiting(tx, AT_ONCE)
        done, unknown = 0, 0
        for row in due:
            try:
                done += await self._judge(row, self.faces)
            except FacesUnknown as exc:
                log.warning("selfies.faces_unknown", selfie=str(row.id), reason=str(exc))
                unknown += 1
                if unknown == ENOUGH:  # the others would meet the same
                    break
        return done

    async def _judge(self, row: DueRow, faces: FaceCounter) -> bool:
        async with self.db.member(row.user_id) as tx:
            selfie = await repository.get(tx, row.id)
        if selfie is None or selfie.object_key is None or not selfie.waits:
            return False
        try:
            found = await faces.count(await self.objects.get(selfie.object_key))
            verdict, share = domain.judge_faces(found.number), found.share
        except ObjectMissing:
            verdict, share = domain.refusal(Code.UNREADABLE), None
        async with self.db.member(row.user_id) as tx:
            settled = await repository.settle(tx, _settled(selfie, verdict, share))
        if settled and isinstance(verdict, Rejected):
            await self.objects.delete(selfie.object_key)
        return settled


def _settled(selfie: Selfie, verdict: domain.Verdict, share: float | None) -> Selfie:
    if not isinstance(verdict, Rejected):
        return replace(selfie, status="accepted", face_share=share)
    return replace(
        selfie,
        status="rejected",
        reason_code=verdict.code.value,
        reason=verdict.message,
        object_key=None,
        sha256=None,
        dhash=None,
        mean_luma=None,
        warmth=None,
        ground=None,
    )
