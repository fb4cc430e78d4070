"""Jobs: atomic with the caller's transaction, one waiting per row, rescued from the dead."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from own_postgres import OwnPostgres

from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server, ensure_role
from portraitist.kit.jobs import Handler, WorkerSettings, apply_schema, enqueue, run_worker

pytestmark = pytest.mark.anyio

QUICK = WorkerSettings(concurrency=4, heartbeat_s=0.2, stalled_after_s=1)
PASSWORD = "for the worker"


def _make_schema(url: str) -> None:
    asyncio.run(apply_schema(url, grant_to="jobs_worker"))


@pytest.fixture
async def url(postgres: Server, make_template: Callable[..., str], make_database: Callable[..., str]) -> str:
    """A database with the job tables, as the worker's role."""
    ensure_role(postgres, "jobs_worker", PASSWORD, options="nosuperuser nobypassrls")
    template = await asyncio.to_thread(make_template, "jobs_template", _make_schema)
    return postgres.url(make_database(template=template), "jobs_worker", PASSWORD)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        yield database


@asynccontextmanager
async def working(
    url: str, handlers: dict[str, Handler], settings: WorkerSettings = QUICK
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(url, handlers, settings, stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def until(condition: Callable[[], Awaitable[bool] | bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def waiting(database: Database) -> int:
    async with database.transaction() as tx:
        cursor = await tx.execute("select count(*) as n from procrastinate_jobs")
        row = await cursor.fetchone()
        assert row
        return int(row["n"])


async def empty(database: Database) -> bool:
    return await waiting(database) == 0


class Seen:
    """A handler that remembers what it was given."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str]] = []

    async def __call__(self, row: str, user_id: str) -> None:
        self.jobs.append((row, user_id))


async def test_a_job_runs_once_its_transaction_commits_and_leaves_nothing_behind(
    url: str, database: Database
) -> None:
    seen = Seen()
    async with working(url, {"advance": seen}):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
            await asyncio.sleep(0.3)
            assert seen.jobs == []
        await until(lambda: seen.jobs == [("t1", "ann")], within_s=2)
        await until(lambda: empty(database))


async def test_a_job_of_a_rolled_back_transaction_never_was(database: Database) -> None:
    class Regret(Exception):
        pass

    with pytest.raises(Regret):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
            raise Regret
    assert await waiting(database) == 0


async def test_a_second_job_for_the_same_row_is_no_error_and_no_second_job(database: Database) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, "advance", "t1", user_id="ann")
        await enqueue(tx, "advance", "t1", user_id="ann")
        await enqueue(tx, "other", "t1", user_id="ann")
        await tx.execute("select 1")  # the transaction still lives
    assert await waiting(database) == 2


async def test_a_row_can_be_enqueued_again_by_its_own_handler(url: str, database: Database) -> None:
    runs: list[str] = []

    async def handler(row: str, user_id: str) -> None:
        runs.append(row)
        if len(runs) < 3:
            async with database.transaction() as tx:
                await enqueue(tx, "advance", row, user_id=user_id)

    async with working(url, {"advance": handler}):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
        await until(lambda: runs == ["t1"] * 3)


async def test_higher_priorities_run_first(url: str, database: Database) -> None:
    async with database.transaction() as tx:
        for number in range(3):
            await enqueue(tx, "advance", f"low{number}", user_id="ann")
        await enqueue(tx, "advance", "high", user_id="ann", priority=5)
    seen = Seen()
    async with working(url, {"advance": seen}, WorkerSettings(concurrency=1)):
        await until(lambda: len(seen.jobs) == 4)
    assert seen.jobs[0] == ("high", "ann")


async def test_a_handlers_exception_costs_its_job_only(url: str, database: Database) -> None:
    seen = Seen()

    async def bad(row: str, user_id: str) -> None:
        raise ZeroDivisionError(row)

    async with working(url, {"bad": bad, "good": seen}):
        async with database.transaction() as tx:
            await enqueue(tx, "bad", "t1", user_id="ann")
            await enqueue(tx, "good", "t2", user_id="ann")
        await until(lambda: seen.jobs == [("t2", "ann")])
        await until(lambda: empty(database))


async def test_periodic_sweeps_go_on_after_one_failed(url: str) -> None:
    runs: list[int] = []

    async def sweep() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ZeroDivisionError

    async with working(url, {"advance": Seen()}, WorkerSettings(periodic={"sweep": (0.05, sweep)})):
        await until(lambda: len(runs) >= 3)


async def test_a_stopping_worker_puts_unfinished_jobs_back(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.jobs.STOP_GRACE_S", 0.2)
    started = asyncio.Event()

    async def endless(row: str, user_id: str) -> None:
        started.set()
        await asyncio.sleep(60)

    async with database.transaction() as tx:
        await enqueue(tx, "advance", "t1", user_id="ann")
    async with working(url, {"advance": endless}):
        await asyncio.wait_for(started.wait(), 5)
    seen = Seen()
    async with working(url, {"advance": seen}):
        await until(lambda: seen.jobs == [("t1", "ann")], within_s=3)


VICTIM = """
import asyncio, sys
from portraitist.kit.jobs import WorkerSettings, run_worker
async def hang(row, user_id):
    print("started", file=sys.stderr, flush=True)
    await asyncio.sleep(600)
asyncio.run(run_worker(sys.argv[1], {"advance": hang}, WorkerSettings(heartbeat_s=0.2), asyncio.Event()))
"""


async def _killed_while_working(url: str) -> None:
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, url, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert victim.stderr
    assert await asyncio.wait_for(victim.stderr.readline(), 15) == b"started\n"
    victim.kill()
    await victim.wait()


async def test_the_job_of_a_killed_worker_is_taken_over(url: str, database: Database) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, "advance", "t1", user_id="ann")
    await _killed_while_working(url)
    seen = Seen()
    async with working(url, {"advance": seen}):
        await until(lambda: seen.jobs == [("t1", "ann")], within_s=4)


async def test_a_killed_workers_job_gives_way_to_one_that_waits_for_the_same_row(
    url: str, database: Database
) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, "advance", "t1", user_id="ann")
    await _killed_while_working(url)
    async with database.transaction() as tx:
        await enqueue(tx, "busy", "b", user_id="ann", priority=1)
        await enqueue(tx, "advance", "t1", user_id="ann")
    seen = Seen()

    async def until_one_is_left(row: str, user_id: str) -> None:
        async def gone() -> bool:
            return await waiting(database) == 2  # this job and the waiting one

        await until(gone)

    settings = WorkerSettings(concurrency=1, heartbeat_s=0.2, stalled_after_s=1)
    async with working(url, {"busy": until_one_is_left, "advance": seen}, settings):
        await until(lambda: empty(database))
    assert seen.jobs == [("t1", "ann")]


async def test_the_worker_survives_a_database_that_is_killed_and_started_again(
    own_postgres: OwnPostgres,
) -> None:
    server = await asyncio.to_thread(own_postgres.embedded.start)
    url = server.url("postgres")
    await apply_schema(url, grant_to="postgres")
    await apply_schema(url, grant_to="postgres")  # twice is once
    seen = Seen()
    async with working(url, {"advance": seen}), Database(url) as database:
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "before", user_id="ann")
        await until(lambda: ("before", "ann") in seen.jobs)
        own_postgres.kill()
        await asyncio.to_thread(own_postgres.embedded.start)
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "after", user_id="ann")
        await until(lambda: ("after", "ann") in seen.jobs, within_s=15)
