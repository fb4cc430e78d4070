"""The one writer of `uploads`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import DueRow, SystemTx, UserTx

COLUMNS = "user_id, id, consent_id, file_name, length, received, created_at, expires_at"


@dataclass(frozen=True)
class Upload:
    """One row of `uploads`: a photo that comes in pieces; lengths are bytes."""

    user_id: str
    id: UUID
    consent_id: UUID
    file_name: str
    length: int
    received: int
    created_at: datetime
    expires_at: datetime

    @property
    def folder(self) -> str:
        """Where its pieces lie, each under the place where it begins."""
        return f"members/{self.user_id}/uploads/{self.id}"


async def insert(tx: UserTx, upload: Upload) -> None:
    """Enter a photo that will come."""
    await tx.run(
        """insert into uploads (user_id, id, consent_id, file_name, length, received, created_at, expires_at)
           values (%(user_id)s, %(id)s, %(consent_id)s, %(file_name)s, %(length)s, %(received)s, %(created_at)s,
               %(expires_at)s)""",
        vars(upload),
    )


async def get(tx: UserTx, upload_id: UUID) -> Upload | None:
    """One of the member's."""
    return await tx.maybe(Upload, f"select {COLUMNS} from uploads where id = %s", (upload_id,))  # noqa: S608


async def all_of(tx: UserTx) -> list[Upload]:
    """Everything that is on its way, the oldest first."""
    return await tx.all(Upload, f"select {COLUMNS} from uploads order by created_at, id")  # noqa: S608


async def advance(tx: UserTx, upload: Upload, received: int) -> bool:
    """So many bytes have come; False where another request was faster."""
    return (
        await tx.run(
            "update uploads set received = %s where id = %s and received = %s",
            (received, upload.id, upload.received),
        )
        == 1
    )


async def delete(tx: UserTx, upload_id: UUID) -> None:
    """Forget it."""
    await tx.run("delete from uploads where id = %s", (upload_id,))


async def over(tx: SystemTx, now: datetime, limit: int) -> list[DueRow]:
    """Whose time is over."""
    return await tx.all(
        DueRow,
        "select id, user_id from uploads where expires_at <= %s order by expires_at limit %s",
        (now, limit),
    )
