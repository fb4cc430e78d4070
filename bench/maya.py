"""Maya on one web process: from a language model's first token to the first words at the client, from a click on a card
to queued pictures, and many conversations that stream at once.

    python bench/maya.py [--chats 200] [--shots 100]

The model is a scripted server behind OpenAI's interface in this process, so both ends have one clock; the studio's web
process is another process, with a real database. Clients and server share this machine's cores. Targets: 100 ms, 50 ms,
200 conversations, none of them broken.
"""

import argparse
import asyncio
import hashlib
import json
import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import throwaway

# isort: split
import httpx2
import psycopg
from tests.fakes.llm_server import ScriptedModel, answer
from tests.fakes.serving import served as model_served

from live_pages import served
from portraitist.kit.embedded_postgres import Server

ROUNDS = 20
LATE, LATE_EVERY_S, ALL_STREAM_S = 20, 0.4, 3
"""How many more begin while the many stream, the time between two of them, and the time before the first."""
REPLY = "I can see it: a clear place, good cloth and one soft light. " * 3
MEMBERS = """with member as (
        insert into users (id, handle, subject_word, created_at)
        select lpad(n::text, 12, 'm'), 'name:' || n, 'person', now() from generate_series(1, %(count)s) n returning id),
    training as (
        insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
            next_check_at, provider_training_id, candidate_version, created_at, finished_at)
        select id, gen_random_uuid(), 'completed', 'engine', 'user' || id, 'studio/' || id || '-selfie-lora', 't', '{}',
            now(), id, encode(sha256(id::bytea), 'hex'), now(), now() from member returning user_id, id),
    version as (
        insert into model_versions (user_id, id, training_id, account_id, replicate_model_id, replicate_version_id,
            input_schema, verified_image_sha256, created_at, promoted_at)
        select user_id, gen_random_uuid(), id, 'engine', 'studio/' || user_id || '-selfie-lora',
            encode(sha256(user_id::bytea), 'hex'), '{}', sha256(''), now(), now() from training
        returning user_id, id, replicate_model_id, replicate_version_id)
    insert into user_models (user_id, trigger_word, active_version_id, replicate_model_id, replicate_version_id,
        updated_at)
    select user_id, 'user' || user_id, id, replicate_model_id, replicate_version_id, now() from version
    returning user_id"""


def main() -> None:
    """Print the quantiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chats", type=int, default=200)
    parser.add_argument("--shots", type=int, default=100)
    options = parser.parse_args()
    model = TimedModel([answer(REPLY)])
    with throwaway.server() as running, model_served(model) as url:
        name = throwaway.database(running, "maya")
        tokens = members(running, name, options.chats + LATE)
        with served(running, name, **settings(url)) as (port, pid):
            asyncio.run(measured(Bench(model, f"http://127.0.0.1:{port}", pid, tokens), options))


def settings(url: str) -> dict[str, str]:
    """The model's, and rates that a bench does not meet."""
    return {
        "MAYA_MODEL": "openai-chat:scripted",
        "MAYA_API_KEY": "none",
        "MAYA_URL": f"{url}/v1",
        "MAYA_TOKENS_PER_MEMBER_PER_DAY": "1000000000",
        "MEMBER_WRITES_PER_MINUTE": "1000000",
        "MEMBER_READS_PER_MINUTE": "1000000",
    }


def members(running: Server, name: str, count: int) -> list[str]:
    """Members with a model and a token each; the tokens."""
    with psycopg.connect(running.url(name)) as conn:
        conn.execute("insert into provider_accounts values ('engine', 'http://127.0.0.1:1', 'studio', now())")
        made = conn.execute(MEMBERS.encode(), {"count": count}).fetchall()
        tokens = [(user_id, secrets.token_urlsafe(32)) for (user_id,) in made]
        with conn.cursor() as cursor:
            cursor.executemany(
                """insert into api_tokens (user_id, id, token_hash, name, created_at)
                   values (%s, gen_random_uuid(), %s, 'bench', now())""",
                [(user_id, hashlib.sha256(token.encode()).digest()) for user_id, token in tokens],
            )
    return [token for _, token in tokens]


