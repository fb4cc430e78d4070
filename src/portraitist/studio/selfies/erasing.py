"""What an erasure, and the timer, need of photos: their files, removing their rows and those of uploads.

Files are removed by whoever asks.
"""

from collections.abc import Sequence
from uuid import UUID

from portraitist.studio.db import UserTx


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return {
        "uploads": await tx.run("delete from uploads"),
        "selfies": await tx.run("delete from selfies"),
    }


async def files(tx: UserTx, photo_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The keys of the files of these photos, by photo."""
    cursor = await tx.conn.execute(
        "select id, object_key from selfies where id = any(%s) and object_key is not null", (list(photo_ids),)
    )
    return {row["id"]: row["object_key"] for row in await cursor.fetchall()}


async def forget(tx: UserTx, photo_ids: Sequence[UUID]) -> None:
    """Remove the rows of photos whose files are gone; trainings keep their digests."""
    await tx.run("delete from selfies where id = any(%s)", (list(photo_ids),))
