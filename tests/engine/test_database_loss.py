"""A PostgreSQL that is killed in the middle: the API says so, the work goes on, nothing is lost."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from portraitist.engine.tiny.drawing import draw_selfies
from portraitist.kit.embedded_postgres import EmbeddedPostgres

from .conftest import migrated, settings_in
from .harness import SMALL_WORKER, photo_zip, serving

pytestmark = pytest.mark.slow


@pytest.fixture
def own_postgres() -> Iterator[tuple[EmbeddedPostgres, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="portraitist-tests-"))
    folder.chmod(0o711)
    embedded = EmbeddedPostgres(folder / "home", state_root=folder / "state")
    try:
        yield embedded, folder
    finally:
        embedded.stop()
        shutil.rmtree(folder)


def kill_server(folder: Path) -> None:
    """With the processes of its connections: left alone they go on answering until they notice."""
    [pid_file] = (folder / "state").rglob("postmaster.pid")
    pid = int(pid_file.read_text().split()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(pid, signal.SIGKILL)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def test_a_training_survives_the_death_of_the_database(
    own_postgres: tuple[EmbeddedPostgres, Path], base: Path, tmp_path: Path
) -> None:
    embedded, folder = own_postgres
    server = embedded.start()
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("create database engine")
    migrated(server.url("engine"), tmp_path)
    with serving(settings_in(tmp_path, server.url("engine"), base, {"lease_s": 2.0})) as engine:
        engine.start_worker(SMALL_WORKER)
        run = engine.train(engine.make_model("a"), photo_zip(draw_selfies(7, 2)))
        path = f"/v1/trainings/{run['id']}"
        engine.wait(path, until=lambda r: "Starting train job" in r["logs"])
        kill_server(folder)
        answer = engine.http.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        time.sleep(3)
        embedded.start()
        ended = engine.wait(path)
        assert ended["status"] == "succeeded", ended
        assert "started again" not in ended["logs"], "the worker kept its run through the outage"
        assert engine.workers[0].poll() is None
        prediction = engine.post(
            "/v1/predictions",
            {"version": ended["output"]["version"], "input": {"prompt": "x", "num_inference_steps": 1}},
            prefer="wait=60",
        )
        assert prediction.json()["status"] == "succeeded"
