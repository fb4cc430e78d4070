"""The tables `models` and `versions`: what members' models are called and which sealed versions they have."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from psycopg import sql
from psycopg.rows import scalar_row

from portraitist.engine import pages
from portraitist.engine.domain import Model, Version
from portraitist.engine.pages import Cursor, Page
from portraitist.engine.store import Tx
from portraitist.kit.database import row_to

_MODEL = sql.SQL(
    "owner, name, visibility, hardware, description, readme, github_url, paper_url, weights_url, license_url,"
    " cover_image_url, run_count, created_at"
)
_VERSION = sql.SQL("id, owner, name, training_id, created_at")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
EDITABLE = ("description", "readme", "github_url", "paper_url", "weights_url", "license_url")


async def insert(tx: Tx, owner: str, name: str, values: Mapping[str, str | None]) -> Model | None:
    """Make a model; `None` if the name is taken."""
    columns = {"owner": owner, "name": name, **values}
    query = sql.SQL("insert into models ({}) values ({}) on conflict do nothing returning {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(map(sql.Placeholder, columns)),
        _MODEL,
    )
    return await (await tx.cursor(row_factory=row_to(Model)).execute(query, columns)).fetchone()


async def get(tx: Tx, owner: str, name: str) -> Model | None:
    """One model."""
    query = sql.SQL("select {} from models where owner = %s and name = %s").format(_MODEL)
    return await (await tx.cursor(row_factory=row_to(Model)).execute(query, (owner, name))).fetchone()


async def count(tx: Tx) -> int:
    """How many models there are; two creations at once wait for each other."""
    await tx.execute("lock table models in share row exclusive mode")
    row = await (await tx.cursor(row_factory=scalar_row).execute("select count(*) from models")).fetchone()
    return int(row or 0)


async def page(tx: Tx, cursor: Cursor | None, *, oldest_first: bool) -> Page[Model]:
    """Models by creation, newest first unless asked otherwise."""
    back = cursor is not None and cursor.direction == "previous"
    ascending = oldest_first != back
    query = sql.SQL(
        "select {} from models where %(at)s::timestamptz is null"
        " or (created_at, owner || '/' || name) {} (%(at)s, %(key)s)"
        " order by created_at {order}, owner || '/' || name {order} limit {limit}"
    ).format(
        _MODEL,
        sql.SQL(">" if ascending else "<"),
        order=sql.SQL("asc" if ascending else "desc"),
        limit=pages.PAGE_SIZE + 1,
    )
    place = {"at": cursor and cursor.created_at, "key": cursor and cursor.key}
    rows = await (await tx.cursor(row_factory=row_to(Model)).execute(query, place)).fetchall()
    return pages.cut(rows, cursor, lambda m: (m.created_at, f"{m.owner}/{m.name}"))


async def search(tx: Tx, words: str) -> list[Model]:
    """Models whose name or description holds the words, newest first, one page."""
    query = sql.SQL(
        "select {} from models where strpos(lower(name || ' ' || coalesce(description, '')), lower(%s)) > 0"
        " order by created_at desc limit {}"
    ).format(_MODEL, pages.PAGE_SIZE)
    return await (await tx.cursor(row_factory=row_to(Model)).execute(query, (words,))).fetchall()


async def update(tx: Tx, owner: str, name: str, values: Mapping[str, str]) -> Model | None:
    """Set the given fields, all of them in `EDITABLE`."""
    sets = [sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in EDITABLE if k in values]
    query = sql.SQL("update models set {} where owner = %(owner)s and name = %(name)s returning {}").format(
        sql.SQL(", ").join([*sets, sql.SQL("name = name")]), _MODEL
    )
    parameters = {**values, "owner": owner, "name": name}
    return await (await tx.cursor(row_factory=row_to(Model)).execute(query, parameters)).fetchone()


async def delete(tx: Tx, owner: str, name: str) -> None:
    """Remove a model without versions. The caller has checked that it has none."""
    await tx.execute("delete from models where owner = %s and name = %s", (owner, name))


async def count_run(tx: Tx, owner: str, name: str) -> None:
    """One more prediction was made with this model."""
    query = "update models set run_count = run_count + 1 where owner = %s and name = %s"
    await tx.execute(query, (owner, name))


async def reserve_version(tx: Tx, version_id: str, owner: str, name: str, training_id: str) -> None:
    """Record a version whose files are about to be stored; nobody sees it before `reveal_version`."""
    query = "insert into versions (id, owner, name, training_id) values (%s, %s, %s, %s)"
    await tx.execute(query, (version_id, owner, name, training_id))


async def reveal_version(tx: Tx, version_id: str) -> None:
    """The version's files are stored whole."""
    await tx.execute("update versions set ready_at = now() where id = %s", (version_id,))


