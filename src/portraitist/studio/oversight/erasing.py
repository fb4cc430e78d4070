"""What an erasure needs of oversight: removing the member's rows, as far as no hold forbids it."""

from portraitist.studio.db import UserTx
from portraitist.studio.oversight import repository


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row but a hold that holds, which keeps the member; how many of each table."""
    return await repository.remove(tx)
