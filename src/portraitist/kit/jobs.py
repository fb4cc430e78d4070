"""Work that is due now, carried by PostgreSQL: put a job in within a transaction, and run workers on it.

A job says only "look at this row". Losing one costs a sweep and running one twice does no harm, because the
business row decides. Nothing else in the code base imports procrastinate.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Protocol

import procrastinate
import psycopg
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker
from psycopg import AsyncConnection, sql
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from portraitist.kit.database import CONNECT_TIMEOUT_S, unavailable
from portraitist.kit.errors import DatabaseUnavailable, KitError
from portraitist.kit.logging import logger

log = logger(__name__)

Handler = Callable[[str, str], Awaitable[None]]  # (id, user_id)
Sweep = Callable[[], Awaitable[object]]

LOOK_EVERY_S = 2.0  # for jobs nobody was notified of, and for dead workers' jobs
STOP_GRACE_S = 5.0  # what a running job gets to end when the worker stops
SHUTDOWN_S = 10.0  # for the worker's own parts, and for signing off
CANCEL_AGAIN_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0  # between attempts to reach a database that is away
RECONNECT_TIMEOUT_S = 3.0  # a fresh pool tries at once, an old one ever more slowly
RESCUE_LOCK = 0x706F7274  # one rescuer at a time in one database; any constant of ours


class Stop(Protocol):
    """An event of asyncio or anyio."""

    def wait(self) -> Awaitable[object]:
        """Returns when it is time to stop."""
        ...


@dataclass(frozen=True)
class WorkerSettings:
    """How one worker process works. A job of a dead worker runs again at most `stalled_after_s` plus
    4 s after its death; a job must never block the event loop for that long.
    """

    concurrency: int = 10
    heartbeat_s: float = 5
    stalled_after_s: float = 15
    periodic: Mapping[str, tuple[float, Sweep]] = field(
        default_factory=dict
    )  # name → (every so many s, what)


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
            cursor = await conn.execute("select to_regclass('public.procrastinate_jobs') is null")
            row = await cursor.fetchone()
            if row and row[0]:
                await conn.execute(SchemaManager.get_schema())
            await _grant(conn, grant_to)
    except psycopg.OperationalError as exc:
        meaning = unavailable(exc)
        if meaning is None:
            raise
        raise meaning from exc


async def _grant(conn: AsyncConnection[Any], role: str) -> None:
    name = sql.Identifier(role)
    cursor = await conn.execute(
        "select relkind::text, relname from pg_class where relnamespace = 'public'::regnamespace "
        "and relname like 'procrastinate%' and relkind in ('r', 'S')"
    )
    await conn.execute(sql.SQL("grant usage on schema public to {}").format(name))
    for kind, relation in await cursor.fetchall():
        grant = (
            "grant select, insert, update, delete on {} to {}"
            if kind == "r"
            else "grant usage on sequence {} to {}"
        )
        await conn.execute(sql.SQL(grant).format(sql.Identifier(relation), name))


async def enqueue(
    conn: AsyncConnection[Any],
    kind: str,
    id: str,  # noqa: A002
    *,
    user_id: str,
    priority: int = 0,
) -> None:
    """Put a job in, in the caller's transaction: it exists if and when that commits.

    At most one job waits per (kind, id); where one does, nothing happens. Higher priorities run first.
    """
    if conn.info.transaction_status is TransactionStatus.IDLE:
        raise ValueError("enqueue needs the caller's open transaction")
    task = _app().configure_task(
        kind, queue=kind, queueing_lock=f"{kind}:{id}", priority=priority, connection=conn
    )
    try:
        with contextlib.suppress(AlreadyEnqueued):
            async with conn.transaction():  # a savepoint: the duplicate's error must not end the caller's
                await task.defer_async(id=id, user_id=user_id)
    except ConnectorException as exc:
        raise _original(exc) from exc


async def run_worker(url: str, handlers: Mapping[str, Handler], settings: WorkerSettings, stop: Stop) -> None:
    """Run jobs of the handlers' kinds, and the periodic sweeps, until `stop`.

    A handler's exception is logged and its job dropped: the sweeper finds the row again. Jobs still running
    five seconds after `stop` are cancelled and put back. While the database is away the worker waits for it.
    """
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of every job's start and end
    ending = asyncio.Event()
    working = asyncio.create_task(_work_for_ever(url, handlers, settings, ending), name="jobs")
    sweeping = [
        asyncio.create_task(_repeat(name, every_s, sweep), name=name)
        for name, (every_s, sweep) in settings.periodic.items()
    ]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([working, *sweeping, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()  # they never end by themselves: this raises what broke
    finally:
        ending.set()
        await _end(*sweeping, stopping)
        await asyncio.wait([working], timeout=STOP_GRACE_S + SHUTDOWN_S)
        await _end(working)


async def _work_for_ever(
    url: str, handlers: Mapping[str, Handler], settings: WorkerSettings, ending: asyncio.Event
) -> None:
    pause = FIRST_PAUSE_S
    while not ending.is_set():
        try:
            async with _connected(url, settings) as app:
                _register(app, handlers)
                log.info("worker started", kinds=sorted(handlers))
                pause = FIRST_PAUSE_S
                await _work(app, handlers, settings, ending)
        except (ConnectorException, psycopg.OperationalError, DatabaseUnavailable) as exc:
            log.warning("worker lost the database", error=str(exc.__cause__ or exc), again_in_s=pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await ending.wait()
        pause = min(pause * 2, LONGEST_PAUSE_S)


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel tasks until they have ended: one cancellation can get lost (gh-86296, Python before 3.12)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _connected(url: str, settings: WorkerSettings) -> AsyncIterator[procrastinate.App]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url,
        kwargs={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "prepare_threshold": None,
            "application_name": "portraitist worker",
        },
        min_size=1,
        max_size=max(3, min(settings.concurrency, 8)),  # a job needs one only to be fetched and finished
        timeout=RECONNECT_TIMEOUT_S,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )
    try:
        await pool.open(wait=True, timeout=RECONNECT_TIMEOUT_S)
        connector = procrastinate.PsycopgConnector()
        await connector.open_async(pool)
        yield procrastinate.App(connector=connector)
    except PoolTimeout as exc:
        raise DatabaseUnavailable("The database can't be reached.") from exc
    finally:
        await pool.close()


async def _work(
    app: procrastinate.App, handlers: Mapping[str, Handler], settings: WorkerSettings, ending: asyncio.Event
) -> None:
    """One stretch of work: until `ending`, or until the connection breaks."""
    worker = _Worker(
        app,
        queues=list(handlers),
        concurrency=settings.concurrency,
        fetch_job_polling_interval=min(LOOK_EVERY_S, settings.heartbeat_s),
        update_heartbeat_interval=settings.heartbeat_s,
        stalled_worker_timeout=settings.stalled_after_s,
        shutdown_graceful_timeout=STOP_GRACE_S,
        delete_jobs="always",
        install_signal_handlers=False,
    )
    running = asyncio.create_task(worker.run(), name="worker")  # type: ignore[no-untyped-call]
    rescuing = asyncio.create_task(_rescue_for_ever(app, settings), name="rescue")
    asked = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait([running, asked], return_when=asyncio.FIRST_COMPLETED)
        worker.stop()  # type: ignore[no-untyped-call]
        await running
    finally:
        await _end(running, rescuing, asked)


class _Worker(Worker):
    """procrastinate's worker without its cron part.

    With no cron tasks that part ends at once, and the worker, which watches its heartbeat and its listener
    only until the first of its parts ends, would go on without them after the database was away (3.10).
    """

    async def _periodic_deferrer(self) -> None:
        await asyncio.Event().wait()

    async def _persist_job_status(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super()._persist_job_status(*args, **kwargs)
        except ConnectorException as exc:
            log.warning("a job's end could not be recorded, it may run again", error=str(exc.__cause__))


class _PutBackAtShutdown(BaseRetryStrategy):
    """A job that the stopping worker cancelled waits for the next worker."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})
        return None


