"""A thousand webhooks in ten seconds: how long each waits for its answer, and whether each woke its row.

    python bench/webhooks.py --count 1000 --seconds 10 --bytes 5000
    python bench/webhooks.py --count 20 --seconds 10 --bytes 16700000      # runs with their whole log

The real `portraitist web` on a real PostgreSQL; the client is a process of its own on the same machine.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import throwaway

# isort: split
import httpx2
import psycopg
from tests.chaos.rig import Rig
from tests.fakes.simulated_webhooks import Post, signed

ROWS = """insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
        next_check_at, provider_training_id, candidate_version, verify_prediction_id, webhook_token, created_at)
    select user_id, gen_random_uuid(), 'verifying', account_id, trigger_word, destination, trainer, '{}',
        next_check_at + interval '1 day', 'train' || n, repeat('a', 64), 'run' || n, 'token' || n, created_at
    from trainings, generate_series(1, %s) as n"""


def main() -> int:
    """Print the quantiles; 1 where an answer took longer than a second or a row was not woken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bytes", type=int, default=5_000, help="size of one body")
    options = parser.parse_args()
    with throwaway.server() as running, tempfile.TemporaryDirectory() as home:
        name = throwaway.database(running, "webhooks")
        with Rig(running, name, Path(home)).running() as rig, web(rig) as (address, process):
            began = throwaway.cpu_seconds(process)
            outcomes, waits = asyncio.run(measured(rig, address, options))
            used = throwaway.cpu_seconds(process) - began
            with psycopg.connect(rig.owner_url) as conn:
                woken = conn.execute(
                    "select count(*) from webhook_deliveries where outcome = 'woke'"
                ).fetchone()
    assert woken is not None
    cuts = statistics.quantiles(waits, n=100)
    print(json.dumps(vars(options) | {"outcomes": outcomes, "woken": woken[0], "cpu_s": round(used, 1)}))
    print(f"p50 {cuts[49] * 1e3:.0f} ms, p99 {cuts[98] * 1e3:.0f} ms, longest {max(waits) * 1e3:.0f} ms")
    return 0 if max(waits) <= 1 and woken[0] == options.count else 1


@contextmanager
def web(rig: Rig) -> Iterator[tuple[str, int]]:
    """The web process; its address and its id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = rig.worker()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PORTRAITIST_")}
    environment = (
        clean | place.environment | {"STUDIO_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    )
    place.close()
    command = [sys.executable, "-m", "portraitist.cli", "web"]
    log = rig.home / "web.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(command, env=environment, stdout=said, stderr=said) as process,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/", process, log)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            httpx2.get(url, timeout=5)
            return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"web did not start: {log.read_text()[-1_000:]}")


async def measured(rig: Rig, address: str, options: argparse.Namespace) -> tuple[dict[str, int], list[float]]:
    """What was answered, and after how many seconds each."""
    await rig.enrol(1)
    await rig.ask_for_more()
    with psycopg.connect(rig.owner_url) as conn:
        conn.execute(ROWS.encode(), (options.count,))
    limits = httpx2.Limits(max_connections=100)
    outcomes: Counter[str] = Counter()
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=60) as client:

        async def send(number: int) -> float:
            await asyncio.sleep(number * options.seconds / options.count)
            post = _post(rig, number + 1, options.bytes)
            sent = time.perf_counter()
            answer = await client.post(post.url, content=post.body, headers=dict(post.headers))
            outcomes[f"{answer.status_code} {answer.json().get('outcome')}"] += 1
            return time.perf_counter() - sent

        waits = await asyncio.gather(*(send(number) for number in range(options.count)))
    return dict(outcomes), waits


def _post(rig: Rig, number: int, size: int) -> Post:
    about = {"id": f"run{number}", "status": "succeeded", "logs": ""}
    about["logs"] = "x" * max(0, size - len(json.dumps(about)))
    body = json.dumps(about).encode()
    url = f"/webhooks/replicate/engine/verification/token{number}"
    return Post(url, signed(rig.cloud, f"message{number}", body), body, about["id"])


if __name__ == "__main__":
    raise SystemExit(main())
