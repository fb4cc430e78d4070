"""The one writer of `photo_sets` and `photo_set_items`. SQL only; writes are guarded by the set's revision."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import DueRow, SystemTx, UserTx, listed
from portraitist.studio.generation.domain import ENDED
from portraitist.studio.paging import Wanted
from portraitist.studio.photoshoot.domain import AT_ONCE, OVER, Item, PhotoSet

COLUMNS = """user_id, id, collection, look, every_shot, title, colours, status, why_paused, resumes_at, revision,
    created_at, finished_at"""
ENDED_LISTED = listed(ENDED)
OVER_LISTED = listed(OVER)
ITEM = f"""select i.position, i.look, i.title, i.shot, i.prompt, i.status, i.attempt, i.generation_id, i.error_code,
        i.error, i.next_step, coalesce(g.status not in ({ENDED_LISTED}), false) as drawing,
        coalesce(g.status = 'completed', false) as drawn
    from photo_set_items i left join generation_trackers g on g.id = i.generation_id"""  # noqa: S608  # our own words


async def insert(tx: UserTx, photo_set: PhotoSet, items: Sequence[Item], key: str | None) -> bool:
    """A new set with its items; False where this key has begun one."""
    made = await tx.run(
        """insert into photo_sets (user_id, id, collection, look, every_shot, title, colours, status, idempotency_key,
               created_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (user_id, idempotency_key) do nothing""",
        (
            photo_set.user_id,
            photo_set.id,
            photo_set.collection,
            photo_set.look,
            photo_set.every_shot,
            photo_set.title,
            photo_set.colours,
            photo_set.status,
            key,
            photo_set.created_at,
        ),
    )
    if not made:
        return False
    async with tx.conn.cursor() as cursor:
        await cursor.executemany(
            """insert into photo_set_items (user_id, set_id, position, look, title, shot, prompt, status)
               values (%s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    tx.user_id,
                    photo_set.id,
                    item.position,
                    item.look,
                    item.title,
                    item.shot,
                    item.prompt,
                    item.status,
                )
                for item in items
            ],
        )
    return True


async def get(tx: UserTx, set_id: UUID) -> PhotoSet | None:
    """One set of the member."""
    return await tx.maybe(PhotoSet, f"select {COLUMNS} from photo_sets where id = %s", (set_id,))  # noqa: S608


async def held(tx: UserTx, set_id: UUID) -> PhotoSet | None:
    """The same, and nobody else changes it until this transaction has ended."""
    return await tx.maybe(PhotoSet, f"select {COLUMNS} from photo_sets where id = %s for update", (set_id,))  # noqa: S608


async def by_key(tx: UserTx, key: str) -> PhotoSet | None:
    """The set that this idempotency key began."""
    return await tx.maybe(
        PhotoSet,
        f"select {COLUMNS} from photo_sets where idempotency_key = %s",  # noqa: S608
        (key,),
    )


async def page(tx: UserTx, page: Wanted) -> list[PhotoSet]:
    """At most one set more than the page has, newest first."""
    after = "where (created_at, id) < (%(at)s, %(id)s)" if page.after else ""
    return await tx.all(
        PhotoSet,
        f"select {COLUMNS} from photo_sets {after} order by created_at desc, id desc limit %(limit)s",  # noqa: S608
        {"limit": page.limit + 1, **(vars(page.after) if page.after else {})},
    )


async def unfinished(tx: UserTx) -> int:
    """How many sets of the member are not over. The member's other requests wait until this transaction has ended."""
    await tx.run("select pg_advisory_xact_lock(hashtextextended('photo sets ' || %s, 0))", (tx.user_id,))
    found = await tx.value(
        f"select count(*) as n from photo_sets where status not in ({OVER_LISTED})",  # noqa: S608
    )
    return int(found)


async def items(tx: UserTx, set_id: UUID) -> list[Item]:
    """The items of a set in order, with how their generations stand."""
    return await tx.all(Item, f"{ITEM} where i.set_id = %s order by i.position", (set_id,))


async def counted(tx: UserTx, set_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Shots of some sets: how many are drawn, of how many."""
    cursor = await tx.conn.execute(
        """select i.set_id, count(*) as n, count(*) filter (where g.status = 'completed') as drawn
           from photo_set_items i left join generation_trackers g on g.id = i.generation_id
           where i.set_id = any(%s) group by i.set_id""",
        (list(set_ids),),
    )
    return {row["set_id"]: (row["drawn"], row["n"]) for row in await cursor.fetchall()}


async def save(tx: UserTx, after: PhotoSet, leased_until: datetime | None) -> bool:
    """Store a decision made on `after.revision`; False where the set has moved on since."""
    return (
        await tx.run(
            """update photo_sets set status = %s, why_paused = %s, resumes_at = %s, finished_at = %s, leased_until = %s,
                   revision = revision + 1
               where id = %s and revision = %s""",
            (
                after.status,
                after.why_paused,
                after.resumes_at,
                after.finished_at,
                leased_until,
                after.id,
                after.revision,
            ),
        )
        == 1
    )


async def delete(tx: UserTx, set_id: UUID) -> None:
    """Remove a set with its items; generations and pictures are others'."""
    await tx.run("delete from photo_sets where id = %s", (set_id,))


async def release(tx: UserTx, photo_set: PhotoSet) -> None:
    """The job has done what there was to do: whatever comes next may have the set at once."""
    await tx.run(
        "update photo_sets set leased_until = null where id = %s and revision = %s",
        (photo_set.id, photo_set.revision),
    )


async def save_item(tx: UserTx, set_id: UUID, item: Item) -> None:
    """Store an item, in the transaction whose `save` of its set has held."""
    await tx.run(
        """update photo_set_items set status = %s, attempt = %s, generation_id = %s, error_code = %s, error = %s,
               next_step = %s
           where set_id = %s and position = %s""",
        (
            item.status,
            item.attempt,
            item.generation_id,
            item.error_code,
            item.error,
            item.next_step,
            set_id,
            item.position,
        ),
    )


async def claim_due(tx: SystemTx, now: datetime, until: datetime, limit: int) -> list[DueRow]:
    """Sets that can go on, leased to the job they get: with room for another shot, all drawn, or waited long enough."""
    return await tx.all(
        DueRow,
        f"""with due as (
               select s.id from photo_sets s
               where s.status in ('running', 'paused') and coalesce(s.leased_until, '-infinity') <= %(now)s
                   and case when s.status = 'paused' then s.resumes_at <= %(now)s else
                       (select count(*) from photo_set_items i join generation_trackers g on g.id = i.generation_id
                        where i.set_id = s.id and i.status = 'asked' and g.status not in ({ENDED_LISTED}))
                       < case when exists (select from photo_set_items w where w.set_id = s.id and w.status = 'waiting')
                              then {AT_ONCE} else 1 end end
               order by s.leased_until nulls first limit %(limit)s for update of s skip locked)
           update photo_sets set leased_until = %(until)s from due where photo_sets.id = due.id
           returning photo_sets.id, photo_sets.user_id""",  # noqa: S608  # our own words
        {"now": now, "until": until, "limit": limit},
    )
