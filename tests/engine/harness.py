"""A real engine for tests: the API in a thread of this process, workers as processes that can be killed.

Knows how to start, kill and ask; what an answer must be is the tests' business.
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import uvicorn
from PIL import Image
from psycopg.rows import dict_row

from portraitist.engine import app
from portraitist.engine.config import Settings
from portraitist.engine.fields import TRAINER_NAME, TRAINER_OWNER, TRAINER_VERSION

TOKEN = "engine-test-token"
TRAINER = f"/v1/models/{TRAINER_OWNER}/{TRAINER_NAME}/versions/{TRAINER_VERSION}/trainings"
SMALL_WORKER = "tests.engine.small_worker"
ENDED = ("succeeded", "failed", "canceled", "aborted")


def photo_zip(pictures: list[Image.Image], extra: Mapping[str, bytes] | None = None) -> bytes:
    """A zip of small JPEGs called a.jpg, b.jpg, …, and whatever else is given."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number, picture in enumerate(pictures):
            data = io.BytesIO()
            picture.resize((264, 352)).save(data, "JPEG")
            archive.writestr(f"{chr(97 + number)}.jpg", data.getvalue())
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return body.getvalue()


@dataclass
class Engine:
    """A running API and the worker processes that were started for it."""

    settings: Settings
    http: httpx2.Client
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self, program: str = "portraitist.engine.worker") -> subprocess.Popen[bytes]:
        log = self.settings.work_dir.parent / f"worker-{len(self.workers)}.log"
        with log.open("wb") as sink:
            worker = subprocess.Popen(
                [sys.executable, "-m", program],
                env={**os.environ, **self.settings.environment()},
                stdout=sink,
                stderr=sink,
            )
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            worker.wait(15)

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        url = self.settings.database_url.get_secret_value()
        with psycopg.connect(url, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        return self.http.post(path, json=body, headers=headers)

    def make_model(self, name: str) -> str:
        owner = self.settings.username
        body = {"owner": owner, "name": name, "visibility": "private", "hardware": "cpu"}
        answer = self.post("/v1/models", body)
        assert answer.status_code == 201, answer.text
        return f"{owner}/{name}"

    def upload(self, data: bytes, name: str = "photos.zip") -> dict[str, Any]:
        answer = self.http.post("/v1/files", files={"content": (name, data, "application/zip")})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def train(self, destination: str, archive: bytes, **more: object) -> dict[str, Any]:
        url = self.upload(archive)["urls"]["get"]
        given = {"input_images": url, "trigger_word": "userab12cd34ef56", "steps": 1000}
        answer = self.post(TRAINER, {"destination": destination, "input": given, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(
        self, path: str, *, until: Callable[[dict[str, Any]], bool] | None = None, seconds: float = 120
    ) -> dict[str, Any]:
        """Poll a run until it ends, or until a condition holds."""
        done = until or (lambda run: run["status"] in ENDED)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            run = self.get(path)
            if done(run):
                return run
            time.sleep(0.1)
        raise AssertionError(f"{path} is still {run['status']}: {run['logs'][-2000:]}")


@contextmanager
def serving(settings: Settings) -> Iterator[Engine]:
    """The API of these settings, on its port; its database is migrated already."""
    config = uvicorn.Config(app.create(settings), host=settings.host, port=settings.port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=settings.address, headers=headers, timeout=70, trust_env=False) as client:
        engine = Engine(settings, client)
        try:
            end = time.monotonic() + 15
            while not server.started and time.monotonic() < end:
                time.sleep(0.02)
            assert server.started
            yield engine
        finally:
            engine.stop_workers()
            server.should_exit = True
            thread.join(15)


def children_of(worker: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of a worker's children."""
    path = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def command_of(pid: int) -> str:
    """A process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except FileNotFoundError:
        return ""
