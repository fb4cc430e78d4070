"""The one writer of `selfies`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import DueRow, SystemTx, UserTx

COLUMNS = """user_id, id, consent_id, file_name, source_sha256, status, reason_code, reason, object_key, sha256, width,
    height, dhash, created_at, mean_luma, warmth, ground, face_share"""


@dataclass(frozen=True)
class Selfie:
    """One row of `selfies`: a photo that was judged, accepted or not."""

    user_id: str
    id: UUID
    consent_id: UUID
    file_name: str
    source_sha256: bytes
    status: str
    reason_code: str | None
    reason: str | None
    object_key: str | None
    sha256: bytes | None
    width: int | None
    height: int | None
    dhash: int | None
    created_at: datetime
    mean_luma: float | None = None
    warmth: float | None = None
    ground: bytes | None = None
    face_share: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether a training may use it."""
        return self.status == "accepted"

    @property
    def waits(self) -> bool:
        """Whether its faces are still to be counted."""
        return self.status == "waiting"


async def lock(tx: UserTx) -> None:
    """Make the member's other uploads wait until this transaction ends."""
    await tx.run("select pg_advisory_xact_lock(hashtextextended('selfies ' || %s, 0))", (tx.user_id,))


async def insert(tx: UserTx, selfie: Selfie) -> None:
    """Keep a judged photo."""
    await tx.run(
        """insert into selfies (user_id, id, consent_id, file_name, source_sha256, status, reason_code, reason,
               object_key, sha256, width, height, dhash, created_at, mean_luma, warmth, ground, face_share)
           values (%(user_id)s, %(id)s, %(consent_id)s, %(file_name)s, %(source_sha256)s, %(status)s,
               %(reason_code)s, %(reason)s, %(object_key)s, %(sha256)s, %(width)s, %(height)s, %(dhash)s,
               %(created_at)s, %(mean_luma)s, %(warmth)s, %(ground)s, %(face_share)s)""",
        vars(selfie),
    )


async def all_of(tx: UserTx) -> list[Selfie]:
    """Every photo of the member, in the order they came."""
    return await tx.all(Selfie, f"select {COLUMNS} from selfies order by created_at, id")  # noqa: S608


async def get(tx: UserTx, selfie_id: UUID) -> Selfie | None:
    """One photo of the member."""
    return await tx.maybe(Selfie, f"select {COLUMNS} from selfies where id = %s", (selfie_id,))  # noqa: S608


async def by_digest(tx: UserTx, source_sha256: bytes) -> Selfie | None:
    """The photo with these uploaded bytes."""
    return await tx.maybe(
        Selfie,
        f"select {COLUMNS} from selfies where source_sha256 = %s",  # noqa: S608
        (source_sha256,),
    )


async def waiting(tx: SystemTx, limit: int) -> list[DueRow]:
    """Photos whose faces are to be counted, of all members; in no order, so that none stands before others for ever."""
    return await tx.all(
        DueRow,
        "select id, user_id from selfies where status = 'waiting' order by random() limit %s",
        (limit,),
    )


async def settle(tx: UserTx, selfie: Selfie) -> bool:
    """Give a waiting photo its verdict; False where it has one already, or is gone."""
    changed = await tx.run(
        """update selfies set status = %(status)s, reason_code = %(reason_code)s, reason = %(reason)s,
               object_key = %(object_key)s, sha256 = %(sha256)s, dhash = %(dhash)s,
               face_share = %(face_share)s, mean_luma = %(mean_luma)s, warmth = %(warmth)s, ground = %(ground)s
           where id = %(id)s and status = 'waiting'""",
        vars(selfie),
    )
    return changed == 1


async def delete(tx: UserTx, selfie_id: UUID) -> None:
    """Forget one photo."""
    await tx.run("delete from selfies where id = %s", (selfie_id,))
