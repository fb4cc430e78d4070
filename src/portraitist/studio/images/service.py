"""Storing and finding pictures.

A picture is put under a key that its generation and index decide, create-only, and then entered: doing it twice
gives one file and one row. An address of the provider is never stored here.
"""

import asyncio
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.kit.objects import ObjectExists, ObjectMissing, ObjectStore
from portraitist.studio import pictures
from portraitist.studio.db import UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.images import repository
from portraitist.studio.images.domain import Image
from portraitist.studio.pictures import Picture


def object_key(user_id: str, generation_id: UUID, index: int) -> str:
    """Where a picture lies; known before it exists, so that a second try finds the first one's file."""
    return f"members/{user_id}/generations/{generation_id}/{index}.png"


async def kept(objects: ObjectStore, key: str) -> Picture | None:
    """The picture that is stored under its key already."""
    try:
        data = await objects.get(key)
    except ObjectMissing:
        return None
    return await asyncio.to_thread(pictures.read, data)


async def keep(objects: ObjectStore, key: str, picture: Picture) -> Picture:
    """Store the file for good; where it is there already, that one counts."""
    try:
        await objects.put_new(key, picture.data)
    except ObjectExists:
        return await asyncio.to_thread(pictures.read, await objects.get(key))
    return picture


async def enter(tx: UserTx, generation_id: UUID, index: int, picture: Picture, now: datetime) -> None:
    """The row of a picture that is stored."""
    image = Image(
        user_id=tx.user_id,
        id=uuid4(),
        generation_id=generation_id,
        index=index,
        object_key=object_key(tx.user_id, generation_id, index),
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        saved=False,
        created_at=now,
    )
    await repository.insert(tx, image)


async def of_generations(tx: UserTx, generation_ids: list[UUID]) -> dict[UUID, list[Image]]:
    """Pictures by generation."""
    found: dict[UUID, list[Image]] = {generation_id: [] for generation_id in generation_ids}
    for image in await repository.of_generations(tx, generation_ids):
        found[image.generation_id].append(image)
    return found


async def page(tx: UserTx, before: tuple[datetime, UUID] | None, limit: int) -> list[Image]:
    """Pictures of the member, newest first."""
    return await repository.page(tx, before, limit)


async def get(tx: UserTx, image_id: UUID) -> Image:
    """One picture of the member; raises NotFound."""
    image = await repository.get(tx, image_id)
    if image is None:
        raise NotFound("image_not_found", "There is no such picture.")
    return image
