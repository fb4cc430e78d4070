"""Isolation, probed for long: one member's requests and statements at another's things, each judged by itself.

    python bench/isolation_probes.py --http 100000 --sql 1000000 --cycles 10000
    python bench/isolation_probes.py --long          (1,000,000, 10,000,000 and 1,000,000)

HTTP: every route × every id parameter × every id of the other member, in random order and some at once, compared
with the answer on something that does not exist. SQL: statements by key as `app`, thousands a round trip, each
executed and judged under the policies. Cycles: two members in turn through a pool of one connection, with errors and
cuts between.
A planted hole must be found first, or nothing else counts. "0 of N" bounds the true rate by about 3/N (95 %).
"""

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import throwaway

# isort: split
import psycopg
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.fakes.serving import served
from tests.fakes.simulated_cloud import Behaviour, SimulatedCloud
from tests.fakes.simulated_http import CloudOverHttp
from tests.security.full_members import FullMember, Studio, filled, opened
from tests.security.pool import cycles
from tests.security.routes import probes_of, routes_of
from tests.security.sql_probes import Conn, keys_by_member, member_tables, sweep, sweep_probes
from tests.security.test_isolation_over_http import leak_of
from tests.studio_database import APP_PASSWORD, migrated

from portraitist.kit.embedded_postgres import Server

DATABASE = "isolation"
IN_A_ROUND_TRIP = 5_000
AT_ONCE = 6
SAY_EVERY_S = 60.0
PLANT = "create policy planted on ai_images for select to app using (true)"
UPROOT = "drop policy planted on ai_images"


def main() -> None:
    """Print how many probes of each kind were made and how many found a leak; exit 1 on any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--http", type=int, default=2_000)
    parser.add_argument("--sql", type=int, default=50_000)
    parser.add_argument("--cycles", type=int, default=1_000)
    parser.add_argument(
        "--long", action="store_true", help="1,000,000 HTTP, 10,000,000 SQL, 1,000,000 cycles"
    )
    parser.add_argument("--seed", type=int, default=20261121)
    given = parser.parse_args()
    if given.long:
        given.http, given.sql, given.cycles = 1_000_000, 10_000_000, 1_000_000
    found = run(given.http, given.sql, given.cycles, given.seed)
    sys.exit(1 if found else 0)


def run(http: int, statements: int, turns: int, seed: int) -> int:
    """All three kinds on a throw-away studio; returns the number of leaks."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    print(f"commit {commit.stdout.strip()}, seed {seed}", flush=True)
    with throwaway.server() as server, tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"create database {DATABASE}".encode())
        migrated(server, DATABASE, server.url(DATABASE))
        with contextlib.redirect_stdout(sys.stderr):  # the studio's own log
            members = filled(server, DATABASE, Path(folder))
        found = sql_probes(server, members, statements, random.Random(seed))
        found += asyncio.run(pool_cycles(server, members, turns))
        found += asyncio.run(http_probes(server, Path(folder) / "home", members, http, random.Random(seed)))
    return found


def sql_probes(
    server: Server, members: tuple[FullMember, FullMember], count: int, chance: random.Random
) -> int:
    """Statements by key, in random order, over and over."""
    app_url = server.url(DATABASE, "app", APP_PASSWORD)
    with (
        psycopg.connect(server.url(DATABASE), autocommit=True) as superuser,
        psycopg.connect(app_url, autocommit=True) as app,
    ):
        tables = member_tables(superuser)
        keys = keys_by_member(superuser, tables, [member.id for member in members])
        probes = sweep_probes(app, keys, tables)
        _planted_hole_is_found(superuser, app, probes)
        began, tried, leaked, told = time.monotonic(), 0, 0, time.monotonic()
        while tried < count:
            chosen = chance.choices(probes, k=min(IN_A_ROUND_TRIP, count - tried))
            done, leaks, last = sweep(app, chosen)
            tried, leaked = tried + done, leaked + leaks
            if leaks:
                print(f"LEAK {last}", flush=True)
            if tried % (20 * IN_A_ROUND_TRIP) == 0:
                superuser.execute("vacuum")
            told = _progress("SQL", tried, leaked, told)
        _result("SQL statements", tried, leaked, time.monotonic() - began)
        print(f"  {len(probes)} different ones on {len(tables)} tables", flush=True)
        return leaked


