"""Jobs: atomic with the caller's transaction, one waiting per row, taken once."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from own_postgres import OwnPostgres

from portraitist.kit.connection import Connection
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server, ensure_role
from portraitist.kit.jobs import (
    Handler,
    WorkerSettings,
    apply_schema,
    enqueue,
    enqueue_all,
    forget,
    last_heartbeat,
    run_worker,
)

pytestmark = pytest.mark.anyio

QUICK = WorkerSettings(concurrency=4, heartbeat_s=0.2)
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
        cursor = await tx.execute("select count(*) as n from jobs")
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
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portraitist.kit.jobs.LOOK_EVERY_S", 60)  # it is told
    seen = Seen()
    async with working(url, {"advance": seen}):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
            await asyncio.sleep(0.3)
            assert seen.jobs == []
        await until(lambda: seen.jobs == [("t1", "ann")])
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


async def test_a_worker_that_is_stopped_while_it_takes_jobs_loses_none(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, real = asyncio.Event(), Database._back

    async def back(self: Database, conn: Connection) -> None:
        """As if the answer with the jobs had come, and stopping came before anybody looked at it."""
        if self is not database and await waiting(database) == 0:
            taken.set()
            await asyncio.sleep(0.3)
        await real(self, conn)

    ran: list[str] = []

    async def handler(row_id: str, _user_id: str) -> None:
        ran.append(row_id)

    async with database.transaction() as tx:
        await enqueue(tx, "training", "1", user_id="anna")
    monkeypatch.setattr(Database, "_back", back)
    async with working(url, {"training": handler}) as stop:
        await taken.wait()
        stop.set()
    assert ran == ["1"] or await waiting(database) == 1


async def test_a_killed_workers_job_is_gone_with_it_and_the_same_row_can_be_put_in_again(
    url: str, database: Database
) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, "advance", "t1", user_id="ann")
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, url, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert victim.stderr
    assert await asyncio.wait_for(victim.stderr.readline(), 30) == b"started\n"
    victim.kill()
    await victim.wait()
    assert await waiting(database) == 0  # the row's own lease brings it back: see the proof's kills
    seen = Seen()
    async with working(url, {"advance": seen}):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
        await until(lambda: seen.jobs == [("t1", "ann")])


async def test_jobs_put_in_while_one_of_the_same_row_runs_wait_as_one(url: str, database: Database) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    async def slow(row: str, user_id: str) -> None:
        runs.append(row)
        began.set()
        await may_end.wait()

    async with working(url, {"advance": slow}, WorkerSettings(concurrency=1)):
        async with database.transaction() as tx:
            await enqueue(tx, "advance", "t1", user_id="ann")
        await asyncio.wait_for(began.wait(), 10)
        for _ in range(2):
            async with database.transaction() as tx:
                await enqueue(tx, "advance", "t1", user_id="ann")
        assert await waiting(database) == 1
        may_end.set()
        await until(lambda: runs == ["t1", "t1"])


async def test_two_workers_never_take_the_same_job(url: str, database: Database) -> None:
    one, other = Seen(), Seen()
    async with database.transaction() as tx:
        await enqueue_all(tx, "advance", [(f"t{number}", "ann") for number in range(300)])
    async with working(url, {"advance": one}), working(url, {"advance": other}):
        await until(lambda: len(one.jobs) + len(other.jobs) >= 300)
        await until(lambda: empty(database))
    assert len({*one.jobs, *other.jobs}) == len(one.jobs) + len(other.jobs) == 300


async def test_a_worker_shows_that_it_lives_and_signs_off(url: str, database: Database) -> None:
    async def seen_at() -> datetime | None:
        async with database.transaction() as tx:
            return await last_heartbeat(tx)

    assert await seen_at() is None
    async with working(url, {"advance": Seen()}):
        await until(lambda: _true(seen_at))
        first = await seen_at()

        async def later() -> bool:
            return (await seen_at() or first) != first

        await until(later)
    assert await seen_at() is None


async def _true(value: Callable[[], Awaitable[object]]) -> bool:
    return bool(await value())


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


async def test_all_jobs_of_a_member_are_taken_back_and_no_others(database: Database) -> None:
    async with database.transaction() as tx:
        await enqueue_all(tx, "look", [("1", "ann"), ("2", "bob")])
        await enqueue(tx, "copy", "1", user_id="ann")
    async with database.transaction() as tx:
        await forget(tx, "ann")
    async with database.transaction() as tx:
        left = await (await tx.execute("select kind, id, user_id from jobs")).fetchall()
    assert [tuple(row.values()) for row in left] == [("look", "2", "bob")]
