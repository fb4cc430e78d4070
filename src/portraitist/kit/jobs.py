"""Work that is due now, carried by PostgreSQL: put a job in within a transaction, and run workers on it.

A job says only "look at this row", and the row knows until when it is left to a job. So taking a job removes it:
one that is lost with its worker is found again when that time is over, and running one twice does no harm.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, LiteralString, Protocol
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection, sql

from portraitist.kit.connection import Connection
from portraitist.kit.database import CONNECT_TIMEOUT_S, Database, unavailable
from portraitist.kit.errors import DatabaseUnavailable, KitError
from portraitist.kit.logging import logger

log = logger(__name__)

Handler = Callable[[str, str], Awaitable[None]]  # (id, user_id)
Sweep = Callable[[], Awaitable[object]]

CHANNEL = "jobs"
LOOK_EVERY_S = 2.0  # for jobs nobody was notified of
GATHER_S = 0.005  # one statement takes what came together
TAKE_TIMEOUT_S = 10.0  # an answer that comes later is taken for lost, and its jobs with it
STOP_GRACE_S = 5.0  # what a running job gets to end when the worker stops
CANCEL_AGAIN_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0  # between attempts to reach a database that is away
FORGOTTEN_AFTER = "1 day"  # workers that show no sign of life

SCHEMA = """
    -- unlogged: a server that crashes forgets them, and the rows that they stood for come up again by themselves
    create unlogged table if not exists jobs (
        kind     text not null,
        id       text not null,
        user_id  text not null,
        priority int not null,
        number   bigint generated always as identity,
        primary key (kind, id)
    );
    create index if not exists jobs_next on jobs (priority desc, number);
    create unlogged table if not exists job_workers (id uuid primary key, seen_at timestamptz not null);
"""
PUT = """with put as (insert into jobs (kind, id, user_id, priority)
        select %(kind)s, id, user_id, %(priority)s from unnest(%(ids)s::text[], %(users)s::text[]) as t (id, user_id)
        on conflict (kind, id) do nothing returning 1)
    select pg_notify(%(channel)s, '') from put limit 1"""
TAKE = """with next as (select kind, id from jobs where kind = any(%s) order by priority desc, number limit %s
        for update skip locked)
    delete from jobs using next where jobs.kind = next.kind and jobs.id = next.id
    returning jobs.kind, jobs.id, jobs.user_id, jobs.priority, jobs.number"""
SEEN = """insert into job_workers (id, seen_at) values (%s, now())
    on conflict (id) do update set seen_at = excluded.seen_at"""


class Stop(Protocol):
    """An event of asyncio or anyio."""

    def wait(self) -> Awaitable[object]:
        """Returns when it is time to stop."""
        ...


@dataclass(frozen=True)
class WorkerSettings:
    """How one worker process works: jobs at once, how often it gives a sign of life, and what it does in between."""

    concurrency: int = 10
    heartbeat_s: float = 5
    periodic: Mapping[str, tuple[float, Sweep]] = field(
        default_factory=dict
    )  # name → (every so many s, what)


@dataclass(frozen=True)
class Job:
    """One job as it was taken."""

    kind: str
    id: str
    user_id: str
    priority: int


async def apply_schema(owner_url: str, *, grant_to: str) -> None:
    """Make the job tables, once, and let the role `grant_to` put jobs in and run them.

    Call it again for each further role. Raises DatabaseUnavailable.
    """
    try:
        async with (
            await AsyncConnection.connect(owner_url, connect_timeout=CONNECT_TIMEOUT_S) as conn,
            conn.transaction(),
        ):
            await conn.execute("select pg_advisory_xact_lock(hashtextextended('jobs schema', 0))")
            await conn.execute(SCHEMA)
            role = sql.Identifier(grant_to)
            await conn.execute(sql.SQL("grant usage on schema public to {}").format(role))
            await conn.execute(
                sql.SQL("grant select, insert, update, delete on jobs, job_workers to {}").format(role)
            )
    except psycopg.OperationalError as exc:
        meaning = unavailable(exc)
        if meaning is None:
            raise
        raise meaning from exc


async def enqueue(
    conn: Connection,
    kind: str,
    id: str,  # noqa: A002
    *,
    user_id: str,
    priority: int = 0,
) -> None:
    """Put a job in, in the caller's transaction: it exists if and when that commits.

    At most one job waits per (kind, id); where one does, nothing happens. Higher priorities run first.
    """
    await enqueue_all(conn, kind, [(id, user_id)], priority=priority)


async def enqueue_all(
    conn: Connection, kind: str, rows: Sequence[tuple[str, str]], *, priority: int = 0
) -> None:
    """Put jobs of one kind in, for rows given as (id, member), in the caller's transaction."""
    if not conn.in_transaction:
        raise ValueError("enqueue needs the caller's open transaction")
    if rows:
        ids, users = [row[0] for row in rows], [row[1] for row in rows]
        values = {"kind": kind, "priority": priority, "channel": CHANNEL, "ids": ids, "users": users}
        conn.later(PUT, values)


def waits(kind: LiteralString, row_id: LiteralString) -> LiteralString:
    """A condition for others' SQL: a job of this kind waits for the row whose id stands in the column `row_id`."""
    return f"exists (select from jobs where jobs.kind = '{kind}' and jobs.id = {row_id}::text)"


async def forget(conn: Connection, user_id: str) -> None:
    """Take back every job that waits for this member; a row that still wants one is swept up again."""
    await conn.execute("delete from jobs where user_id = %s", (user_id,))


