"""From the provider's success to the picture durably in the gallery: seconds, p50 and p99.

    python bench/to_gallery.py --rate 20 --size 192 256 --seconds 20 --webhooks
    python bench/to_gallery.py --rate 3 --size 896 1152 --seconds 20

With `--webhooks` the provider tells a web process of its own of each end; without, runs are looked at.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import throwaway

# isort: split
import httpx2
import psycopg
from tests.chaos.rig import Rig, WorkerProcess
from tests.fakes import pictures
from tests.fakes.simulated_cloud import Behaviour, Run, picture
from tests.fakes.simulated_webhooks import post_of
from tests.studio_database import APP_PASSWORD

from in_flight import environment
from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.generation import service as generation
from portraitist.studio.prompting.refusing import Refusals
from transitions import FAST

POLL_S = 1.0  # of generations: half of POLL_SECONDS
MANY_SEEDS, FEW_SEEDS = 40, 5  # each draws three pictures of each member


def main() -> None:
    """Print the quantiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=20, help="generations a second")
    parser.add_argument("--size", type=int, nargs=2, default=[192, 256])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--webhooks", action="store_true")
    options = parser.parse_args()
    pictures.SIZE = tuple(options.size)
    with throwaway.server() as running:
        name = throwaway.database(running, "to_gallery")
        waits = asyncio.run(measured(running, name, options))
    cuts = statistics.quantiles(waits, n=100)
    print(json.dumps(vars(options) | {"generations": len(waits), "poll_s": POLL_S}))
    print(f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, longest {max(waits):.2f} s")


async def measured(running: Server, name: str, options: argparse.Namespace) -> list[float]:
    """Seconds from each success at the provider to the last picture's row."""
    quick = Behaviour((0.1, 0.2), (0.5, 2.0), (0.05, 0.1), (0, 0), (0, 0))
    with (
        tempfile.TemporaryDirectory() as home,
        Rig(running, name, Path(home), behaviour=quick).running() as rig,
        web_process(environment(running, name, rig.address, home), options.webhooks) as told_at,
        telling(rig, told_at is not None),
    ):
        await rig.enrol(4)
        await rig.ask_for_more()
        settings = FAST | {"POLL_SECONDS": str(2 * POLL_S)} | ({"WEBHOOKS_URL": told_at} if told_at else {})
        worker = WorkerProcess(environment(running, name, rig.address, home) | settings)
        try:
            worker.start()
            assert rig.rests(within=120, tidy=False), "no models, nothing to measure"
            seeds = MANY_SEEDS if options.size[0] < 512 else FEW_SEEDS
            draw_before(rig, seeds)
            await load(rig, options.rate, options.seconds, seeds)
            assert rig.rests(within=120, tidy=False)
        finally:
            worker.close()
        return settled(rig)


@contextlib.contextmanager
def web_process(settings: dict[str, str], wanted: bool) -> Iterator[str | None]:
    """The studio's web process where webhooks arrive, if they are wanted; gives its address."""
    if not wanted:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = {"STUDIO_PORT": str(port), "WEBHOOKS_URL": address}
    command = [sys.executable, "-c", "from portraitist.cli.main import run; run()", "web"]
    process = subprocess.Popen(command, env=os.environ | settings | own, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{address}/static/", timeout=5)
                break
            assert process.poll() is None, "the web process ended"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def telling(rig: Rig, wanted: bool) -> Iterator[None]:
    """The provider's part of webhooks: each start and end is told once, signed, within 10 ms."""
    over = threading.Event()

    def tell(http: httpx2.Client, run: Run, event: str) -> None:
        post = post_of(rig.cloud, run, event)
        http.post(post.url, content=post.body, headers=dict(post.headers))

    def watch() -> None:
        seen, waiting = 0, list[tuple[datetime, Run, str]]()
        with httpx2.Client(timeout=30) as http, ThreadPoolExecutor(4) as pool:
            while not over.wait(0.01):
                new = list(rig.cloud.runs.values())[seen:]
                seen += len(new)
                for run in new:
                    if run.kind == "trainings":  # of predictions the studio asks for their ends alone
                        waiting.append((run.started_at, run, "start"))
                    waiting.append((run.ends_at, run, "completed"))
                now = datetime.now(UTC)
                for at, run, event in waiting:
                    if at <= now and run.webhook:
                        pool.submit(tell, http, run, event)
                waiting = [each for each in waiting if each[0] > now]

    watching = threading.Thread(target=watch, daemon=True)
    if wanted:
        watching.start()
    try:
        yield
    finally:
        over.set()
        if wanted:
            watching.join(timeout=30)


def draw_before(rig: Rig, seeds: int) -> None:
    """Every picture that will be asked for, so that the provider draws none while it is measured."""
    for model in {run.model for run in rig.cloud.runs.values()}:
        for seed in range(seeds):
            for number in range(3):
                picture(model, seed, number)


async def load(rig: Rig, rate: float, seconds: float, seeds: int) -> None:
    """Generations at an even rate, with so many seeds."""
    async with Database(rig.server.url(rig.database, "app", APP_PASSWORD)) as pool:
        db, began = StudioDatabase(pool), time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            words = f"in a garden {number // seeds}"
            async with db.member(rig.members[number % len(rig.members)]) as tx:
                await generation.ask(
                    tx,
                    words,
                    key=None,
                    new_seed=lambda n=number: n % seeds,
                    refusals=Refusals(),
                    now=datetime.now(UTC),
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
