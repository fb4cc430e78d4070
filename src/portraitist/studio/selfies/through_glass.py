"""What an admin's break-glass shows of photos: the accepted ones, and their files; no file name."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.db import GlassTx


async def listed(tx: GlassTx) -> list[tuple[UUID, int, int, datetime]]:
    """Id, size and time of each that has a file."""
    cursor = await tx.conn.execute(
        "select id, width, height, created_at from selfies where object_key is not null"
    )
    return [(row["id"], row["width"], row["height"], row["created_at"]) for row in await cursor.fetchall()]


async def key_of(tx: GlassTx, selfie_id: UUID) -> str | None:
    """Where the file lies; None where there is no such photo, or it does not show."""
    found = await tx.value(
        "select object_key from selfies where id = %s and object_key is not null", (selfie_id,)
    )
    return None if found is None else str(found)
