"""Storing, finding, marking and deleting pictures.

A picture is put under a key that its generation and index decide, create-only, and then entered: doing it twice
gives one file and one row. An address of the provider is never stored here. Removing for good is in `tasks`.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from portraitist.kit.objects import ObjectExists, ObjectMissing, ObjectStore
from portraitist.studio import pictures
from portraitist.studio.db import UserTx
from portraitist.studio.errors import NotFound
from portraitist.studio.images import repository
from portraitist.studio.images.domain import UNDO_FOR, Image, Marks
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


async def enter(
    tx: UserTx,
    generation_id: UUID,
    index: int,
    picture: Picture,
    *,
    words: str,
    now: datetime,
    look: str | None = None,
) -> None:
    """The row of a picture that is stored; `words` are what it was asked for with, or the title of the `look`."""
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
        favourite=False,
        words=words,
        deleted_at=None,
        created_at=now,
        look=look,
        tint=picture.tint,
    )
    await repository.insert(tx, image)


async def of_generations(tx: UserTx, generation_ids: Sequence[UUID]) -> dict[UUID, list[Image]]:
    """Pictures by generation, those that the member has deleted too."""
    found: dict[UUID, list[Image]] = {generation_id: [] for generation_id in generation_ids}
    for image in await repository.of_generations(tx, generation_ids):
        found[image.generation_id].append(image)
    return found


async def shown(tx: UserTx, generation_ids: Sequence[UUID]) -> dict[UUID, list[Image]]:
    """Pictures by generation as the member sees them."""
    found = await of_generations(tx, generation_ids)
    return {each: [i for i in pictures if i.deleted_at is None] for each, pictures in found.items()}


async def newest_of_looks(tx: UserTx, looks: Sequence[str]) -> dict[str, Image]:
    """The newest picture that the member has of each of these looks."""
    return {
        image.look: image for image in await repository.newest_of_looks(tx, looks) if image.look is not None
    }


async def get(tx: UserTx, image_id: UUID) -> Image:
    """One picture of the member; raises NotFound."""
    image = await repository.get(tx, image_id)
    if image is None:
        raise _absent()
    return image


async def mark(tx: UserTx, image_id: UUID, marks: Marks) -> Image:
    """Save a picture, make it a favourite, or take either back; raises NotFound."""
    saved, favourite = marks.on(await get(tx, image_id))
    await repository.mark(tx, image_id, saved, favourite)
    return await get(tx, image_id)


async def save(tx: UserTx, image_ids: Sequence[UUID]) -> list[Image]:
    """Save pictures, all or none; raises NotFound."""
    return _in_order(image_ids, await repository.save(tx, image_ids))


async def delete(tx: UserTx, image_ids: Sequence[UUID], now: datetime) -> list[Image]:
    """Take pictures out of sight, all or none; they can be had back for a while. Raises NotFound."""
    return _in_order(image_ids, await repository.delete(tx, image_ids, now))


async def restore(tx: UserTx, image_ids: Sequence[UUID], now: datetime) -> list[Image]:
    """Undo: have deleted pictures back, all or none. Raises NotFound, also where it is too late."""
    return _in_order(image_ids, await repository.restore(tx, image_ids, now - UNDO_FOR))


def _in_order(image_ids: Sequence[UUID], found: list[Image]) -> list[Image]:
    by_id = {image.id: image for image in found}
    if set(by_id) != set(image_ids):
        raise _absent()
    return [by_id[image_id] for image_id in dict.fromkeys(image_ids)]


def _absent() -> NotFound:
    return NotFound(
        "image_not_found",
        "There is no such picture.",
        next_step="Look at your pictures (GET /api/v1/images); a deleted one can be had back for seven days.",
    )
