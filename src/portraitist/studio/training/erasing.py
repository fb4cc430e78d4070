"""What an erasure needs of trainings: stopping them, what is left of them at the provider, and removing their rows.

Files are removed by the erasure itself, by the member's folder.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.training import service
from portraitist.studio.training.repository import ENDED_LISTED


@dataclass(frozen=True)
class AtProvider:
    """What a training left there: its destination, the zip of its photos, and the tokens that its runs carry."""

    account_id: str
    destination: str
    file_id: str | None
    tokens: list[str]
    runs: int


async def stop_all(tx: UserTx, now: datetime) -> int:
    """Ask for the end of every training that has not ended; returns how many those are."""
    cursor = await tx.conn.execute(
        f"""select id, cancel_requested_at from trainings
           where status not in ({ENDED_LISTED}) order by id"""  # noqa: S608  # our own words
    )
    moving = await cursor.fetchall()
    for row in moving:
        if row["cancel_requested_at"] is None:
            await service.cancel(tx, UUID(str(row["id"])), now)
    return len(moving)


async def at_provider(tx: UserTx) -> list[AtProvider]:
    """What the provider may hold of this member's trainings: a model is made before a start is sent."""
    return await tx.all(
        AtProvider,
        """select account_id, destination, photos_file_id as file_id,
               past_tokens || array_remove(array[submit_token, webhook_token], null) as tokens,
               (provider_training_id is not null)::int + (verify_prediction_id is not null)::int
                   + cardinality(past_tests) as runs
           from trainings order by created_at""",
    )


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row; how many of each table."""
    return {
        "user_models": await tx.run("delete from user_models"),
        "model_versions": await tx.run("delete from model_versions"),
        "weights_archives": await tx.run("delete from weights_archives"),
        "training_selfies": await tx.run("delete from training_selfies"),
        "trainings": await tx.run("delete from trainings"),
    }


async def is_training(tx: UserTx) -> bool:
    """Whether a training is on its way that may still need its photos."""
    return bool(
        await tx.value(
            """select exists (select from trainings where status in ('queued', 'submitting', 'submitted', 'training'))
               as found"""
        )
    )


async def photos_used(tx: UserTx) -> list[UUID]:
    """The photos, of those still there, that completed trainings were made of."""
    cursor = await tx.conn.execute(
        """select distinct s.selfie_id as id from training_selfies s join trainings t on t.id = s.training_id
           where t.status = 'completed' and s.selfie_id is not null"""
    )
    return [row["id"] for row in await cursor.fetchall()]


async def version_ids(tx: UserTx) -> list[UUID]:
    """Every version of the member's model that is not erased."""
    cursor = await tx.conn.execute("select id from model_versions where erased_at is null order by id")
    return [row["id"] for row in await cursor.fetchall()]


async def hide_version(tx: UserTx, version_id: UUID, now: datetime) -> None:
    """From here on nothing can be made with this version, nor can it be gone back to."""
    await tx.run(
        """update user_models set active_version_id = null, replicate_model_id = null, replicate_version_id = null,
               updated_at = %s where active_version_id = %s""",
        (now, version_id),
    )
    await tx.run("update model_versions set erased_at = %s where id = %s", (now, version_id))


async def remove_version(tx: UserTx, training_id: UUID) -> dict[str, int]:
    """Remove what is known of a version but its name, with what its training said; how many rows went whole."""
    await tx.run("update model_versions set input_schema = '{}' where training_id = %s", (training_id,))
    await tx.run(
        "update trainings set logs_tail = '', raw_output = null, candidate_schema = null where id = %s",
        (training_id,),
    )
    gone = await tx.run("delete from weights_archives where training_id = %s", (training_id,))
    return {"weights_archives": gone}