@dataclass
class TimedModel(ScriptedModel):
    """Notes when the first words of each answer leave, by the mark that the question carries."""

    left: dict[str, float] = field(default_factory=dict)

    def _pieces(self, text: str, as_tool: bool) -> Any:
        mark = str(self.asked[-1]["messages"][-1]["content"])
        self.asked.clear()
        return self._timed(super()._pieces(text, as_tool), mark)

    async def _timed(self, pieces: Any, mark: str) -> Any:
        count = 0
        async for piece in pieces:
            count += 1
            if count == FIRST_WORDS:
                self.left[mark] = time.monotonic()
            yield piece


FIRST_WORDS = 3
"""The piece with the first letter that the member reads: after the role and the call's name."""


@dataclass
class Bench:
    """The studio under test."""

    model: TimedModel
    url: str
    pid: int
    tokens: list[str]

    @contextmanager
    def client(self, token: str) -> Iterator[httpx2.AsyncClient]:
        """A member's client."""
        yield httpx2.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=300, trust_env=False
        )

    async def talked(self, token: str, words: str) -> tuple[float, dict[str, Any]]:
        """One answer, streamed: seconds from the model's first words to the client's, and the turn."""
        with self.client(token) as http:
            async with http:
                chat = (await http.post("/api/v1/maya/chats")).json()["id"]
                first, turn = 0.0, {}
                path, headers = f"/api/v1/maya/chats/{chat}/messages", {"Accept": "text/event-stream"}
                async with http.stream("POST", path, json={"words": words}, headers=headers) as told:
                    async for line in told.aiter_lines():
                        if line == "event: words" and not first:
                            first = time.monotonic()
                        if line.startswith('data: {"said"'):
                            turn = json.loads(line.removeprefix("data: "))
        if not turn:
            raise SystemExit(f"an answer broke off: {told.status_code}")
        return first - self.model.left[words], turn

    async def shots(self, token: str, card: str, count: int) -> list[float]:
        """Seconds from a click to queued pictures."""
        waits = []
        with self.client(token) as http:
            async with http:
                for _ in range(count):
                    begun = time.perf_counter()
                    answered = await http.post(f"/api/v1/maya/cards/{card}/shoot")
                    waits.append(time.perf_counter() - begun)
                    answered.raise_for_status()
        return waits


async def measured(bench: Bench, options: argparse.Namespace) -> None:
    """All three figures."""
    await _ready(bench)
    _, turn = await bench.talked(bench.tokens[0], "warm up")
    alone = [(await bench.talked(bench.tokens[0], f"alone {n}"))[0] for n in range(ROUNDS)]
    shots = await bench.shots(bench.tokens[0], turn["answer"]["cards"][0]["id"], options.shots)
    bench.model.pause_s, bench.model.open_most = 0.05, 0
    begun, cpu = time.monotonic(), throwaway.cpu_seconds(bench.pid)
    async with asyncio.TaskGroup() as all_of_them:
        many = [
            all_of_them.create_task(bench.talked(token, f"together {n}"))
            for n, token in enumerate(bench.tokens[: options.chats])
        ]
        await asyncio.sleep(ALL_STREAM_S)
        late, streaming = [], []
        for n, token in enumerate(bench.tokens[options.chats :]):
            streaming.append(sum(not task.done() for task in many))
            late.append(all_of_them.create_task(bench.talked(token, f"late {n}")))
            await asyncio.sleep(LATE_EVERY_S)
    took, cpu = time.monotonic() - begun, throwaway.cpu_seconds(bench.pid) - cpu
    among, together = ([task.result()[0] for task in tasks] for tasks in (late, many))
    result = {
        "first_words_ms": quantiles(alone),
        "click_to_queued_ms": quantiles(shots),
        "chats": len(many),
        "streaming_at_once": bench.model.open_most,
        "streaming_while_more_begin": min(streaming),
        "first_words_among_many_ms": quantiles(among),
        "first_words_begun_at_once_ms": quantiles(together),
        "seconds": round(took, 1),
        "web_cpu_seconds": round(cpu, 1),
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


async def _ready(bench: Bench) -> None:
    async with httpx2.AsyncClient(base_url=bench.url, trust_env=False) as http:
        for _ in range(600):
            try:
                if (await http.get("/healthz")).is_success:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit("the web process did not start")


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: median, 95th percentile, most."""
    ordered = sorted(seconds)
    return {
        "p50": round(1000 * statistics.median(ordered), 1),
        "p95": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 1),
        "max": round(1000 * ordered[-1], 1),
    }


if __name__ == "__main__":
    main()
