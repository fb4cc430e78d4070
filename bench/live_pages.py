"""Thousands of open progress streams on one web process: milliseconds from an event's commit to its client.

Each stream is another member's, over HTTP as a page opens it. Meanwhile trainings move, at an even rate and in a
burst, as workers move them. Printed besides: what open streams cost while nothing moves (CPU and transactions).
Targets: 2,000 streams, p99 of 100 ms.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import throwaway

# isort: split
import psycopg
from tests.studio_database import APP_PASSWORD

from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.events import service as events

SERVE = """
import sys, uvicorn
from portraitist.studio import app
from portraitist.studio.config import StudioSettings
uvicorn.run(app.create(StudioSettings()), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", backlog=4096,
    timeout_graceful_shutdown=2)
"""
MEMBERS = """with member as (
        insert into users (id, handle, subject_word, created_at)
        select lpad(n::text, 12, 'm'), 'name:' || n, 'person', now() from generate_series(1, {count}) n returning id)
    insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
        next_check_at, admitted_at, provider_training_id, phase, step, total_steps, logs_tail, created_at, started_at)
    select id, gen_random_uuid(), 'training', 'engine', 'user' || id, 'studio/' || id || '-selfie-lora', 't', '{{}}',
        now() + interval '1 year', now(), id,
        'training', 0, 1000, repeat('a line of the log ', 40), now(), now() from member returning user_id, id"""
OPENING_AT_ONCE = 50
BURSTS = 20


def main() -> None:
    """Print the quantiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=50, help="events a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--burst", type=int, default=20, help="trainings that move in the same moment, each second"
    )
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * options.streams + 500,) * 2)
    with throwaway.server() as running:
        name = throwaway.database(running, "live_pages")
        trainings = members(running, name, options.streams)
        with served(running, name) as (port, pid):
            asyncio.run(measured(Bench(running, name, port, pid, trainings), options))


def members(running: Server, name: str, count: int) -> dict[str, tuple[UUID, str]]:
    """Members with a running training and a token each: by id."""
    with psycopg.connect(running.url(name)) as conn:
        conn.execute("insert into provider_accounts values ('engine', 'http://127.0.0.1:1', 'studio', now())")
        made = conn.execute(MEMBERS.format(count=count).encode()).fetchall()
        tokens = {user_id: secrets.token_urlsafe(32) for user_id, _ in made}
        with conn.cursor() as cursor:
            cursor.executemany(
                """insert into api_tokens (user_id, id, token_hash, name, created_at)
                   values (%s, gen_random_uuid(), %s, 'bench', now())""",
                [(user_id, hashlib.sha256(token.encode()).digest()) for user_id, token in tokens.items()],
            )
    return {user_id: (training_id, tokens[user_id]) for user_id, training_id in made}


