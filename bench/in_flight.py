"""What runs in flight cost: thousands of trainings and generations on one worker, beside a plain polling loop.

    python bench/in_flight.py --items 10000 --seconds 60

Both are printed as CPU-seconds per item and minute. Ours includes PostgreSQL; the loop, one request per item every
four seconds as such studios have it, is counted without a database. The provider is a process of its own.
"""

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import throwaway

# isort: split
import httpx2
import psycopg
from tests.chaos.rig import WorkerProcess
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server

EVERY_S = 4.0
ITEMS_SQL = """
insert into provider_accounts (id, base_url, username, created_at) values ('engine', '', 'studio', now());
insert into users (id, handle, subject_word, created_at)
    select lpad(i::text, 12, 'm'), i::text, 'person', now() from generate_series(0, %(half)s - 1) i;
insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
        next_check_at, submit_token, submitted_at, started_at, provider_training_id, created_at, attempt, admitted_at)
    select u.id, gen_random_uuid(), 'training', 'engine', 'user' || u.id, 'studio/' || u.id || '-selfie-lora', 't',
        '{}', now() + random() * interval '20 seconds', u.id, now() - interval '40 minutes' * u.handle::int / %(half)s,
        now() - interval '40 minutes' * u.handle::int / %(half)s, 't' || u.handle, now(), 1, now()
    from users u;
insert into model_versions (user_id, id, training_id, account_id, replicate_model_id, replicate_version_id,
        input_schema, verified_image_sha256, created_at)
    select user_id, gen_random_uuid(), id, 'engine', destination, repeat('ab', 32), '{}',
        decode(repeat('00', 32), 'hex'), now() from trainings;
insert into generation_trackers (user_id, id, status, model_version_id, account_id, words, prompt, seed, requested,
        next_check_at, submitted_at, provider_prediction_id, created_at, attempt, admitted_at)
    select v.user_id, gen_random_uuid(), 'running', v.id, 'engine', '', 'user' || v.user_id || ' x', 1, '{}',
        now() + random() * interval '20 seconds', now() - interval '20 minutes' * u.handle::int / %(half)s,
        'p' || u.handle, now(), 1, now()
    from model_versions v join users u on u.id = v.user_id;
analyze;
"""
"""Half trainings up to 40 minutes old, half generations up to 20, evenly; the provider knows them by number."""


def main() -> None:
    """Print both figures and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--loop-items", type=int, default=1_000)
    parser.add_argument(
        "--webhooks", action="store_true", help="as with an address for the provider's webhooks"
    )
    options = parser.parse_args()
    with provider("--standing", str(options.items // 2)) as address:
        more = {"WEBHOOKS_URL": "http://127.0.0.1:9"} if options.webhooks else {}
        ours, looks = studio(address, options.items, options.seconds, more)
        loop = asyncio.run(polling_loop(address, options.loop_items, min(options.seconds, 30)))
    per_item, loop_per_item = (
        60 * cpu / items for cpu, items in ((ours, options.items), (loop, options.loop_items))
    )
    print(
        f"studio: {100 * ours:.1f} % of a core for {options.items} items ({looks:.1f} single looks a second)"
    )
    print(f"studio: {1000 * per_item:.3f} CPU-ms per item and minute, PostgreSQL included")
    print(f"loop:   {1000 * loop_per_item:.3f} CPU-ms per item and minute ({options.loop_items} items)")
    print(f"ratio:  {loop_per_item / per_item:.1f}")


@contextmanager
def provider(*arguments: str) -> Iterator[str]:
    """The simulated provider in a process of its own; gives its address."""
    script = Path(__file__).parent / "simulated_provider.py"
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def studio(address: str, items: int, seconds: float, more: dict[str, str]) -> tuple[float, float]:
    """CPU-seconds per second of worker and PostgreSQL with so many in flight, and looks a second."""
    with throwaway.server() as running, tempfile.TemporaryDirectory() as home:
        name = throwaway.database(running, "in_flight")
        with psycopg.connect(running.url(name)) as conn:
            for statement in ITEMS_SQL.split(";\n"):
                if statement.strip():
                    conn.execute(
                        statement.encode(), {"half": items // 2} if "%(half)s" in statement else None
                    )
        worker = WorkerProcess(environment(running, name, address, home) | more)
        try:
            worker.start()
            time.sleep(45)  # warm, and the first reading of every page behind it
            return measured(running, name, worker, seconds)
        finally:
            worker.close()


def environment(running: Server, name: str, address: str, home: str) -> dict[str, str]:
    """A worker with the cloud's usual waiting times."""
    return {
        "PORTRAITIST_HOME": home,
        "DATABASE_URL": running.url(name, "app", APP_PASSWORD),
        "REPLICATE_BASE_URL": address,
        "REPLICATE_API_TOKEN": "r8_token",
        "REPLICATE_USERNAME": "studio",
        "INSTANCE_TOKEN": secrets.token_hex(32),
        "SECRET_KEY": secrets.token_hex(32),
        "POLL_SECONDS": "5",
        "LIST_LAG_SECONDS": "60",
        "KEEP_WEIGHTS": "false",
    }


def measured(running: Server, name: str, worker: WorkerProcess, seconds: float) -> tuple[float, float]:
    """CPU a second and row revisions a second over this time."""
    assert worker.pid is not None
    pids = (worker.pid, throwaway.postmaster(running))
    looks, began = revisions(running, name), time.monotonic()
    cpu = [throwaway.cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    took = time.monotonic() - began
    each = [throwaway.cpu_seconds(pid) - before for pid, before in zip(pids, cpu, strict=True)]
    print(f"  worker {100 * each[0] / took:.1f} %, PostgreSQL {100 * each[1] / took:.1f} % of a core")
    spent = sum(each)
    return spent / took, (revisions(running, name) - looks) / took


def revisions(running: Server, name: str) -> int:
    """How often rows were written since they were made."""
    with psycopg.connect(running.url(name)) as conn:
        row = conn.execute(
            "select (select coalesce(sum(revision), 0) from trainings) + "
            "(select coalesce(sum(revision), 0) from generation_trackers)"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def polling_loop(address: str, items: int, seconds: float) -> float:
    """CPU-seconds per second of a loop that asks for each item every four seconds."""
    headers = {"authorization": "Bearer r8_token"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=30) as http:

        async def follow(number: int) -> None:
            await asyncio.sleep(EVERY_S * number / items)
            while True:
                answer = await http.get(f"/v1/predictions/p{number}")
                assert json.loads(answer.content)["status"] == "processing"
                await asyncio.sleep(EVERY_S)

        following = [asyncio.create_task(follow(number)) for number in range(items)]
        await asyncio.sleep(EVERY_S)
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        spent = (time.process_time() - cpu) / (time.monotonic() - began)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return spent


if __name__ == "__main__":
    main()