async def run_worker(url: str, handlers: Mapping[str, Handler], settings: WorkerSettings, stop: Stop) -> None:
    """Run jobs of the handlers' kinds, and the periodic sweeps, until `stop`.

    A handler's exception is logged and its job dropped: the sweeper finds the row again. Jobs still running
    five seconds after `stop` are cancelled and put back. While the database is away the worker waits for it.
    """
    worker = _Worker(Database(url, max_size=3, name="portraitist jobs"), handlers, settings)
    working = [
        asyncio.create_task(worker.work(), name="jobs"),
        *(
            asyncio.create_task(_repeat(name, every_s, sweep), name=name)
            for name, (every_s, sweep) in settings.periodic.items()
        ),
    ]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([*working, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()  # they never end by themselves: this raises what broke
    finally:
        await _end(*working, stopping)
        await worker.end()


@dataclass
class _Worker:
    """One worker: what it runs now, and that there may be more."""

    database: Database
    handlers: Mapping[str, Handler]
    settings: WorkerSettings
    id: UUID = field(default_factory=uuid4)
    running: dict["asyncio.Task[None]", Job] = field(default_factory=dict)
    taking: "asyncio.Task[int] | None" = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """Open the database, however long that takes; then take jobs for ever."""
        await _patiently("worker lost the database", self.database.open)
        await _patiently("worker lost the database", self._begin)
        log.info("worker started", kinds=sorted(self.handlers))
        parts = [
            asyncio.create_task(part, name="jobs")
            for part in (self._listen(), self._beat(), self._take_for_ever())
        ]
        try:
            await asyncio.gather(*parts)
        finally:
            await _end(*parts)

    async def end(self) -> None:
        """Let running jobs end, for a while; then put them back, and sign off."""
        if self.taking is not None:  # what it has taken is nowhere else
            await asyncio.wait([self.taking], timeout=STOP_GRACE_S)
            await _end(self.taking)
        if self.running:
            await asyncio.wait(self.running, timeout=STOP_GRACE_S)
        unfinished = dict(self.running)
        await _end(*unfinished)
        with contextlib.suppress(DatabaseUnavailable):
            async with self.database.transaction() as conn:
                for job in unfinished.values():
                    await enqueue(conn, job.kind, job.id, user_id=job.user_id, priority=job.priority)
                conn.later("delete from job_workers where id = %s", (self.id,))
        await self.database.close()

    async def _begin(self) -> None:
        async with self.database.transaction() as conn:
            await conn.execute(
                "delete from job_workers where seen_at < now() - %s::interval", (FORGOTTEN_AFTER,)
            )
            conn.later(SEEN, (self.id,))

    async def _listen(self) -> None:
        async for _ in self.database.listen(CHANNEL):
            self.news.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.settings.heartbeat_s)
            with contextlib.suppress(DatabaseUnavailable, TimeoutError):  # whoever takes jobs tells
                async with asyncio.timeout(TAKE_TIMEOUT_S), self.database.transaction(once=True) as conn:
                    await conn.execute(SEEN, (self.id,))

    async def _take_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.news.wait()
            await asyncio.sleep(GATHER_S)
            self.news.clear()
            room = self.settings.concurrency - len(self.running)
            if room > 0:
                taken: int = await _patiently("worker lost the database", partial(self._take, room))
                if taken == room:
                    self.news.set()

    async def _take(self, room: int) -> int:
        """Take jobs and start them; it is not broken off by the worker's end. Returns how many."""
        self.taking = asyncio.create_task(self._taken(room), name="jobs")
        return await asyncio.shield(self.taking)

    async def _taken(self, room: int) -> int:
        async with asyncio.timeout(TAKE_TIMEOUT_S), self.database.transaction(once=True) as conn:
            cursor = await conn.execute(TAKE, (list(self.handlers), room))
            rows = sorted(await cursor.fetchall(), key=lambda row: (-row["priority"], row["number"]))
        for row in rows:
            self._start(Job(row["kind"], row["id"], row["user_id"], row["priority"]))
        return len(rows)

    def _start(self, job: Job) -> None:
        task = asyncio.create_task(_guarded(self.handlers[job.kind], job), name=job.kind)
        self.running[task] = job
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if len(self.running) >= self.settings.concurrency:
            self.news.set()  # more may have waited for a place
        del self.running[task]


async def _patiently(what: str, act: Callable[[], Awaitable[Any]]) -> Any:
    """Do it again until the database is there."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await act()
        except (DatabaseUnavailable, TimeoutError, psycopg.OperationalError) as exc:
            log.warning(what, error=str(exc), again_in_s=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel tasks until they have ended: one cancellation can get lost (gh-86296, Python before 3.12)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _guarded(handler: Handler, job: Job) -> None:
    try:
        await handler(job.id, job.user_id)
    except DatabaseUnavailable as exc:
        log.warning("job dropped, the database is away", kind=job.kind, id=job.id, error=str(exc))
    except Exception:  # the rim: one bad row must not end the worker
        log.exception("job failed", kind=job.kind, id=job.id)


async def _repeat(name: str, every_s: float, sweep: Sweep) -> None:
    while True:
        try:
            await sweep()
        except KitError as exc:
            log.warning("sweep failed", sweep=name, error=str(exc))
        except Exception:  # the rim: the next sweep may work
            log.exception("sweep failed", sweep=name)
        await asyncio.sleep(every_s)


async def alive(conn: AsyncConnection[Any], silent_s: float) -> int:
    """How many workers have shown a sign of life in the last seconds, by the database's clock."""
    cursor = await conn.execute(
        "select count(*) as n from job_workers where seen_at > now() - make_interval(secs => %s)", (silent_s,)
    )
    row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def last_heartbeat(conn: AsyncConnection[Any]) -> datetime | None:
    """When any worker last showed a sign of life; None where none has ever run, or all have signed off."""
    cursor = await conn.execute("select max(seen_at) as at from job_workers")
    row = await cursor.fetchone()
    at: datetime | None = row["at"] if row else None
    return at
