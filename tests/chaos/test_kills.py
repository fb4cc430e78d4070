"""Real kills of the real worker, on a real PostgreSQL: every label once, and at random."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portraitist.kit.embedded_postgres import Server
from tests.chaos import killing
from tests.chaos.rig import Rig
from tests.simulation.checker import violations
from tests.simulation.plans import LABELS
from tests.studio_database import studio_database

__all__ = ["studio_database"]
pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def rig(postgres: Server, studio_database: str, tmp_path: Path) -> Iterator[Rig]:
    with Rig(postgres, studio_database, tmp_path).running() as running:
        yield running


async def test_a_worker_killed_at_every_label_loses_nothing(rig: Rig) -> None:
    await rig.enrol(4)
    labels = [label for label in LABELS if not label.startswith("webhooks.")]
    outcome = await killing.at_labels(rig, labels, most_s=420)
    assert set(outcome.labels) == set(labels)
    assert not outcome.violations
    assert max(outcome.resumed_s) < 30
    next((rig.home / "objects").rglob("generations/*/*.png")).unlink()  # the checker really looks here
    found = violations(rig.evidence(at_rest=True, failures=[]))
    assert [what.partition(":")[0] for what in found] == ["I8"]


async def test_the_web_process_killed_while_it_takes_webhooks_loses_nothing(rig: Rig) -> None:
    await rig.enrol(3)
    outcome = await killing.of_web(rig, ["webhooks.stored", "webhooks.taken"], most_s=120)
    assert set(outcome.labels) == {"webhooks.stored", "webhooks.taken"}
    assert not outcome.violations
    stored = rig.evidence(at_rest=True, failures=[]).deliveries
    assert {delivery.message.provider_id for delivery in stored} == set(rig.delivered.values())


async def test_ten_kills_at_random_lose_nothing(rig: Rig) -> None:
    await rig.enrol(6)
    outcome = await killing.at_random(rig, 10, seed=7)
    assert outcome.kills == 10
    assert not outcome.violations
    assert max(outcome.resumed_s) < 30


async def test_with_its_usual_waiting_times_work_goes_on_within_30_seconds(rig: Rig) -> None:
    """The command as operators run it, killed after the provider took the start and before we knew."""
    await rig.enrol(1)
    await rig.ask_for_more()
    usual = {
        "SWEEP_SECONDS": "1",
        "HEARTBEAT_SECONDS": "2",
        "STALLED_AFTER_SECONDS": "8",
        "POLL_SECONDS": "1",
        "LEASE_SECONDS": "10",
        "START_ANSWER_SECONDS": "30",
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PORTRAITIST")}
    worker = rig.worker()
    environment |= worker.environment | usual | {"PORTRAITIST_TESTING": "1"}
    worker.close()
    command = [sys.executable, "-m", "portraitist.cli", "worker"]
    armed = environment | {"PORTRAITIST_FAILPOINTS": "training.after_post"}
    first = subprocess.run(command, env=armed, capture_output=True, text=True, check=False, timeout=60)
    assert first.returncode == -signal.SIGKILL, first.stderr[-2_000:]
    assert re.search("^failpoint training.after_post", first.stderr, re.M)
    killed_at = time.time()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as second:
        at_rest = rig.rests(within=60, tidy=False)  # zips are looked for after a quarter of an hour
        second.kill()
    assert not violations(rig.evidence(at_rest=at_rest, failures=[]))
    assert len([run for run in rig.cloud.runs.values() if run.kind == "trainings"]) == 1
    assert min(moved for moved in rig.moved_at() if moved > killed_at) - killed_at < 30
