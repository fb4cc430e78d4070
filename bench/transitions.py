"""Transitions a second: database, provider, load and workers together on this machine, with kills.

    python bench/transitions.py --workers 1 2 4 --seconds 30

A transition is a committed change of a training's or generation's row. Jobs are those of kit/jobs.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import throwaway

# isort: split
import psycopg
from tests.chaos.rig import Rig, WorkerProcess
from tests.studio_database import APP_PASSWORD

from in_flight import environment, provider, revisions
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service as generation
from portraitist.studio.prompting.refusing import Refusals

MEMBERS, EACH, SEEDS = 16, 150, 5
QUICK = (
    '{"training_s": [0.1, 0.2], "prediction_s": [0.05, 0.1], "start_s": [0.01, 0.02], '
    '"list_lag_s": [0, 0], "version_lag_s": [0, 0]}'
)
FAST = {
    "POLL_SECONDS": "0.2",
    "LIST_LAG_SECONDS": "1",
    "SWEEP_SECONDS": "0.5",
    "LEASE_SECONDS": "1",
    "START_ANSWER_SECONDS": "2",
    "HEARTBEAT_SECONDS": "0.5",
    "STALLED_AFTER_SECONDS": "3",
    "TRAININGS_IN_FLIGHT": "400",
    "GENERATIONS_IN_FLIGHT": "4000",
    "WORKER_CONCURRENCY": "20",
}


def main() -> None:
    """A line for each number of workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--kills", type=int, default=2, help="of one worker, while it is measured")
    parser.add_argument("--members", type=int, default=MEMBERS)
    options = parser.parse_args()
    with throwaway.server() as running:
        for count in options.workers:
            name = throwaway.database(running, f"transitions_{count}")
            rate, twice = asyncio.run(measured(running, name, count, options))
            print(
                f"{count} workers: {rate:.0f} transitions a second, {options.kills} kills, {twice} started twice"
            )


async def measured(running: Server, name: str, count: int, options: argparse.Namespace) -> tuple[float, int]:
    """Transitions a second, and how many predictions there were for one prompt and seed more than once."""
    seconds, kills = options.seconds, options.kills
    with provider(QUICK) as address, tempfile.TemporaryDirectory() as home:
        rig = Rig(running, name, Path(home), address=address)
        await rig.enrol(options.members)
        await rig.ask_for_more()
        workers = [WorkerProcess(environment(running, name, address, home) | FAST) for _ in range(count)]
        try:
            for worker in workers:
                worker.start()
            assert rig.rests(within=120, tidy=False), "no models, nothing to measure"
            await load(running, name, rig.members)
            before, began, cpu = revisions(running, name), time.monotonic(), cpu_of(running, workers)
            for _ in range(kills):
                time.sleep(seconds / (kills + 1))  # noqa: ASYNC251 - nothing else runs in this loop
                workers[0].kill()
                workers[0].start()
            time.sleep(seconds / (kills + 1))  # noqa: ASYNC251
            made = revisions(running, name) - before
            rate = made / (time.monotonic() - began)
            if kills == 0:  # a killed worker takes its clock with it
                spent = [after - early for after, early in zip(cpu_of(running, workers), cpu, strict=True)]
                each = [1000 * seconds / max(1, made) for seconds in spent]
                print(f"  CPU a transition: {each[0]:.2f} ms workers, {each[1]:.2f} ms PostgreSQL")
            if not rig.busy(tidy=False):
                print("  (everything was done before the time was over: more load would show more)")
        finally:
            for worker in workers:
                worker.close()
    return rate, started_twice(running, name)


def cpu_of(running: Server, workers: list[WorkerProcess]) -> tuple[float, float]:
    """CPU-seconds so far of the workers and of PostgreSQL."""
    ours = sum(throwaway.cpu_seconds(worker.pid) for worker in workers if worker.pid is not None)
    return ours, throwaway.cpu_seconds(throwaway.postmaster(running))


async def load(running: Server, name: str, members: list[str]) -> None:
    """Generations for every member, waiting; few seeds, so that drawing costs the provider little."""
    async with Database(running.url(name, "app", APP_PASSWORD)) as pool:
        db = StudioDatabase(pool)
        for number in range(EACH):
            for user_id in members:
                async with db.member(user_id) as tx:
                    await generation.ask(
                        tx,
                        f"in a garden {number // SEEDS}",
                        key=None,
                        new_seed=lambda n=number: n % SEEDS,
                        refusals=Refusals(),
                        now=datetime.now(UTC),
                    )


def started_twice(running: Server, name: str) -> int:
    """Rows whose second start was found and ended; the row's own id is unique in the database."""
    with psycopg.connect(running.url(name)) as conn:
        row = conn.execute("select count(*) from generation_trackers where twins <> '[]'").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
