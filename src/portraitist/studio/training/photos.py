"""The photos' way to the provider: packed into a zip, by our own short-lived link or by the provider's Files API.

Nothing here decides when; see `tasks`.
"""

import io
import secrets
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from portraitist.kit import failpoints
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.db import StudioDatabase
from portraitist.studio.links import LinkSigner
from portraitist.studio.provider.port import Provider
from portraitist.studio.selfies import service as selfies
from portraitist.studio.training import repository
from portraitist.studio.training.domain import PackedPhotos, Training

LINK_TTL = timedelta(hours=24)  # a queued start may wait long; the link is useless once the zip is deleted


class PhotosGone(Exception):
    """None of the training's photos exists any more."""


@dataclass(frozen=True)
class PhotoCourier:
    """Packs and hands over a training's photos."""

    db: StudioDatabase
    objects: ObjectStore
    links: LinkSigner

    async def pack(self, training: Training, provider: Provider) -> PackedPhotos:
        """Make the zip of a new attempt available to the provider. Raises PhotosGone."""
        token = secrets.token_hex(16)
        key = f"{_folder(training.user_id, training.id)}/photos-{token}.zip"
        data = await self._zip(training)
        try:
            await self.objects.put_new(key, data)
        except ObjectExists as exc:
            raise AssertionError("a fresh 128-bit token was used before") from exc
        failpoints.hit("photos.stored")
        url = await self.objects.signed_url(key, LINK_TTL) or self.links.url_for(key, LINK_TTL)
        if url is not None:
            return PackedPhotos(token, key, url, None)
        file = await provider.upload_file("photos.zip", data, "application/zip")
        failpoints.hit("photos.uploaded")
        return PackedPhotos(file.id, key, file.url, file.id)

    async def throw_away(self, packed: PackedPhotos, provider: Provider) -> None:
        """Delete the zip of an attempt that never began, and only that one."""
        await self.objects.delete(packed.key)
        if packed.file_id is not None:
            await provider.delete_file(packed.file_id)

    async def clear_away(self, training: Training, provider: Provider) -> None:
        """Delete every zip of this training here, those of broken-off attempts too, and the one at the provider."""
        await delete_zips(self.objects, training.user_id, training.id)
        if training.photos_file_id is not None:
            await provider.delete_file(training.photos_file_id)

    async def _zip(self, training: Training) -> bytes:
        async with self.db.member(training.user_id) as tx:
            wanted = set(await repository.selfies_of(tx, training.id))
            photos = [photo for photo in await selfies.accepted(tx) if photo.id in wanted]
        if not photos:
            raise PhotosGone
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for number, photo in enumerate(photos):
                assert photo.object_key is not None, "accepted photos have a file"
                data = await self.objects.get(photo.object_key)
                # a fixed time: the same photos give the same zip
                archive.writestr(zipfile.ZipInfo(f"{number:02}.jpg", (2020, 1, 1, 0, 0, 0)), data)
        return buffer.getvalue()


async def delete_zips(objects: ObjectStore, user_id: str, training_id: UUID) -> int:
    """Delete every zip of a training that we hold; returns how many there were."""
    keys = await objects.list(_folder(user_id, training_id))
    zips = [key for key in keys if key.rpartition("/")[2].startswith("photos-")]
    for key in zips:
        await objects.delete(key)
    return len(zips)


def _folder(user_id: str, training_id: UUID) -> str:
    return f"members/{user_id}/trainings/{training_id}"
