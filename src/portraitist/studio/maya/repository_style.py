"""The one writer of what Maya knows and costs: `maya_styles`, `maya_memory`, `maya_usage`. SQL only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.maya.domain import Note, Role, Style

NOTE = "select id, note, source, created_at from maya_memory"


@dataclass(frozen=True)
class Used:
    """What answers took."""

    tokens: int
    cost_micros: int
    oldest: datetime | None


async def style(tx: UserTx) -> Style:
    """What the member has said of their taste; nothing where nothing was said."""
    found = await tx.maybe(Style, "select colours, settings, limits, no_go from maya_styles")
    return found or Style()


async def store_style(tx: UserTx, style: Style, now: datetime) -> None:
    """The member's taste from now on."""
    await tx.run(
        """insert into maya_styles (user_id, colours, settings, limits, no_go, changed_at)
           values (%s, %s, %s, %s, %s, %s) on conflict (user_id) do update set colours = excluded.colours,
               settings = excluded.settings, limits = excluded.limits, no_go = excluded.no_go,
               changed_at = excluded.changed_at""",
        (tx.user_id, list(style.colours), list(style.settings), style.limits, list(style.no_go), now),
    )


async def notes(tx: UserTx) -> list[Note]:
    """All that is remembered, oldest first."""
    return await tx.all(Note, f"{NOTE} order by created_at, id")


async def note(tx: UserTx, note_id: UUID) -> Note | None:
    """One note of the member."""
    return await tx.maybe(Note, f"{NOTE} where id = %s", (note_id,))


async def insert_note(tx: UserTx, note: Note) -> bool:
    """Remember; False where the very same is remembered already."""
    return (
        await tx.run(
            """insert into maya_memory (user_id, id, note, source, created_at) values (%s, %s, %s, %s, %s)
               on conflict (user_id, note) do nothing""",
            (tx.user_id, note.id, note.note, note.source, note.created_at),
        )
        == 1
    )


async def change_note(tx: UserTx, note_id: UUID, words: str) -> None:
    """Other words, which are the member's own then; raises psycopg's UniqueViolation for those of another note."""
    await tx.run("update maya_memory set note = %s, source = %s where id = %s", (words, Role.MEMBER, note_id))


async def delete_note(tx: UserTx, note_id: UUID) -> None:
    """Forget one."""
    await tx.run("delete from maya_memory where id = %s", (note_id,))


async def one_at_a_time(tx: UserTx) -> None:
    """Until the transaction ends nobody else counts this member's answers."""
    await tx.run("select pg_advisory_xact_lock(hashtextextended('maya ' || %s, 0))", (tx.user_id,))


async def used(tx: UserTx, since: datetime) -> Used:
    """What the member's answers took since then."""
    found = await tx.maybe(
        Used,
        """select coalesce(sum(tokens), 0)::bigint as tokens, coalesce(sum(cost_micros), 0)::bigint as cost_micros,
               min(created_at) as oldest from maya_usage where created_at > %s""",
        (since,),
    )
    assert found is not None
    return found


async def reserve(tx: UserTx, usage_id: UUID, tokens: int, cost_micros: int, now: datetime) -> None:
    """What an answer may take, before it is asked for."""
    await tx.run("delete from maya_usage where created_at < %s - interval '31 days'", (now,))
    await tx.run(
        "insert into maya_usage (user_id, id, tokens, cost_micros, created_at) values (%s, %s, %s, %s, %s)",
        (tx.user_id, usage_id, tokens, cost_micros, now),
    )


async def put_right(tx: UserTx, usage_id: UUID, tokens: int, cost_micros: int) -> None:
    """What it really took."""
    await tx.run(
        "update maya_usage set tokens = %s, cost_micros = %s where id = %s", (tokens, cost_micros, usage_id)
    )
