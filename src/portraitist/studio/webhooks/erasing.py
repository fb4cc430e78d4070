"""What an erasure needs of webhooks: forgetting that any came."""

from portraitist.studio.db import UserTx


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many."""
    return {"webhook_deliveries": await tx.run("delete from webhook_deliveries")}
