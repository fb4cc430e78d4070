"""What an erasure needs of pictures: taking one out of reach at once, and removing rows. Files are the erasure's."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.images import repository
from portraitist.studio.images.domain import Image


async def begin(tx: UserTx, image_id: UUID, now: datetime) -> Image | None:
    """From here on the picture can't be seen nor had back, though it may have been deleted before."""
    await repository.delete(tx, [image_id], now)
    found = await repository.begin_purge(tx, [image_id], now, now)
    return found[0] if found else None


async def ids(tx: UserTx) -> list[UUID]:
    """Every picture of the member's, deleted ones too."""
    cursor = await tx.conn.execute("select id from ai_images order by id")
    return [row["id"] for row in await cursor.fetchall()]


async def remove_one(tx: UserTx, image_id: UUID) -> None:
    """Remove the row of a picture whose file is gone."""
    await repository.forget(tx, image_id)


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many."""
    return {"ai_images": await tx.run("delete from ai_images")}
