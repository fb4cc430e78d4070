"""What an erasure needs of notices: removing them, and where they would go."""

from portraitist.studio.db import UserTx
from portraitist.studio.notices import repository


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return await repository.remove(tx)
