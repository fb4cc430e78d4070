"""The one writer of `preview_timers`. SQL only."""

from portraitist.studio.db import UserTx
from portraitist.studio.privacy.timers import PreviewTimer


async def get(tx: UserTx) -> PreviewTimer | None:
    """What is announced to the member."""
    return await tx.maybe(PreviewTimer, "select made_until, announced_at, strikes_at from preview_timers")


async def save(tx: UserTx, timer: PreviewTimer) -> bool:
    """Announce, unless something is announced already; whether it was done now."""
    return (
        await tx.run(
            """insert into preview_timers (user_id, made_until, announced_at, strikes_at)
               values (%s, %s, %s, %s) on conflict do nothing""",
            (tx.user_id, timer.made_until, timer.announced_at, timer.strikes_at),
        )
        == 1
    )


async def remove(tx: UserTx) -> dict[str, int]:
    """Nothing is announced any more; how many rows."""
    return {"preview_timers": await tx.run("delete from preview_timers")}
