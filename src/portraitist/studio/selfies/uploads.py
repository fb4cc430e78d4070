"""Photos that come in pieces, so that a line that breaks costs one piece and not the photo.

A piece is kept under the place where it begins and then counted; a photo that is whole is judged like any other. What
is never finished goes when its time is over. No piece is ever opened here.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from portraitist.kit.clock import Clock
from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import StudioDatabase
from portraitist.studio.errors import BadInput, Conflict, NotFound, Unprocessable
from portraitist.studio.selfies import repository, repository_uploads
from portraitist.studio.selfies.domain import Limits
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.selfies.repository_uploads import Upload
from portraitist.studio.selfies.service import SelfieService, check_room, clean_name

log = logger(__name__)
LIVES = timedelta(hours=24)
MOST_OPEN = 20
"""As many as photos go at once: 600 MB of one member at most are on their way."""
MOST_IN_A_PIECE = 8 * 2**20
AT_ONCE = 200


@dataclass(frozen=True)
class Uploads:
    """Takes pieces in; shares the process's service for photos."""

    db: StudioDatabase
    objects: ObjectStore
    selfies: SelfieService

    async def begin(self, user_id: str, file_name: str, length: int, now: datetime) -> Upload:
        """A place for a photo of so many bytes. Raises Unprocessable without consent or room, BadInput for a length."""
        if not 1 <= length <= Limits.max_bytes:
            raise BadInput(
                "upload_too_large",
                f"A photo has 1 to {Limits.max_bytes // 10**6} million bytes.",
                next_step="Save a smaller copy and send that.",
            )
        async with self.db.member(user_id) as tx:
            await repository.lock(tx)
            consent = await accounts.require_consent(tx)
            check_room(await repository.all_of(tx))
            if len(await repository_uploads.all_of(tx)) >= MOST_OPEN:
                raise Unprocessable(
                    "too_many_uploads",
                    f"{MOST_OPEN} photos are on their way already.",
                    next_step="Finish them or give some up.",
                )
            upload = Upload(user_id, uuid4(), consent, clean_name(file_name), length, 0, now, now + LIVES)
            await repository_uploads.insert(tx, upload)
        return upload

    async def see(self, user_id: str, upload_id: UUID) -> Upload:
        """How far a photo has come; raises NotFound."""
        async with self.db.member(user_id) as tx:
            upload = await repository_uploads.get(tx, upload_id)
        if upload is None:
            raise NotFound("upload_not_found", "There is no such photo on its way.", next_step="Begin anew.")
        return upload

    async def take(
        self, user_id: str, upload_id: UUID, offset: int, piece: bytes, now: datetime
    ) -> tuple[Upload, Selfie | None]:
        """Take the piece that begins at `offset`; with the last one comes the verdict on the photo.

        Raises NotFound, Conflict (`upload_offset`) for another place than where it stopped, and BadInput
        (`upload_too_long`) for more bytes than were announced.
        """
        upload = await self.see(user_id, upload_id)
        if upload.expires_at <= now:
            await self._forget(upload)
            raise NotFound("upload_not_found", "There is no such photo on its way.", next_step="Begin anew.")
        if offset != upload.received:
            raise _elsewhere(upload)
        if offset + len(piece) > upload.length:
            raise BadInput(
                "upload_too_long",
                "More bytes than were announced.",
                next_step="Begin anew with the right length.",
            )
        if piece:
            upload = await self._kept(upload, piece)
        if upload.received < upload.length:
            return upload, None
        selfie = await self.selfies.add(user_id, upload.file_name, await self._whole(upload), now)
        await self._forget(upload)
        return upload, selfie

    async def give_up(self, user_id: str, upload_id: UUID) -> None:
        """Forget a photo on its way, and its pieces. Raises NotFound."""
        await self._forget(await self.see(user_id, upload_id))

    async def _kept(self, upload: Upload, piece: bytes) -> Upload:
        key = f"{upload.folder}/{upload.received}"
        try:
            await self.objects.put_new(key, piece)
        except ObjectExists:  # of a request that was cut off before it was counted
            await self.objects.delete(key)
            await self.objects.put_new(key, piece)
        received = upload.received + len(piece)
        async with self.db.member(upload.user_id) as tx:
            if not await repository_uploads.advance(tx, upload, received):
                raise _elsewhere(upload)
        return replace(upload, received=received)

    async def _whole(self, upload: Upload) -> bytes:
        keys = await self.objects.list(upload.folder)
        pieces = sorted(keys, key=lambda key: int(key.rpartition("/")[2]))
        whole = b"".join([await self.objects.get(key) for key in pieces])
        if len(whole) != upload.length:  # two requests sent the same piece at once
            await self._forget(upload)
            raise Conflict("upload_broken", "The pieces do not fit together.", next_step="Begin anew.")
        return whole

    async def _forget(self, upload: Upload) -> None:
        await forget(self.db, self.objects, upload)


async def forget(db: StudioDatabase, objects: ObjectStore, upload: Upload) -> None:
    """Pieces first: a row without pieces is found again, pieces without a row are not."""
    for key in await objects.list(upload.folder):
        await objects.delete(key)
    async with db.member(upload.user_id) as tx:
        await repository_uploads.delete(tx, upload.id)


async def clear_old(db: StudioDatabase, objects: ObjectStore, clock: Clock) -> int:
    """Forget what was never finished; returns how many. Safe to run in every worker."""
    async with db.system() as tx:
        due = await repository_uploads.over(tx, clock.now(), AT_ONCE)
    for row in due:
        async with db.member(row.user_id) as member:
            upload = await repository_uploads.get(member, row.id)
        if upload is not None:
            await forget(db, objects, upload)
            log.info("upload.forgotten", upload_id=str(row.id))
    return len(due)


def _elsewhere(upload: Upload) -> Conflict:
    return Conflict(
        "upload_offset",
        f"This photo goes on at byte {upload.received}.",
        next_step="Ask how far it has come, and go on from there.",
    )