def _register(app: procrastinate.App, handlers: Mapping[str, Handler]) -> None:
    for kind, handler in handlers.items():
        app.task(name=kind, queue=kind, retry=_PutBackAtShutdown())(_guarded(kind, handler))


def _guarded(kind: str, handler: Handler) -> Callable[..., Awaitable[None]]:
    async def run(id: str, user_id: str) -> None:  # noqa: A002
        try:
            await handler(id, user_id)
        except DatabaseUnavailable as exc:
            log.warning("job dropped, the database is away", kind=kind, id=id, error=str(exc))
        except Exception:  # the rim: one bad row must not end the worker
            log.exception("job failed", kind=kind, id=id)

    return run


async def _repeat(name: str, every_s: float, sweep: Sweep) -> None:
    while True:
        try:
            await sweep()
        except KitError as exc:
            log.warning("sweep failed", sweep=name, error=str(exc))
        except Exception:  # the rim: the next sweep may work
            log.exception("sweep failed", sweep=name)
        await asyncio.sleep(every_s)


async def _rescue_for_ever(app: procrastinate.App, settings: WorkerSettings) -> None:
    while True:
        await asyncio.sleep(min(LOOK_EVERY_S, settings.heartbeat_s))
        with contextlib.suppress(ConnectorException, psycopg.OperationalError):  # the worker itself tells
            await _rescue(app, settings.stalled_after_s)


async def _rescue(app: procrastinate.App, stalled_after_s: float) -> None:
    """Put jobs of workers that show no sign of life back; one rescuer at a time."""
    connector = app.connector
    assert isinstance(connector, procrastinate.PsycopgConnector)
    async with connector.pool.connection() as conn:
        cursor = await conn.execute("select pg_try_advisory_xact_lock(%s)", [RESCUE_LOCK])
        row = await cursor.fetchone()
        if not (row and row[0]):
            return
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_s):
            log.warning("job of a dead worker put back", kind=job.task_name, id=job.task_kwargs.get("id"))
            await _put_back(app, job)


async def _put_back(app: procrastinate.App, job: Job) -> None:
    try:
        await app.job_manager.retry_job(job)
    except UniqueViolation:  # the same row has a job waiting already
        await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
    except ConnectorException as exc:
        if not isinstance(exc.__cause__, psycopg.errors.RaiseException):  # ended after all
            raise


@cache
def _app() -> procrastinate.App:
    """For putting jobs in over callers' connections; it never connects by itself."""
    return procrastinate.App(connector=procrastinate.PsycopgConnector())


def _original(error: ConnectorException) -> Exception:
    """The driver's own error, which the transaction's owner knows how to read."""
    return error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error


async def last_heartbeat(conn: AsyncConnection[Any]) -> datetime | None:
    """When any worker last showed a sign of life; None where none has ever run."""
    cursor = await conn.execute("select max(last_heartbeat) as at from procrastinate_workers")
    row = await cursor.fetchone()
    at: datetime | None = row["at"] if row else None
    return at
