"""Broken lines to the database and to the provider: answers that never arrive, connections that break, slowness."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.generation.domain import Status as Drawing
from portraitist.studio.training.domain import Status
from tests.chaos.rig import Rig, WorkerProcess
from tests.fakes.proxy import Proxy, proxied
from tests.simulation.checker import violations
from tests.studio_database import APP_PASSWORD, studio_database

__all__ = ["studio_database"]
pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def rig(postgres: Server, studio_database: str, tmp_path: Path) -> Iterator[Rig]:
    with Rig(postgres, studio_database, tmp_path).running() as running:
        yield running


@pytest.fixture
def database(rig: Rig) -> Iterator[Proxy]:
    with proxied(str(rig.server.socket_dir / f".s.PGSQL.{rig.server.port}")) as proxy:
        rig.database_url = f"postgresql://app:{APP_PASSWORD}@127.0.0.1:{proxy.address[1]}/{rig.database}"
        yield proxy


@pytest.fixture
def provider(rig: Rig) -> Iterator[Proxy]:
    where = urlsplit(rig.address)
    assert where.hostname and where.port
    with proxied((where.hostname, where.port)) as proxy:
        yield proxy


def judged(rig: Rig, worker: WorkerProcess, *, within: float = 60) -> None:
    at_rest = rig.rests(within=within)
    time.sleep(2.5)  # a last look for twins
    failures = [line for line in worker.said() if "job failed" in line]
    worker.close()
    found = rig.evidence(at_rest=at_rest, failures=failures)
    assert not violations(found)
    assert {row.status for row in found.trainings} == {Status.COMPLETED}
    assert {row.status for row in found.generations} <= {Drawing.COMPLETED}


async def test_a_start_whose_answer_never_came_is_adopted(rig: Rig, provider: Proxy) -> None:
    await rig.enrol(1)
    await rig.ask_for_more()
    provider.swallow = b"POST /v1/models/ostris"
    worker = rig.worker(provider_url=f"http://127.0.0.1:{provider.address[1]}")
    worker.start()
    assert rig.rests(within=60)
    await rig.ask_for_more()
    provider.swallow = b"POST /v1/predictions"
    judged(rig, worker)
    assert provider.swallowed == 2
    assert len([run for run in rig.cloud.runs.values() if run.kind == "trainings"]) == 1
    assert len([run for run in rig.cloud.runs.values() if run.input.get("num_outputs") == 3]) == 1


async def test_commits_whose_answer_never_came_are_not_repeated(rig: Rig, database: Proxy) -> None:
    """Those of whole transactions, and those that a single statement is by itself."""
    await rig.enrol(3)
    await rig.ask_for_more()
    worker = rig.worker()
    worker.start()
    for number in range(12):
        database.swallow = b"; commit" if number % 2 else b"update "
        time.sleep(0.4)
        await rig.ask_for_more()
    judged(rig, worker)
    assert database.swallowed >= 6


async def test_connections_to_the_database_may_break_at_any_time(rig: Rig, database: Proxy) -> None:
    await rig.enrol(3)
    await rig.ask_for_more()
    worker = rig.worker()
    worker.start()
    for number in range(10):
        database.delay_s = 0.01 if number % 2 else 0.0
        time.sleep(0.5)
        database.break_all()
        await rig.ask_for_more()
    database.cut = True
    database.break_all()
    time.sleep(1.5)
    database.cut, database.delay_s = False, 0.0
    judged(rig, worker)


async def test_the_provider_may_be_slow_and_go_away(rig: Rig, provider: Proxy) -> None:
    await rig.enrol(3)
    await rig.ask_for_more()
    worker = rig.worker(provider_url=f"http://127.0.0.1:{provider.address[1]}")
    worker.start()
    for number in range(8):
        provider.delay_s, provider.cut = (0.05, False) if number % 2 else (0.0, number == 4)
        time.sleep(0.5)
        provider.break_all()
        await rig.ask_for_more()
    provider.delay_s, provider.cut = 0.0, False
    judged(rig, worker, within=90)
