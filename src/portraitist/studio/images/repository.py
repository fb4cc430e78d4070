"""The one writer of `ai_images`. SQL only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import DueRow, SystemTx, UserTx
from portraitist.studio.images.domain import Image

COLUMNS = """user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved, favourite, words,
    deleted_at, created_at, look, tint, small_bytes"""


async def insert(tx: UserTx, image: Image) -> None:
    """Enter a stored picture as the transaction ends; the same picture of the same generation is entered once."""
    tx.later(
        """insert into ai_images (user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved,
               favourite, words, created_at, look, tint)
           values (%(user_id)s, %(id)s, %(generation_id)s, %(index)s, %(object_key)s, %(sha256)s, %(width)s,
               %(height)s, %(bytes)s, %(saved)s, %(favourite)s, %(words)s, %(created_at)s, %(look)s, %(tint)s)
           on conflict (generation_id, index) do nothing""",
        vars(image),
    )


async def of_generations(tx: UserTx, generation_ids: Sequence[UUID]) -> list[Image]:
    """The pictures of some generations, in order, deleted ones too."""
    return await tx.all(
        Image,
        f"select {COLUMNS} from ai_images where generation_id = any(%s) order by generation_id, index",  # noqa: S608
        (list(generation_ids),),
    )


async def newest_of_looks(tx: UserTx, looks: Sequence[str]) -> list[Image]:
    """The newest picture of each look, as far as there is one; each is the first of an index."""
    return await tx.all(
        Image,
        f"""select newest.* from unnest(%s::text[]) as l (wanted) cross join lateral (
                select {COLUMNS} from ai_images where look = l.wanted and deleted_at is null
                order by created_at desc, id desc limit 1) as newest""",  # noqa: S608
        (list(looks),),
    )


async def get(tx: UserTx, image_id: UUID) -> Image | None:
    """One picture of the member that is not deleted."""
    return await tx.maybe(
        Image,
        f"select {COLUMNS} from ai_images where id = %s and deleted_at is null",  # noqa: S608
        (image_id,),
    )


async def mark(tx: UserTx, image_id: UUID, saved: bool, favourite: bool) -> None:
    """Store what the member says of a picture."""
    await tx.run(
        "update ai_images set saved = %s, favourite = %s where id = %s", (saved, favourite, image_id)
    )


async def save(tx: UserTx, image_ids: Sequence[UUID]) -> list[Image]:
    """Mark pictures as saved; returns those, in no order."""
    return await tx.all(
        Image,
        f"update ai_images set saved = true where id = any(%s) and deleted_at is null returning {COLUMNS}",  # noqa: S608
        (list(image_ids),),
    )


async def delete(tx: UserTx, image_ids: Sequence[UUID], now: datetime) -> list[Image]:
    """Take pictures out of sight; returns those, in no order. What is deleted already is returned as it is."""
    return await tx.all(
        Image,
        f"""update ai_images set deleted_at = coalesce(deleted_at, %s)
            where id = any(%s) and purging_at is null returning {COLUMNS}""",  # noqa: S608
        (now, list(image_ids)),
    )


async def restore(tx: UserTx, image_ids: Sequence[UUID], deleted_after: datetime) -> list[Image]:
    """Have deleted pictures back, but for those whose removal has begun; what was never deleted stays as it is."""
    return await tx.all(
        Image,
        f"""update ai_images set deleted_at = null
            where id = any(%s) and purging_at is null and (deleted_at is null or deleted_at > %s)
            returning {COLUMNS}""",  # noqa: S608
        (list(image_ids), deleted_after),
    )


async def deleted_before(tx: SystemTx, cutoff: datetime, limit: int) -> list[DueRow]:
    """Pictures whose time for undo is over, of all members: oldest first."""
    return await tx.all(
        DueRow,
        "select id, user_id from ai_images where deleted_at <= %s order by deleted_at limit %s",
        (cutoff, limit),
    )


async def begin_purge(tx: UserTx, image_ids: Sequence[UUID], cutoff: datetime, now: datetime) -> list[Image]:
    """From here on these can't be had back: returns those whose files are to be removed."""
    return await tx.all(
        Image,
        f"""update ai_images set purging_at = coalesce(purging_at, %s)
            where id = any(%s) and deleted_at <= %s returning {COLUMNS}""",  # noqa: S608
        (now, list(image_ids), cutoff),
    )


async def enter_small(tx: UserTx, image_id: UUID, small_bytes: int, tint: int) -> bool:
    """The picture has a small copy of so many bytes. False where it is gone, or on its way out."""
    changed = await tx.run(
        """update ai_images set small_bytes = %s, tint = coalesce(tint, %s)
           where id = %s and purging_at is null""",
        (small_bytes, tint, image_id),
    )
    return changed == 1


async def forget(tx: UserTx, image_id: UUID) -> None:
    """Remove the row of a picture whose file is gone; albums forget it with it."""
    await tx.run("delete from ai_images where id = %s and purging_at is not null", (image_id,))
