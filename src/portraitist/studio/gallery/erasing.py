"""What an erasure needs of the gallery: removing albums and what lies in them."""

from portraitist.studio.db import UserTx


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return {
        "album_images": await tx.run("delete from album_images"),
        "albums": await tx.run("delete from albums"),
    }
