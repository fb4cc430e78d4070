"""The one writer of `legal_holds`, `break_glass` and `break_glass_views`. SQL only."""

from dataclasses import dataclass
from uuid import UUID

from portraitist.studio.db import GlassTx, RegistrarTx, UserTx
from portraitist.studio.oversight.domain import Glass, Hold, View

HOLD = "user_id, id, reason, placed_at, released_at"
GLASS = "user_id, id, admin, reason, opened_at, ends_at, ended_at"


@dataclass(frozen=True)
class Through:
    """Whose things an open glass shows, and to whom."""

    user_id: str
    admin: UUID
    subject: UUID


async def lock_member(tx: RegistrarTx, user_id: str) -> bool:
    """Whether there is this member, kept for the transaction: what erases them waits, or is waited for."""
    return await tx.value("select 1 as there from users where id = %s for update", (user_id,)) is not None


async def is_held(tx: UserTx) -> bool:
    """Whether the member of this transaction is held."""
    return bool(
        await tx.value(
            "select exists (select from legal_holds where released_at is null and user_id = %s)",
            (tx.user_id,),
        )
    )


async def hold_of(tx: RegistrarTx, user_id: str) -> Hold | None:
    """The hold that a member is under."""
    return await tx.maybe(
        Hold,
        f"select {HOLD} from legal_holds where user_id = %s and released_at is null",  # noqa: S608
        (user_id,),
    )


async def holds(tx: RegistrarTx) -> list[Hold]:
    """Every hold, those that were released too, newest first."""
    return await tx.all(Hold, f"select {HOLD} from legal_holds order by placed_at desc, id")  # noqa: S608


async def place(tx: RegistrarTx, user_id: str, hold_id: UUID, reason: str, by: UUID | None) -> None:
    """Begin a hold."""
    await tx.run(
        "insert into legal_holds (user_id, id, reason, placed_by) values (%s, %s, %s, %s)",
        (user_id, hold_id, reason, by),
    )


async def release(tx: RegistrarTx, hold_id: UUID, by: UUID | None) -> None:
    """End a hold."""
    await tx.run("update legal_holds set released_at = now(), released_by = %s where id = %s", (by, hold_id))


async def open_glass(
    tx: RegistrarTx, user_id: str, glass_id: UUID, *, admin: UUID, subject: UUID, reason: str
) -> None:
    """Begin a look; the database says from when until when."""
    await tx.run(
        "insert into break_glass (user_id, id, admin, subject, reason) values (%s, %s, %s, %s, %s)",
        (user_id, glass_id, admin, subject, reason),
    )


async def glass(tx: RegistrarTx, glass_id: UUID) -> Glass | None:
    """One look."""
    return await tx.maybe(Glass, f"select {GLASS} from break_glass where id = %s", (glass_id,))  # noqa: S608


async def glasses(tx: RegistrarTx, limit: int) -> list[Glass]:
    """The newest looks of all admins."""
    sql = f"select {GLASS} from break_glass order by opened_at desc, id desc limit %s"  # noqa: S608
    return await tx.all(Glass, sql, (limit,))


async def end_glass(tx: RegistrarTx, glass_id: UUID) -> bool:
    """Whether it was open; it shows nothing any more."""
    sql = "update break_glass set ended_at = now() where id = %s and ended_at is null and ends_at > now()"
    return await tx.run(sql, (glass_id,)) == 1


async def own_glasses(tx: UserTx) -> list[Glass]:
    """Every look at this member's things, newest first."""
    return await tx.all(Glass, f"select {GLASS} from break_glass order by opened_at desc, id desc")  # noqa: S608


async def own_views(tx: UserTx) -> list[View]:
    """Everything that was looked at, in order."""
    return await tx.all(View, "select glass_id, kind, thing_id, at from break_glass_views order by at, id")


async def through(tx: GlassTx) -> Through | None:
    """Whose things this transaction sees; None where the glass is not open, or another admin's."""
    return await tx.maybe(Through, "select user_id, admin, subject from break_glass")


async def viewed(tx: GlassTx, user_id: str, kind: str, thing_id: UUID | None) -> None:
    """Write down for the member what is looked at."""
    await tx.run(
        "insert into break_glass_views (user_id, glass_id, kind, thing_id) values (%s, %s, %s, %s)",
        (user_id, tx.glass_id, kind, thing_id),
    )


async def remove(tx: UserTx) -> dict[str, int]:
    """Remove every row of a member who is not held (a hold that holds keeps the member's own row); how many."""
    return {
        "break_glass_views": await tx.run("delete from break_glass_views"),
        "break_glass": await tx.run("delete from break_glass"),
        "legal_holds": await tx.run("delete from legal_holds"),
    }