def _planted_hole_is_found(superuser: Conn, app: Conn, probes: list[tuple[str, str, str, str]]) -> None:
    superuser.execute(PLANT.encode())
    _, leaks, _ = sweep(app, probes)
    superuser.execute(UPROOT.encode())
    if not leaks:
        raise SystemExit("the probes do not find a planted hole: their zeros would mean nothing")


async def pool_cycles(server: Server, members: tuple[FullMember, FullMember], count: int) -> int:
    """Two members in turn through one connection."""
    began = time.monotonic()
    leaked = await cycles(server.url(DATABASE, "app", APP_PASSWORD), [m.id for m in members], count)
    _result("pool cycles", count, leaked, time.monotonic() - began)
    return leaked


async def http_probes(
    server: Server, home: Path, members: tuple[FullMember, FullMember], count: int, chance: random.Random
) -> int:
    """Requests at the other's ids, both ways, in random order."""
    cloud = SimulatedCloud(lambda: datetime.now(UTC), chance, Behaviour())  # it says how webhooks are signed
    with (
        contextlib.redirect_stdout(sys.stderr),
        served(CloudOverHttp(cloud)) as address,
    ):  # the studio's own log
        provider = {"replicate_base_url": address, "replicate_api_token": cloud.token}
        async with opened(server, DATABASE, home, members, **provider) as studio:
            answers = Answers(studio.web)
            tried, leaked, by_route, seconds = await _http(studio, answers, count, chance)
    _result("HTTP requests", tried, leaked, seconds)
    print(
        f"  answered {', '.join(f'{status}: {times:,}' for status, times in sorted(answers.count.items()))}"
    )
    print(
        f"  {len(by_route)} route parameters, each asked {min(by_route.values())} to {max(by_route.values())} times"
    )
    return leaked


class Answers:
    """The app, with its answers counted by status: one that refuses everything would prove nothing."""

    def __init__(self, web: ASGIApp) -> None:
        self._web = web
        self.count: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.count[message["status"]] += 1
            await send(message)

        await self._web(scope, receive, noting)


async def _http(
    studio: Studio, answers: Answers, count: int, chance: random.Random
) -> tuple[int, int, Counter[str], float]:
    routes = routes_of(studio.web)
    sides = []
    for one, other in ((studio.one, studio.other), (studio.other, studio.one)):
        side = replace(studio, one=one, other=other, web=cast(FastAPI, answers))
        probes = probes_of(routes, side.ids(other), side.ids(one), every_kind=True)
        sides.append((side, side.marks(other) - side.marks(one), probes))
    before = {member.id: studio.belongings(member) for member in (studio.one, studio.other)}
    by_route: Counter[str] = Counter()
    began, told, tried, leaked = time.monotonic(), time.monotonic(), 0, 0
    while tried < count:
        side, marks, probes = chance.choice(sides)
        chosen = chance.choices(probes, k=AT_ONCE)
        found = await asyncio.gather(*(leak_of(side, probe, marks) for probe in chosen))
        tried += 2 * AT_ONCE  # the foreign one and the made-up one of each
        by_route.update(f"{probe.route.method} {probe.route.path} {probe.name}" for probe in chosen)
        for probe, leak in zip(chosen, found, strict=True):
            if leak:
                leaked += 1
                where = f"{probe.route.method} {probe.route.path} {probe.name}={probe.value}"
                print(f"LEAK {where}: {leak}", flush=True)
        told = _progress("HTTP", tried, leaked, told)
    for member in (studio.one, studio.other):
        if studio.belongings(member) != before[member.id]:
            leaked += 1
            print(f"LEAK something of {member.id} was changed", flush=True)
    return tried, leaked, by_route, time.monotonic() - began


def _progress(kind: str, tried: int, leaked: int, told: float) -> float:
    if time.monotonic() - told < SAY_EVERY_S:
        return told
    print(f"  {kind}: {tried:,} so far, {leaked} leaks", file=sys.stderr, flush=True)
    return time.monotonic()


def _result(kind: str, tried: int, leaked: int, seconds: float) -> None:
    print(
        f"{kind}: {tried:,} probes, {leaked} leaks, {seconds:,.0f} s, {tried / max(seconds, 1e-9):,.0f}/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
