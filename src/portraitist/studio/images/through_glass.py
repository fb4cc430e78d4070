"""What an admin's break-glass shows of pictures: that they are there, and their files; no words."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.db import GlassTx


async def listed(tx: GlassTx) -> list[tuple[UUID, int, int, datetime]]:
    """Id, size and time of each, deleted ones too."""
    cursor = await tx.conn.execute("select id, width, height, created_at from ai_images")
    return [(row["id"], row["width"], row["height"], row["created_at"]) for row in await cursor.fetchall()]


async def key_of(tx: GlassTx, image_id: UUID) -> str | None:
    """Where the file lies; None where there is no such picture, or it does not show."""
    found = await tx.value("select object_key from ai_images where id = %s", (image_id,))
    return None if found is None else str(found)
