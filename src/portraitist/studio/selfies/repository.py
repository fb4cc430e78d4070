"""The one writer of `selfies`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx

COLUMNS = """user_id, id, consent_id, file_name, source_sha256, status, reason_code, reason, object_key, sha256, width,
    height, dhash, created_at"""


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

    @property
    def accepted(self) -> bool:
        """Whether a training may use it."""
        return self.status == "accepted"


async def insert(tx: UserTx, selfie: Selfie) -> bool:
    """Keep a judged photo; False where the same bytes were judged before."""
    return (
        await tx.run(
            """insert into selfies (user_id, id, consent_id, file_name, source_sha256, status, reason_code, reason,
               object_key, sha256, width, height, dhash, created_at)
           values (%(user_id)s, %(id)s, %(consent_id)s, %(file_name)s, %(source_sha256)s, %(status)s,
               %(reason_code)s, %(reason)s, %(object_key)s, %(sha256)s, %(width)s, %(height)s, %(dhash)s,
               %(created_at)s)
           on conflict (user_id, source_sha256) do nothing""",
            vars(selfie),
        )
        == 1
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


async def delete(tx: UserTx, selfie_id: UUID) -> None:
    """Forget one photo."""
    await tx.run("delete from selfies where id = %s", (selfie_id,))
