"""What an erasure needs of generations: stopping them, how many the provider made, and removing their rows."""

from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.generation import service
from portraitist.studio.generation.repository import ENDED_LISTED


async def stop_all(tx: UserTx, now: datetime, version_id: UUID | None = None) -> int:
    """Ask for the end of every generation (of this version) that has not ended; returns how many those are."""
    cursor = await tx.conn.execute(
        f"""select id, cancel_requested_at from generation_trackers
           where status not in ({ENDED_LISTED})
               and (%(version)s::uuid is null or model_version_id = %(version)s) order by id""",  # noqa: S608  # our own words
        {"version": version_id},
    )
    moving = await cursor.fetchall()
    for row in moving:
        if row["cancel_requested_at"] is None:
            await service.cancel(tx, UUID(str(row["id"])), now)
    return len(moving)


async def runs(tx: UserTx) -> int:
    """How many predictions the provider made for this member."""
    return int(
        await tx.value(
            "select count(*) as n from generation_trackers where provider_prediction_id is not null"
        )
    )


async def is_over(tx: UserTx, generation_id: UUID) -> bool:
    """Whether no worker can bring pictures of this generation any more."""
    return bool(
        await tx.value(
            f"""select status in ({ENDED_LISTED}) as over
               from generation_trackers where id = %s""",  # noqa: S608  # our own words
            (generation_id,),
        )
    )


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many."""
    return {"generation_trackers": await tx.run("delete from generation_trackers")}
