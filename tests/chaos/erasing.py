"""Members who are erased at random moments of their trainings and generations, while the worker is killed all the time.

Afterwards nothing may carry their id: no row, no file or folder, no model at the provider, and nothing may run there.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from portraitist.kit.database import Database
from portraitist.studio.db import StudioDatabase
from portraitist.studio.privacy import service
from tests.chaos.rig import Rig, WorkerProcess
from tests.simulation.plans import LABELS
from tests.studio_database import APP_PASSWORD

ERASURE_LABELS = (
    "erasure.before_save",
    "erasure.file_gone",
    "erasure.model_gone",
    "erasure.rows_gone",
    "erasure.version_asked",
)
AT_ONCE = 25
SETTLE_S = 3.0
"""So long after all rows are gone, starts whose answers were lost are in the provider's list."""


LIVES_S = 2.0
"""So long a worker lives on average, by the clock: on a machine that is busy the loop comes round less often."""


@dataclass
class Outcome:
    """What was done, what was left of anybody, and in which states members were when they asked."""

    erasures: int = 0
    kills: int = 0
    left: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass
class _Killer:
    """One worker that dies at random and is started again."""

    place: WorkerProcess
    rng: random.Random
    kills: int = 0
    dies_at: float = 0.0

    def tick(self, *, deadly: bool) -> None:
        if self.place.pid is not None and not self.place.died(within=0.02):
            if not deadly or time.monotonic() < self.dies_at:
                return
            self.place.kill()
        self.kills += 1
        self.dies_at = time.monotonic() + self.rng.expovariate(1 / LIVES_S)
        labels = ERASURE_LABELS if self.rng.random() < 0.7 else tuple(LABELS)
        armed = [f"{self.rng.choice(labels)}:{self.rng.randint(1, 4)}"] if deadly else []
        self.place.start(*armed)


async def erase_at_random(rig: Rig, count: int, *, seed: int, most_s: float) -> Outcome:
    """Erase so many members, some at a time; raises TimeoutError where that does not come to its end."""
    outcome, began = Outcome(), time.monotonic()
    rng = random.Random(seed)
    killer = _Killer(rig.worker(), rng, kills=-1)  # the first start is no kill
    try:
        async with asyncio.timeout(most_s):
            while outcome.erasures < count:
                await _some(rig, min(AT_ONCE, count - outcome.erasures), killer, outcome)
    finally:
        killer.place.close()
    outcome.kills, outcome.seconds = killer.kills, time.monotonic() - began
    return outcome


async def _some(rig: Rig, count: int, killer: _Killer, outcome: Outcome) -> None:
    rig.members = []
    await rig.enrol(count)
    now = time.monotonic()
    when = {member: now + killer.rng.uniform(0.1, 12.0) for member in rig.members}
    tokens: list[str] = []
    while len(tokens) < count or _under_way(rig, "stage <> 'watch'"):
        killer.tick(deadly=True)
        await rig.ask_for_more()
        for member in [each for each, at in when.items() if at < time.monotonic()]:
            del when[member]
            outcome.states[_state(rig, member)] += 1
            tokens.append(await _erase(rig, member))
        await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_S)
    while _under_way(rig, "true"):  # the looks of a day, now
        killer.tick(deadly=False)
        _sql(rig, "update erasures set next_check_at = now() where stage = 'watch' and next_check_at > now()")
        await asyncio.sleep(0.3)
    outcome.erasures += count
    outcome.left += leftovers(rig, rig.members)
    outcome.outcomes = _outcomes(rig)


async def _erase(rig: Rig, member: str) -> str:
    async with (
        Database(rig.server.url(rig.database, "app", APP_PASSWORD)) as pool,
        StudioDatabase(pool).member(member) as tx,
    ):
        return (await service.erase_account(tx, None, datetime.now(UTC))).receipt_token


def leftovers(rig: Rig, members: list[str]) -> list[str]:
    """Where a member's id still stands, and what still runs for them."""
    found = []
    tables = _sql(
        rig,
        """select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
           and relname not like 'proof%'""",
    )
    for (table,) in tables:
        for (row,) in _sql(rig, f"select t::text from {table} t"):
            found += [f"{table}: {row[:200]}" for member in members if member in row]
    for path in (rig.home / "objects").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        found += [str(path) for member in members if member in str(path) or member.encode() in data]
    for name in [*rig.cloud.models, *(run.model for run in list(rig.cloud.runs.values()))]:
        held = name in rig.cloud.models or rig.cloud.versions(name)
        found += [f"provider: {name}" for member in members if member in name and held]
    now = datetime.now(UTC)
    for run in list(rig.cloud.runs.values()):
        goes_on = run.status(now) in ("starting", "processing")
        found += [f"runs: {run.kind} {run.id}" for member in members if member in run.model and goes_on]
    return found


def _state(rig: Rig, member: str) -> str:
    """What is in hand for a member: the states of training and generation."""
    running = _sql(
        rig,
        """select (select 'training ' || status from trainings where user_id = %s order by created_at desc limit 1),
           (select 'generation ' || status from generation_trackers where user_id = %s order by created_at desc
            limit 1)""",
        member,
        member,
    )
    return str(running[0][1] or running[0][0] or "nothing yet")


def _outcomes(rig: Rig) -> Counter[str]:
    rows = _sql(
        rig,
        """select line->>'outcome', count(*) from erasure_receipts, jsonb_array_elements(artefacts) line
           where line->>'kind' in ('model', 'model version') group by 1""",
    )
    return Counter({str(outcome): int(count) for outcome, count in rows})


def _under_way(rig: Rig, which: str) -> bool:
    return bool(_sql(rig, f"select 1 from erasures where {which} limit 1"))


def _sql(rig: Rig, query: str, *params: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(rig.owner_url, autocommit=True) as conn:
        cursor = conn.execute(query.encode(), params or None)
        return cursor.fetchall() if cursor.description else []
