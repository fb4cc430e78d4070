"""The one writer of `ai_images`. SQL only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.images.domain import Image

COLUMNS = "user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved, created_at"


async def insert(tx: UserTx, image: Image) -> None:
    """Enter a stored picture; the same picture of the same generation is entered once."""
    await tx.run(
        """insert into ai_images (user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved,
               created_at)
           values (%(user_id)s, %(id)s, %(generation_id)s, %(index)s, %(object_key)s, %(sha256)s, %(width)s,
               %(height)s, %(bytes)s, %(saved)s, %(created_at)s)
           on conflict (generation_id, index) do nothing""",
        vars(image),
    )


async def of_generations(tx: UserTx, generation_ids: Sequence[UUID]) -> list[Image]:
    """The pictures of some generations, in order."""
    return await tx.all(
        Image,
        f"select {COLUMNS} from ai_images where generation_id = any(%s) order by generation_id, index",  # noqa: S608
        (list(generation_ids),),
    )


async def get(tx: UserTx, image_id: UUID) -> Image | None:
    """One picture of the member."""
    return await tx.maybe(Image, f"select {COLUMNS} from ai_images where id = %s", (image_id,))  # noqa: S608


async def page(tx: UserTx, before: tuple[datetime, UUID] | None, limit: int) -> list[Image]:
    """Pictures, newest first, older than `before` (time and id of the last one seen)."""
    if before is None:
        return await tx.all(
            Image,
            f"select {COLUMNS} from ai_images order by created_at desc, id desc limit %s",  # noqa: S608
            (limit,),
        )
    return await tx.all(
        Image,
        f"""select {COLUMNS} from ai_images where (created_at, id) < (%s, %s)
            order by created_at desc, id desc limit %s""",  # noqa: S608
        (*before, limit),
    )