async def version(tx: Tx, version_id: str) -> Version | None:
    """One version that is not deleted."""
    query = sql.SQL(
        "select {} from versions where id = %s and ready_at is not null and deleted_at is null"
    ).format(_VERSION)
    return await (await tx.cursor(row_factory=row_to(Version)).execute(query, (version_id,))).fetchone()


async def versions(tx: Tx, owner: str, name: str) -> list[Version]:
    """All versions of a model that are not deleted, newest first."""
    query = sql.SQL(
        "select {} from versions where owner = %s and name = %s and ready_at is not null"
        " and deleted_at is null order by created_at desc"
    ).format(_VERSION)
    return await (await tx.cursor(row_factory=row_to(Version)).execute(query, (owner, name))).fetchall()


async def latest(tx: Tx, names: Sequence[str]) -> dict[str, Version]:
    """The newest version of each of these models (`owner/name`) that has one."""
    query = sql.SQL(
        "select distinct on (owner, name) {} from versions where owner || '/' || name = any(%s)"
        " and ready_at is not null and deleted_at is null order by owner, name, created_at desc"
    ).format(_VERSION)
    rows = await (await tx.cursor(row_factory=row_to(Version)).execute(query, (list(names),))).fetchall()
    return {f"{row.owner}/{row.name}": row for row in rows}


async def has_versions(tx: Tx, owner: str, name: str) -> bool:
    """Whether any version is left, those being made or erased included."""
    query = "select exists (select from versions where owner = %s and name = %s)"
    row = await (await tx.cursor(row_factory=scalar_row).execute(query, (owner, name))).fetchone()
    return bool(row)


async def has_open_training(tx: Tx, destination: str) -> bool:
    """Whether a training that has not ended would add a version to this model."""
    query = "select exists (select from runs where destination = %s and completed_at is null)"
    row = await (await tx.cursor(row_factory=scalar_row).execute(query, (destination,))).fetchone()
    return bool(row)


async def mark_deleted(tx: Tx, version_id: str) -> None:
    """Hide a version at once; its files go when the sweeper comes."""
    await tx.execute("update versions set deleted_at = now() where id = %s", (version_id,))


async def to_erase(tx: Tx, grace: timedelta) -> list[str]:
    """Deleted versions that no unfinished run uses, and those left unfinished by a training that ended."""
    query = (
        "select v.id from versions v where"
        " (deleted_at is not null or (ready_at is null and exists (select from runs t"
        "   where t.id = v.training_id and t.completed_at < now() - %s)))"
        " and not exists"
        " (select from runs r where r.version_id = v.id and r.completed_at is null)"
    )
    return await (await tx.cursor(row_factory=scalar_row).execute(query, (grace,))).fetchall()


async def missing(tx: Tx, version_ids: Sequence[str]) -> list[str]:
    """Those of the given ids that no version has."""
    query = (
        "select id from unnest(%s::text[]) id where not exists (select from versions v where v.id = id.id)"
    )
    return await (await tx.cursor(row_factory=scalar_row).execute(query, (list(version_ids),))).fetchall()


async def erase(tx: Tx, version_id: str) -> None:
    """Forget a version whose files are gone."""
    await tx.execute("delete from versions where id = %s", (version_id,))