@contextmanager
def served(running: Server, name: str, **more: str) -> Iterator[tuple[int, int]]:
    """The studio's web process on a free port, with `more` settings: port and process id."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as home:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        settings = {
            "PORTRAITIST_HOME": home,
            "DATABASE_URL": running.url(name, "app", APP_PASSWORD),
            "REPLICATE_BASE_URL": "http://127.0.0.1:1",
            "REPLICATE_API_TOKEN": "r8_token",
            "REPLICATE_USERNAME": "studio",
            "INSTANCE_TOKEN": secrets.token_hex(32),
            "SECRET_KEY": secrets.token_hex(32),
            **more,
        }
        probe.close()
        web = subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env=os.environ | settings)
        try:
            yield port, web.pid
        finally:
            web.terminate()
            web.wait(30)


@dataclass
class Bench:
    """The studio under test, and when which event was committed and heard."""

    running: Server
    database: str
    port: int
    pid: int
    trainings: dict[str, tuple[UUID, str]]
    sent: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    waits: list[float] = field(default_factory=list)
    step: int = 0

    async def stream(self, user_id: str, opened: asyncio.Semaphore, ready: asyncio.Queue[str]) -> None:
        """One page's stream: notes when each event arrives."""
        async with opened:
            reader, writer = await self._connected()
            _, token = self.trainings[user_id]
            writer.write(
                f"GET /api/v1/events HTTP/1.1\r\nhost: studio\r\nauthorization: Bearer {token}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise SystemExit(f"a stream was refused: {await reader.read(500)!r}")
            try:
                await reader.readuntil(b": snapshot")
            except asyncio.IncompleteReadError as exc:
                raise SystemExit(f"a stream broke off: {exc.partial[-500:]!r}") from exc
        ready.put_nowait(user_id)
        async for line in reader:
            if line.startswith(b"data: "):
                now = time.perf_counter()
                shown = json.loads(line.removeprefix(b"data: "))["step"]
                waiting = self.sent[user_id]
                for step in [step for step in waiting if step <= shown]:  # what moved on quickly comes once
                    self.waits.append(1000 * (now - waiting.pop(step)))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(300):
            try:
                return await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
            except ConnectionRefusedError:
                await asyncio.sleep(0.2)
        raise SystemExit("the web process does not come up")

    async def move(self, db: StudioDatabase, user_id: str) -> None:
        """One training goes a step on, as a worker writes it."""
        self.step += 1
        step, (training_id, _) = self.step, self.trainings[user_id]
        async with db.member(user_id) as tx:
            await tx.run("update trainings set step = %s where id = %s", (step, training_id))
            await events.announce(tx, "training", training_id)
            self.sent[user_id][step] = time.perf_counter()  # the commit follows


async def measured(bench: Bench, options: argparse.Namespace) -> None:
    """Open the streams, rest, move."""
    ready: asyncio.Queue[str] = asyncio.Queue()
    gate, began = asyncio.Semaphore(OPENING_AT_ONCE), time.perf_counter()
    streams = [asyncio.create_task(bench.stream(user_id, gate, ready)) for user_id in bench.trainings]
    for _ in streams:
        await asyncio.wait_for(ready.get(), 120)
    print(f"{len(streams)} streams opened in {time.perf_counter() - began:.1f} s")
    await resting(bench)
    rng, everybody = random.Random(7), list(bench.trainings)
    async with Database(bench.running.url(bench.database, "app", APP_PASSWORD), max_size=4) as pool:
        db = StudioDatabase(pool)
        cpu, began = throwaway.cpu_seconds(bench.pid), time.perf_counter()
        for number in range(int(options.rate * options.seconds)):
            await asyncio.sleep(max(0.0, began + number / options.rate - time.perf_counter()))
            await bench.move(db, rng.choice(everybody))
        await all_heard(bench)
        took = time.perf_counter() - began
        report(f"{options.rate:.0f} events/s", bench, (throwaway.cpu_seconds(bench.pid) - cpu) / took)
        await burst(bench, db, rng.sample(everybody, options.burst))
        report(f"the first {options.burst} at once, while connections are opened", bench, None)
        for _ in range(BURSTS):
            await burst(bench, db, rng.sample(everybody, options.burst))
            await asyncio.sleep(1)
        report(f"{options.burst} at once", bench, None)
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def burst(bench: Bench, db: StudioDatabase, members: list[str]) -> None:
    """Trainings that move in the same moment, until all of them are heard."""
    await asyncio.gather(*(bench.move(db, each) for each in members))
    await all_heard(bench)


async def resting(bench: Bench) -> None:
    """What open streams cost while nothing moves."""
    before, cpu, began = transactions(bench), throwaway.cpu_seconds(bench.pid), time.perf_counter()
    await asyncio.sleep(20)
    took = time.perf_counter() - began
    spent = throwaway.cpu_seconds(bench.pid) - cpu
    done = transactions(bench) - before
    print(f"at rest: {100 * spent / took:.1f} % of a core, {done / took:.1f} transactions a second")


def transactions(bench: Bench) -> int:
    """Transactions of the database so far, as far as they are counted."""
    with psycopg.connect(bench.running.url(bench.database)) as conn:
        row = conn.execute(
            "select xact_commit from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def all_heard(bench: Bench) -> None:
    """Until every event has arrived; one that never does ends the bench."""
    async with asyncio.timeout(30):
        while any(bench.sent.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def report(what: str, bench: Bench, cpu: float | None) -> None:
    """The quantiles of what was heard since the last report."""
    cuts = statistics.quantiles(bench.waits, n=100)
    costs = "" if cpu is None else f", web process {100 * cpu:.0f} % of a core"
    print(
        f"{what}: {len(bench.waits)} heard, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms [100], "
        f"longest {max(bench.waits):.1f} ms{costs}"
    )
    bench.waits.clear()


if __name__ == "__main__":
    main()
