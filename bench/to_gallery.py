"""From the provider's success to the picture durably in the gallery: seconds, p50 and p99, without webhooks.

python bench/to_gallery.py --rate 20 --size 192 256 --seconds 20
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import throwaway

# isort: split
import psycopg
from tests.chaos.rig import Rig, WorkerProcess
from tests.fakes import pictures
from tests.fakes.simulated_cloud import Behaviour
from tests.studio_database import APP_PASSWORD

from in_flight import environment
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service as generation
from transitions import FAST

POLL_S = 1.0  # of generations: half of POLL_SECONDS
SEEDS = 40


def main() -> None:
    """Print the quantiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=20, help="generations a second")
    parser.add_argument("--size", type=int, nargs=2, default=[192, 256])
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    pictures.SIZE = tuple(options.size)
    with throwaway.server() as running:
        name = throwaway.database(running, "to_gallery")
        waits = asyncio.run(measured(running, name, options.rate, options.seconds))
    cuts = statistics.quantiles(waits, n=100)
    print(
        json.dumps({"rate": options.rate, "size": options.size, "generations": len(waits), "poll_s": POLL_S})
    )
    print(f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, longest {max(waits):.2f} s")


async def measured(running: Server, name: str, rate: float, seconds: float) -> list[float]:
    """Seconds from each success at the provider to the last picture's row."""
    quick = Behaviour((0.1, 0.2), (0.5, 2.0), (0.05, 0.1), (0, 0), (0, 0))
    settings = FAST | {"POLL_SECONDS": str(2 * POLL_S)}
    with (
        tempfile.TemporaryDirectory() as home,
        Rig(running, name, Path(home), behaviour=quick).running() as rig,
    ):
        await rig.enrol(4)
        await rig.ask_for_more()
        worker = WorkerProcess(environment(running, name, rig.address, home) | settings, 10)
        try:
            worker.start()
            assert rig.rests(within=120), "no models, nothing to measure"
            await load(rig, rate, seconds)
            assert rig.rests(within=120)
        finally:
            worker.close()
        return settled(rig)


async def load(rig: Rig, rate: float, seconds: float) -> None:
    """Generations at an even rate; few seeds, so that drawing costs the provider nothing."""
    async with Database(rig.server.url(rig.database, "app", APP_PASSWORD)) as pool:
        db, began = StudioDatabase(pool), time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            words = f"in a garden {number // SEEDS}"
            async with db.member(rig.members[number % len(rig.members)]) as tx:
                await generation.ask(
                    tx, words, key=None, new_seed=lambda n=number: n % SEEDS, now=datetime.now(UTC)
                )


def settled(rig: Rig) -> list[float]:
    """Success at the provider → completed here."""
    with psycopg.connect(rig.owner_url) as conn:
        rows = conn.execute(
            "select provider_prediction_id, finished_at from generation_trackers where status = 'completed'"
        ).fetchall()
    ends = {run.id: run.ends_at for run in rig.cloud.runs.values()}
    return [(finished - ends[run_id]).total_seconds() for run_id, finished in rows]


if __name__ == "__main__":
    main()
