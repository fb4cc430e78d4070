"""The tables `files` (what callers upload) and `outputs` (what runs give, read by capability address)."""

from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql
from psycopg.types.json import Jsonb

from portraitist.engine import pages
from portraitist.engine.domain import StoredFile
from portraitist.engine.pages import Cursor, Page
from portraitist.engine.store import Tx
from portraitist.kit.database import row_to

_OUTPUT = sql.SQL("token, name, run_id, version_id, key, content_type, size")
_FILE = sql.SQL("id, name, content_type, size, sha256, md5, metadata, key, created_at, expires_at")


@dataclass(frozen=True)
class NewFile:
    """An upload; its bytes belong under `key`."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    metadata: dict[str, object]
    key: str
    ttl: timedelta


@dataclass(frozen=True)
class Output:
    """A result file. Its address is `/outputs/{token}/{name}`; the token is the permission."""

    token: str
    name: str
    run_id: str
    version_id: str | None
    key: str
    content_type: str
    size: int


async def insert(tx: Tx, new: NewFile) -> StoredFile:
    """Record an upload."""
    query = sql.SQL(
        "insert into files (id, name, content_type, size, sha256, md5, metadata, key, expires_at)"
        " values (%(id)s, %(name)s, %(content_type)s, %(size)s, %(sha256)s, %(md5)s, %(metadata)s, %(key)s,"
        " now() + %(ttl)s) returning {}"
    ).format(_FILE)
    values = {**vars(new), "metadata": Jsonb(new.metadata)}
    stored = await (await tx.cursor(row_factory=row_to(StoredFile)).execute(query, values)).fetchone()
    assert stored is not None
    return stored


async def get(tx: Tx, file_id: str) -> StoredFile | None:
    """One file that has not expired."""
    query = sql.SQL("select {} from files where id = %s and expires_at > now()").format(_FILE)
    return await (await tx.cursor(row_factory=row_to(StoredFile)).execute(query, (file_id,))).fetchone()


async def page(tx: Tx, cursor: Cursor | None) -> Page[StoredFile]:
    """Files that have not expired, newest first."""
    back = cursor is not None and cursor.direction == "previous"
    query = sql.SQL(
        "select {} from files where expires_at > now()"
        " and (%(at)s::timestamptz is null or (created_at, id) {} (%(at)s, %(key)s))"
        " order by created_at {order}, id {order} limit {limit}"
    ).format(
        _FILE,
        sql.SQL(">" if back else "<"),
        order=sql.SQL("asc" if back else "desc"),
        limit=pages.PAGE_SIZE + 1,
    )
    place = {"at": cursor and cursor.created_at, "key": cursor and cursor.key}
    rows = await (await tx.cursor(row_factory=row_to(StoredFile)).execute(query, place)).fetchall()
    return pages.cut(rows, cursor, lambda f: (f.created_at, f.id))


async def expired(tx: Tx, limit: int) -> list[StoredFile]:
    """Files past their time; deleting them is the sweeper's work."""
    query = sql.SQL("select {} from files where expires_at <= now() limit {}").format(_FILE, limit)
    return await (await tx.cursor(row_factory=row_to(StoredFile)).execute(query)).fetchall()


async def delete(tx: Tx, file_id: str) -> None:
    """Forget a file."""
    await tx.execute("delete from files where id = %s", (file_id,))


async def insert_outputs(tx: Tx, outputs: list[Output]) -> None:
    """Record results; their bytes may follow."""
    query = (
        "insert into outputs (token, name, run_id, version_id, key, content_type, size)"
        " values (%(token)s, %(name)s, %(run_id)s, %(version_id)s, %(key)s, %(content_type)s, %(size)s)"
    )
    await tx.cursor().executemany(query, [vars(output) for output in outputs])


async def output(tx: Tx, token: str, name: str) -> Output | None:
    """A result by its address."""
    query = sql.SQL("select {} from outputs where token = %s and name = %s").format(_OUTPUT)
    return await (await tx.cursor(row_factory=row_to(Output)).execute(query, (token, name))).fetchone()


async def outputs_of(tx: Tx, run_id: str) -> list[Output]:
    """All results of a run."""
    query = sql.SQL("select {} from outputs where run_id = %s").format(_OUTPUT)
    return await (await tx.cursor(row_factory=row_to(Output)).execute(query, (run_id,))).fetchall()


async def delete_outputs(tx: Tx, run_id: str) -> None:
    """Forget a run's results."""
    await tx.execute("delete from outputs where run_id = %s", (run_id,))
