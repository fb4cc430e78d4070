"""What an erasure needs of the photoshoot: no set goes on, and removing rows. Their pictures are the images'."""

from portraitist.studio.db import UserTx


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return {
        "photo_set_items": await tx.run("delete from photo_set_items"),
        "photo_sets": await tx.run("delete from photo_sets"),
    }
