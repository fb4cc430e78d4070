"""What the timer of previews needs of pictures: whose were never saved and are old enough, and deleting those.

They can be had back for a while, as anything that was deleted.
"""

from dataclasses import dataclass
from datetime import datetime

from portraitist.studio.db import SystemTx, UserTx


@dataclass(frozen=True)
class WithPreviews:
    """A member who has previews that are old enough."""

    user_id: str


async def owners(tx: SystemTx, made_until: datetime, limit: int) -> list[WithPreviews]:
    """Members with pictures from before then that were never saved: a policy shows no others that are not deleted."""
    return await tx.all(
        WithPreviews,
        """select user_id from ai_images where deleted_at is null and created_at <= %s
           group by user_id order by min(created_at) limit %s""",
        (made_until, limit),
    )


async def delete(tx: UserTx, made_until: datetime, now: datetime) -> int:
    """Delete the member's previews from before then, as they could themselves; how many."""
    return await tx.run(
        """update ai_images set deleted_at = %s
           where not saved and not favourite and deleted_at is null and created_at <= %s""",
        (now, made_until),
    )
