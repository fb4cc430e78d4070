"""Our jobs beside two job engines: jobs a second and CPU per job, put in one by one, run by one worker.

    python bench/job_engines.py --jobs 2000

The job does nothing, so this is the price of the engine alone: `kit/jobs` and procrastinate on psycopg, pgqueuer on
asyncpg. CPU is this process and PostgreSQL together. All remove a job when it is done.
"""

import argparse
import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import throwaway

# isort: split
import asyncpg  # type: ignore[import-untyped]
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from procrastinate import App, PsycopgConnector
from procrastinate.schema import SchemaManager
from psycopg import AsyncConnection
from tests.studio_database import APP_PASSWORD

from portraitist.kit import jobs
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.kit.jobs import WorkerSettings, run_worker

CONCURRENCY = 20
NO_HISTORY = """alter table procrastinate_jobs disable trigger procrastinate_trigger_status_events_insert_v1;
    alter table procrastinate_jobs disable trigger procrastinate_trigger_status_events_update_v1"""
KIND = "look"
Part = Callable[[], Coroutine[Any, Any, None]]


def main() -> None:
    """A line for each engine and part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2_000)
    options = parser.parse_args()
    with throwaway.server() as running:
        for engine in (ours, procrastinate, pgqueuer):
            name = throwaway.database(running, engine.__name__)
            asyncio.run(engine(running, name, options.jobs))


async def ours(running: Server, name: str, count: int) -> None:
    """What the studio uses."""
    url, done, stop = running.url(name, "app", APP_PASSWORD), 0, asyncio.Event()

    async def run(job_id: str, user_id: str) -> None:
        nonlocal done
        done += 1
        if done == count:
            stop.set()

    async def put_in() -> None:
        for number in range(count):
            async with pool.transaction() as conn:
                await jobs.enqueue(conn, KIND, str(number), user_id="")

    async with Database(url) as pool:
        await timed("ours, put in", running, count, put_in)
    settings = WorkerSettings(concurrency=CONCURRENCY)
    await timed("ours, run", running, count, lambda: run_worker(url, {KIND: run}, settings, stop))


async def procrastinate(running: Server, name: str, count: int) -> None:
    """As the studio used it: no history, no cron."""
    url = running.url(name)
    async with await AsyncConnection.connect(url) as conn:
        await conn.execute(SchemaManager.get_schema())
        await conn.execute(NO_HISTORY)
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = App(connector=PsycopgConnector(conninfo=url, max_size=8))
    done = 0

    @app.task(name=KIND)
    async def run(number: int) -> None:
        nonlocal done
        done += 1

    async def put_in() -> None:
        for number in range(count):
            await run.configure(queueing_lock=str(number)).defer_async(number=number)

    async with app.open_async():
        await timed("procrastinate, put in", running, count, put_in)
        await timed(
            "procrastinate, run",
            running,
            count,
            lambda: app.run_worker_async(
                concurrency=CONCURRENCY,
                wait=False,
                delete_jobs="always",
                install_signal_handlers=False,
            ),
        )
    assert done == count


async def pgqueuer(running: Server, name: str, count: int) -> None:
    """The other one, with its defaults but for the batch and the number at once."""
    async with asyncpg.create_pool(running.url(name), min_size=2, max_size=CONCURRENCY) as pool:
        driver, done = AsyncpgPoolDriver(pool), 0
        await Queries(driver).install()
        worker = PgQueuer(driver)

        @worker.entrypoint(KIND)
        async def run(job: Job) -> None:
            nonlocal done
            done += 1
            if done == count:
                worker.shutdown.set()

        async def put_in() -> None:
            queries = Queries(driver)
            for number in range(count):
                await queries.enqueue(KIND, b"", dedupe_key=str(number))

        async def work() -> None:
            await worker.run(
                dequeue_timeout=timedelta(seconds=2),
                batch_size=CONCURRENCY,
                max_concurrent_tasks=2 * CONCURRENCY,
            )

        await timed("pgqueuer, put in", running, count, put_in)
        await timed("pgqueuer, run", running, count, work)


async def timed(what: str, running: Server, count: int, part: Part) -> None:
    """Do it, and print how fast and at what cost."""
    pids = (os.getpid(), throwaway.postmaster(running))
    cpu, began = [throwaway.cpu_seconds(pid) for pid in pids], time.monotonic()
    await part()
    took = time.monotonic() - began
    ours, servers = (
        1000 * (throwaway.cpu_seconds(pid) - before) / count for pid, before in zip(pids, cpu, strict=True)
    )
    print(f"{what}: {count / took:.0f} a second, CPU {ours:.2f} ms here + {servers:.2f} ms PostgreSQL a job")


if __name__ == "__main__":
    main()
