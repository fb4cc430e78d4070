"""A page of the gallery beside what one would write instead: plain psycopg, and SQLAlchemy's ORM, same policies.

Each variant makes the JSON of fifty pictures, at places all over the member's gallery, in turns, so that whatever
else the machine does hits all alike. Also: how it grows from ten thousand to a million pictures, and what isolation
itself costs (the same rows asked for by `user_id =`, without policies). Medians in milliseconds; targets in brackets.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import throwaway

# isort: split
import psycopg
from anyio import to_thread
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import String, create_engine, select, text, tuple_
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from tests.studio_database import APP_PASSWORD

from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.gallery import service
from portraitist.studio.gallery.domain import Filter
from portraitist.studio.gallery.endpoints import ImagesOut
from portraitist.studio.images.domain import Image
from portraitist.studio.images.endpoints import ImageOut
from portraitist.studio.paging import Position, wanted

PAGE = 50
MEMBERS = [f"member{number:06d}" for number in range(10)]
READER = MEMBERS[3]
COLUMNS = """id, generation_id, index, sha256, width, height, bytes, saved, favourite, words, deleted_at, created_at"""
NEWEST = "order by created_at desc, id desc limit 51"
FILL = """insert into ai_images (user_id, id, generation_id, index, object_key, sha256, width, height, bytes, saved,
        favourite, words, created_at)
    select 'member' || lpad((n % 10)::text, 6, '0'), gen_random_uuid(), gen_random_uuid(), n % 3, 'k/' || n,
        sha256(n::text::bytea), 896, 1152, 1200000, n % 4 = 0, n % 20 = 0,
        'in a ' || (array['garden', 'library', 'harbour', 'forest', 'café'])[1 + n % 5] || ', soft morning light, '
            || md5(n::text), timestamptz '2026-01-01' + n * interval '1 minute'
    from generate_series(1, {pictures}) n"""
Page = Callable[[Position | None], Awaitable[bytes]]


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args()
    with throwaway.server(shared_buffers="512MB") as running:
        names = [filled(running, f"gallery_{size}", size) for size in options.sizes]
        small, large = asyncio.run(measured(running, names, options.rounds))
    for size, found in zip(options.sizes, (small, large), strict=True):
        report(size, found)
    print(
        f"ours, {options.sizes[1]:,} : {options.sizes[0]:,} pictures  {large['ours'] / small['ours']:.2f}x  [1.2]"
    )


def report(size: int, found: dict[str, float]) -> None:
    """The lines of one size."""
    print(f"{size:>9,} pictures: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in found.items()))
    print(f"    ours : raw psycopg     {found['ours'] / found['raw']:.2f}x  [1.2]")
    print(
        f"    ours : SQLAlchemy ORM  {found['ours'] / found['orm']:.2f}x  [0.6]; without its thread "
        f"{found['ours'] / found['orm, blocking the loop']:.2f}x"
    )
    print(
        f"    isolation: policies {found['raw'] - found['same transaction, no policies']:+.2f} ms, "
        f"transaction and member {found['same transaction, no policies'] - found['one statement, no policies']:+.2f} ms"
    )


def filled(running: Server, name: str, pictures: int) -> str:
    """A studio database with so many pictures, a tenth of them the reader's."""
    throwaway.database(running, name)
    with psycopg.connect(running.url(name), autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")  # pictures alone: no generations to point to
        for user_id in MEMBERS:
            conn.execute("select enrol_local_member(%s, %s, 'person', now())", (user_id, user_id))
        conn.execute(FILL.format(pictures=pictures).encode())
        conn.execute("vacuum analyze ai_images")
    return name


@dataclass
class Variants:
    """Every way to make a page of one database."""

    url: str
    superuser: str

    async def __aenter__(self) -> "Variants":
        self.database = Database(self.url, max_size=2)
        await self.database.open()
        self.studio = StudioDatabase(self.database)
        kwargs = {"row_factory": dict_row, "prepare_threshold": None}
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            self.url, kwargs=kwargs, min_size=1, max_size=2, open=False
        )
        self.free: AsyncConnectionPool[Any] = AsyncConnectionPool(
            self.superuser, kwargs=kwargs | {"autocommit": True}, min_size=1, max_size=2, open=False
        )
        await self.pool.open(wait=True)
        await self.free.open(wait=True)
        engine = create_engine(
            self.url.replace("postgresql://", "postgresql+psycopg://"),
            pool_size=2,
            connect_args={"prepare_threshold": None},
        )
        self.engine, self.sessions = engine, sessionmaker(engine, expire_on_commit=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.engine.dispose()
        await self.pool.close()
        await self.free.close()
        await self.database.close()

    def all(self) -> dict[str, Page]:
        return {
            "ours": self.ours,
            "raw": self.raw,
            "orm": self.orm,
            "orm, blocking the loop": self.orm_on_the_loop,
            "same transaction, no policies": self.in_a_transaction,
            "one statement, no policies": self.one_statement,
        }

    async def ours(self, after: Position | None) -> bytes:
        page = wanted(None if after is None else str(after), PAGE)
        async with self.studio.member(READER, once=True) as tx:  # as the endpoint
            found, following = await service.page(tx, Filter(), page)
        out = ImagesOut(items=[ImageOut.of(image) for image in found], next=following)
        return out.model_dump_json().encode()

    async def raw(self, after: Position | None) -> bytes:
        async with self.pool.connection() as conn, conn.transaction():
            await conn.execute("select set_config('app.user_id', %s, true)", (READER,))
            rows = await self._rows(conn, after, "deleted_at is null", {})
        return as_json(rows)

    async def in_a_transaction(self, after: Position | None) -> bytes:
        async with self.free.connection() as conn, conn.transaction():
            await conn.execute("select set_config('app.user_id', %s, true)", (READER,))
            rows = await self._rows(
                conn, after, "deleted_at is null and user_id = %(user)s", {"user": READER}
            )
        return as_json(rows)

    async def one_statement(self, after: Position | None) -> bytes:
        async with self.free.connection() as conn:
            rows = await self._rows(
                conn, after, "deleted_at is null and user_id = %(user)s", {"user": READER}
            )
        return as_json(rows)

    async def _rows(
        self, conn: Any, after: Position | None, where: str, values: dict[str, Any]
    ) -> list[dict[str, Any]]:
        if after is not None:
            where, values = f"{where} and (created_at, id) < (%(at)s, %(id)s)", values | vars(after)
        cursor = await conn.execute(f"select {COLUMNS} from ai_images where {where} {NEWEST}", values)
        rows: list[dict[str, Any]] = await cursor.fetchall()
        return rows

    async def orm(self, after: Position | None) -> bytes:
        return await to_thread.run_sync(self._orm, after)  # as FastAPI calls a handler with a Session

    async def orm_on_the_loop(self, after: Position | None) -> bytes:
        return self._orm(after)  # nobody serves like that: what the thread costs can be seen by it

    def _orm(self, after: Position | None) -> bytes:
        query = (
            select(Row)
            .where(Row.deleted_at.is_(None))
            .order_by(Row.created_at.desc(), Row.id.desc())
            .limit(PAGE + 1)
        )
        if after is not None:
            query = query.where(tuple_(Row.created_at, Row.id) < tuple_(after.at, after.id))
        with self.sessions() as session, session.begin():
            session.execute(text("select set_config('app.user_id', :user, true)"), {"user": READER})
            rows = list(session.scalars(query))
        out = ImagesOut(items=[ImageOut.of(row) for row in rows[:PAGE]], next=None)  # type: ignore[arg-type]
        return out.model_dump_json().encode()


class Base(DeclarativeBase):
    """SQLAlchemy's registry."""


class Row(Base):
    """`ai_images`, as one maps it."""

    __tablename__ = "ai_images"
    id: Mapped[UUID] = mapped_column(PG_UUID(as_uuid=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(String)
    generation_id: Mapped[UUID] = mapped_column(PG_UUID(as_uuid=True))
    index: Mapped[int]
    object_key: Mapped[str] = mapped_column(String)
    sha256: Mapped[bytes] = mapped_column(BYTEA)
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    saved: Mapped[bool]
    favourite: Mapped[bool]
    words: Mapped[str] = mapped_column(String)
    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    undo_until = Image.undo_until


def as_json(rows: Sequence[dict[str, Any]]) -> bytes:
    """The page by the standard library: every field that ours has."""
    items = [
        row
        | {
            "sha256": bytes(row["sha256"]).hex(),
            "id": str(row["id"]),
            "generation_id": str(row["generation_id"]),
        }
        for row in rows[:PAGE]
    ]
    return json.dumps({"items": items, "next": None}, default=datetime.isoformat).encode()


async def measured(running: Server, names: Sequence[str], rounds: int) -> list[dict[str, float]]:
    """Median milliseconds by variant, for each database; all variants of all databases take turns."""
    times: list[dict[str, list[float]]] = [{}, {}]
    rng = random.Random(7)
    urls = [(running.url(name, "app", APP_PASSWORD), running.url(name)) for name in names]
    async with Variants(*urls[0]) as small, Variants(*urls[1]) as large:
        places = [places_of(running, name) for name in names]
        for turn in range(rounds + 20):
            for variants, took, where in zip((small, large), times, places, strict=True):
                after = rng.choice(where)
                for name, page in rng.sample(list(variants.all().items()), len(variants.all())):
                    began = time.perf_counter()
                    made = await page(after)
                    seconds = time.perf_counter() - began
                    assert len(json.loads(made)["items"]) == PAGE
                    if turn >= 20:  # the first warm up connections and caches
                        took.setdefault(name, []).append(seconds * 1000)
    return [{name: statistics.median(each[name]) for name in small.all()} for each in times]


def places_of(running: Server, name: str) -> list[Position | None]:
    """Where pages may begin: the top, and places all over the reader's gallery."""
    with psycopg.connect(running.url(name)) as conn:
        rows = conn.execute(
            """select created_at, id from (select created_at, id, row_number() over (order by created_at) as n,
                   count(*) over () as pictures from ai_images where user_id = %s) as numbered
               where n %% greatest(1, pictures / 200) = 0 and n > %s""",
            (READER, 2 * PAGE),
        ).fetchall()
    return [None, *(Position(at.astimezone(UTC), row_id) for at, row_id in rows)]


if __name__ == "__main__":
    main()
