"""The one writer of `albums` and `album_images`; and the page of pictures, read in one statement. SQL only.

What is compared with the member's own words is no index's business: PostgreSQL would have to look at other members'
words with it, which row-level security rightly forbids. A search reads the member's pictures in order and stops
when the page is full.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from portraitist.studio.db import UserTx
from portraitist.studio.gallery.domain import Album, Filter, Look, Named
from portraitist.studio.images.domain import Image
from portraitist.studio.paging import Wanted

COLUMNS = """i.user_id, i.id, i.generation_id, i.index, i.object_key, i.sha256, i.width, i.height, i.bytes, i.saved,
    i.favourite, i.words, i.deleted_at, i.created_at, i.look, i.tint, i.small_bytes"""
# Each of the words, or one that begins with it; the configuration knows no language, so every one is served.
QUERY = """(select string_agg(quote_literal(lexeme) || ':*', ' & ')::tsquery
            from unnest(to_tsvector('simple', %(words)s)))"""


async def page(tx: UserTx, wanted: Filter, page: Wanted) -> list[Image]:
    """At most one picture more than the page has, newest first."""
    source, order = "ai_images i", "i.created_at desc, i.id desc"
    conditions = _conditions(wanted)
    after = "(i.created_at, i.id) < (%(at)s, %(id)s)"
    if wanted.album_id is not None:
        # by the album's own index, in the same order
        source = "album_images a join ai_images i on i.id = a.image_id and i.user_id = a.user_id"
        order, after = "a.pictured_at desc, a.image_id desc", "(a.pictured_at, a.image_id) < (%(at)s, %(id)s)"
    if page.after is not None:
        conditions.append(after)
    values = {
        **vars(wanted),
        "ids": None if wanted.ids is None else list(wanted.ids),
        "at": page.after and page.after.at,
        "id": page.after and page.after.id,
        "limit": page.limit + 1,
    }
    where = " and ".join(conditions)
    return await tx.all(
        Image,
        f"select {COLUMNS} from {source} where {where} order by {order} limit %(limit)s",  # noqa: S608
        values,
    )


def _conditions(wanted: Filter) -> list[str]:
    """The filter as SQL over `values` of the same names; every text is one of ours."""
    conditions = ["i.deleted_at is not null" if wanted.deleted else "i.deleted_at is null"]
    given = {
        "a.album_id = %(album_id)s": wanted.album_id is not None,
        "i.saved": wanted.saved is True,
        "not i.saved": wanted.saved is False,
        "i.favourite": wanted.favourite is True,
        "not i.favourite": wanted.favourite is False,
        "i.created_at >= %(since)s": wanted.since is not None,
        "i.created_at < %(until)s": wanted.until is not None,
        "i.id = any(%(ids)s)": wanted.ids is not None,
        "i.look = %(look)s": wanted.look is not None,
        f"i.search @@ {QUERY}": wanted.words != "",
    }
    return conditions + [condition for condition, asked in given.items() if asked]


async def looks(tx: UserTx) -> list[Look]:
    """Every look of the member's pictures, by its newest picture's title; from one look to the next in the index."""
    return await tx.all(
        Look,
        """with recursive seen as (
               (select look from ai_images where look is not null and deleted_at is null order by look limit 1)
               union all
               select (select i.look from ai_images i where i.look > seen.look and i.deleted_at is null
                       order by i.look limit 1)
               from seen where seen.look is not null)
           select seen.look as slug, (select i.words from ai_images i where i.look = seen.look
               and i.deleted_at is null order by i.created_at desc, i.id desc limit 1) as title
           from seen where seen.look is not null order by title, slug""",
    )


ALBUM = """select b.id, b.name, b.created_at, count(i.id)::int as pictures,
        (array_agg(i.id order by a.pictured_at desc, a.image_id desc) filter (where i.id is not null))[1] as cover_id
    from albums b left join album_images a on a.album_id = b.id
        left join ai_images i on i.id = a.image_id and i.deleted_at is null"""


async def insert(tx: UserTx, album_id: UUID, name: str, key: str | None, now: datetime) -> bool:
    """A new album; False where the member has one of that name, or used the key before."""
    return (
        await tx.run(
            """insert into albums (user_id, id, name, idempotency_key, created_at) values (%s, %s, %s, %s, %s)
               on conflict do nothing""",
            (tx.user_id, album_id, name, key, now),
        )
        == 1
    )


async def rename(tx: UserTx, album_id: UUID, name: str) -> None:
    """Give an album another name; raises psycopg's UniqueViolation where the member has one of that name."""
    await tx.run("update albums set name = %s where id = %s", (name, album_id))


async def delete(tx: UserTx, album_id: UUID) -> bool:
    """Remove an album; its pictures stay. False where there was none."""
    return await tx.run("delete from albums where id = %s", (album_id,)) == 1


async def names(tx: UserTx, limit: int) -> list[Named]:
    """The member's albums by name, without looking into them."""
    return await tx.all(Named, "select id, name from albums order by lower(name), id limit %s", (limit,))


async def get(tx: UserTx, album_id: UUID) -> Album | None:
    """One album of the member."""
    return await tx.maybe(Album, f"{ALBUM} where b.id = %s group by b.id", (album_id,))


async def by_key(tx: UserTx, key: str) -> Album | None:
    """The album that this idempotency key made."""
    return await tx.maybe(Album, f"{ALBUM} where b.idempotency_key = %s group by b.id", (key,))


async def albums(tx: UserTx, page: Wanted) -> list[Album]:
    """At most one album more than the page has, newest first."""
    return await tx.all(
        Album,
        f"""{ALBUM} where b.id in (
                select id from albums where %(at)s::timestamptz is null or (created_at, id) < (%(at)s, %(id)s)
                order by created_at desc, id desc limit %(limit)s)
            group by b.id order by b.created_at desc, b.id desc""",  # noqa: S608
        {
            "at": page.after and page.after.at,
            "id": page.after and page.after.id,
            "limit": page.limit + 1,
        },
    )


async def add(tx: UserTx, album_id: UUID, pictures: Sequence[Image]) -> None:
    """Put pictures into an album; those that are in it stay."""
    async with tx.conn.cursor() as cursor:
        await cursor.executemany(
            """insert into album_images (user_id, album_id, image_id, pictured_at) values (%s, %s, %s, %s)
               on conflict (album_id, image_id) do nothing""",
            [(tx.user_id, album_id, picture.id, picture.created_at) for picture in pictures],
        )


async def take_out(tx: UserTx, album_id: UUID, image_id: UUID) -> None:
    """Take a picture out of an album; one that isn't in it is fine."""
    await tx.run("delete from album_images where album_id = %s and image_id = %s", (album_id, image_id))
