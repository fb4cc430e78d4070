"""A studio that is killed all the time: real PostgreSQL, the real worker in processes of its own, a simulated cloud.

`Rig` starts and kills workers, lets members ask for things, and collects the evidence for the checker.
"""

import contextlib
import io
import json
import os
import queue
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
from PIL import Image
from psycopg.rows import class_row
from pydantic import SecretStr

from portraitist.kit.database import Database
from portraitist.kit.embedded_postgres import Server
from portraitist.studio.db import StudioDatabase
from portraitist.studio.errors import StudioError
from portraitist.studio.generation import repository as generations
from portraitist.studio.generation import service as generation
from portraitist.studio.generation import views as generation_views
from portraitist.studio.generation.domain import Generation
from portraitist.studio.images import repository as images
from portraitist.studio.images import service as pictures
from portraitist.studio.images.domain import Image as StoredImage
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.provider import accounts
from portraitist.studio.training import repository as trainings
from portraitist.studio.training import service as training
from portraitist.studio.training import views as training_views
from portraitist.studio.training.domain import PARKED, Training
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.weights import Archive
from portraitist.studio.webhooks.repository import Message, Subject
from tests.fakes.serving import served
from tests.fakes.simulated_cloud import Behaviour, SimulatedCloud
from tests.fakes.simulated_http import CloudOverHttp
from tests.fakes.simulated_webhooks import post_of
from tests.simulation.evidence import Evidence
from tests.simulation.store import Delivery
from tests.studio_database import APP_PASSWORD

QUICK = Behaviour(
    training_s=(0.3, 1.2),
    prediction_s=(0.1, 0.5),
    start_s=(0.05, 0.2),
    list_lag_s=(0.0, 0.3),
    version_lag_s=(0.0, 0.3),
)
WATCH = (Path(__file__).parent / "watch.sql").read_text()
ARCHIVED = """user_id, training_id, account_id, status, url, tries, next_check_at, object_key, bytes as size,
    sha256, reason"""
DONE = """select id from ai_images where deleted_at is null
    and generation_id in (select id from generation_trackers where status = 'completed') limit 1"""
UNTIDY = """(select count(*) from ai_images where deleted_at is not null) + (select count(*) from trainings
    where photos_cleared_at is null and coalesce(succeeded_at, finished_at) is not null)
    + (select count(*) from weights_archives where status = 'stored' and parts_cleared_at is null)"""
RESTING = (
    "('completed', 'failed', 'canceled', 'extraction_failed', 'verification_failed', 'lost_at_provider')"
)


@dataclass
class WorkerProcess:
    """A place where one worker at a time lives, dies, and is started again."""

    environment: dict[str, str]
    _zygote: subprocess.Popen[str] = field(init=False)
    _lines: queue.Queue[str] = field(default_factory=queue.Queue)
    _errors: queue.Queue[str] = field(default_factory=queue.Queue)
    pid: int | None = None

    def __post_init__(self) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PORTRAITIST")}
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean,
            cwd=Path(__file__).parents[2],
        )
        for stream, lines in ((self._zygote.stdout, self._lines), (self._zygote.stderr, self._errors)):
            threading.Thread(target=_read, args=(stream, lines), daemon=True).start()

    def start(self, *failpoints: str) -> None:
        """Begin a worker that dies at the first of these labels."""
        assert self._zygote.stdin is not None
        armed = {"PORTRAITIST_FAILPOINTS": ",".join(failpoints), "PORTRAITIST_TESTING": "1"}
        self._zygote.stdin.write(json.dumps(self.environment | armed) + "\n")
        self._zygote.stdin.flush()
        self.pid = int(self._lines.get(timeout=60))

    def kill(self) -> None:
        """As a power cut would."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            self.died(within=20)

    def died(self, *, within: float) -> bool:
        """Whether the worker ends by itself in this time."""
        if self.pid is None:
            return True
        try:
            ended = self._lines.get(timeout=within)
        except queue.Empty:
            return False
        assert ended.startswith("ended"), ended
        self.pid = None
        return True

    def said(self) -> list[str]:
        """What workers have written to stderr since the last look."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._errors.get(timeout=0.05))
        return lines

    def close(self) -> None:
        """End everything."""
        self.kill()
        self._zygote.kill()
        self._zygote.wait()
        for stream in (self._zygote.stdin, self._zygote.stdout, self._zygote.stderr):
            assert stream is not None
            stream.close()


def _read(stream: Any, lines: "queue.Queue[str]") -> None:
    with contextlib.suppress(ValueError):  # closed under us at the end
        for line in stream:
            lines.put(line.rstrip())


@dataclass
class Rig:
    """The studio under attack."""

    server: Server
    database: str
    home: Path
    seed: int = 1
    behaviour: Behaviour = field(default_factory=lambda: QUICK)
    database_url: str | None = None
    cloud: SimulatedCloud = field(init=False)
    app: CloudOverHttp = field(init=False)
    address: str = ""
    members: list[str] = field(default_factory=list)
    web_port: int = 0
    delivered: dict[str, str] = field(default_factory=dict)
    """Webhook → run, of those that were answered."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.web_port = free.getsockname()[1]
        self.cloud = SimulatedCloud(lambda: datetime.now(UTC), random.Random(self.seed), self.behaviour)
        self.app = CloudOverHttp(self.cloud)
        with psycopg.connect(self.owner_url, autocommit=True) as conn:
            conn.execute(WATCH.encode())

    @property
    def owner_url(self) -> str:
        """The database as its superuser."""
        return self.server.url(self.database)

    @property
    def app_url(self) -> str:
        """The database as the studio."""
        return self.database_url or self.server.url(self.database, "app", APP_PASSWORD)

    @contextlib.contextmanager
    def running(self) -> Iterator["Rig"]:
        """The cloud answers while the block runs."""
        with served(self.app) as self.address:
            yield self

    def worker(self, *, lease_s: float = 1.0, provider_url: str | None = None, **more: str) -> WorkerProcess:
        """A place for a worker; none is started yet."""
        environment = {
            "PORTRAITIST_HOME": str(self.home),
            "DATABASE_URL": self.app_url,
            "REPLICATE_BASE_URL": provider_url or self.address,
            "REPLICATE_API_TOKEN": self.cloud.token,
            "REPLICATE_USERNAME": self.cloud.username,
            "INSTANCE_TOKEN": secrets.token_hex(32),
            "SECRET_KEY": secrets.token_hex(32),
            "POLL_SECONDS": "0.1",
            "LIST_LAG_SECONDS": "1",
            "SWEEP_SECONDS": "0.2",
            "LEASE_SECONDS": str(lease_s),
            "START_ANSWER_SECONDS": "2",
            "PROOF_SMALL": "1",
            "HEARTBEAT_SECONDS": "0.5",
            "STALLED_AFTER_SECONDS": "3",
            "TWINS_SECONDS": "2",
            "TRAININGS_IN_FLIGHT": "40",
            "GENERATIONS_IN_FLIGHT": "40",
            "WEBHOOKS_URL": f"http://127.0.0.1:{self.web_port}",
        }
        return WorkerProcess(environment | more)

    def web(self) -> WorkerProcess:
        """A place for the web process; none is started yet."""
        return self.worker(PROOF_WEB_PORT=str(self.web_port))

    def ended_runs(self) -> list[str]:
        """Runs whose end the provider has to tell."""
        now = datetime.now(UTC)
        return [run.id for run in list(self.cloud.runs.values()) if run.webhook and run.ends_at < now]

    def send_webhooks(self) -> None:
        """The provider says once more what it has not had an answer to."""
        for post in [post_of(self.cloud, self.cloud.runs[run], "completed") for run in self.ended_runs()]:
            if post.id in self.delivered:
                continue
            with contextlib.suppress(httpx2.TransportError):
                answer = httpx2.post(post.url, content=post.body, headers=dict(post.headers), timeout=10)
                if answer.status_code == 200:
                    self.delivered[post.id] = post.about

    # what members do

    async def enrol(self, count: int) -> None:
        """New members with ten photos each."""
        picture = io.BytesIO()
        Image.new("RGB", (32, 32), "teal").save(picture, "JPEG")
        async with Database(self.server.url(self.database, "app", APP_PASSWORD)) as pool:
            db, now = StudioDatabase(pool), datetime.now(UTC)
            async with db.nobody() as tx:
                token = SecretStr(self.cloud.token)
                account = accounts.Account("engine", self.address, self.cloud.username, token, None)
                await accounts.register(tx, account, now)
            for _ in range(count):
                user_id = f"m{secrets.token_hex(6)}"[:12]
                async with db.nobody() as tx:
                    member = await tx.value(
                        "select enrol_local_member(%s, %s, 'person', %s)", (user_id, user_id, now)
                    )
                self._photos(str(member), picture.getvalue(), now)
                self.members.append(str(member))

    def _photos(self, user_id: str, data: bytes, now: datetime) -> None:
        consent = uuid4()
        with psycopg.connect(self.owner_url) as conn:
            conn.execute(
                "insert into consents (user_id, id, wording_version, wording_sha256, given_at) "
                "values (%s, %s, '1', %s, %s)",
                (user_id, consent, b"w" * 32, now),
            )
            for number in range(10):
                key = f"members/{user_id}/selfies/{number}.jpg"
                path = self.home / "objects" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                digest = number.to_bytes(32, "big")
                conn.execute(
                    "insert into selfies (user_id, id, consent_id, file_name, source_sha256, status, object_key, "
                    "sha256, width, height, dhash, created_at) "
                    "values (%s, %s, %s, 'a.jpg', %s, 'accepted', %s, %s, 32, 32, 0, %s)",
                    (user_id, uuid4(), consent, digest, key, digest, now),
                )

    async def ask_for_more(self, *, cancels: float = 0.0, generations_each: int = 2) -> None:
        """Members without anything in hand train or generate; some change their minds."""
        async with Database(self.server.url(self.database, "app", APP_PASSWORD)) as pool:
            db = StudioDatabase(pool)
            for user_id in self.members:
                now = datetime.now(UTC)
                with contextlib.suppress(StudioError):
                    async with db.member(user_id) as tx:
                        await self._ask(tx, now, cancels, generations_each)

    async def _ask(self, tx: Any, now: datetime, cancels: float, each: int) -> None:
        drawing = await generation_views.moving(tx)
        running = [s for s in await training_views.moving(tx) if s.training.status not in PARKED]
        if self.rng.random() < cancels and (running or drawing):
            if running:
                await training.cancel(tx, running[0].training.id, now)
            elif drawing:
                await generation.cancel(tx, drawing[0].generation.id, now)
        elif await training.active_version(tx) is None or (not running and self.rng.random() < 0.2):
            await training.start(
                tx, owner=self.cloud.username, account_id="engine", key=None, per_day=None, now=now
            )
        elif len(drawing) < each:
            await generation.ask(
                tx, "in a garden", key=None, new_seed=self._seed, refusals=Refusals(), now=now
            )

    async def delete_pictures(self) -> None:
        """Each member deletes a picture that is done: while more are stored, a second of undo would be too short."""
        async with Database(self.server.url(self.database, "app", APP_PASSWORD)) as pool:
            for user_id in self.members:
                async with StudioDatabase(pool).member(user_id) as tx:
                    first = await tx.value(DONE)
                    if first is not None:
                        await pictures.delete(tx, [first], datetime.now(UTC))

    def _seed(self) -> int:
        return self.rng.randrange(1_000_000)

    # what is left behind

    def busy(self, *, tidy: bool = True) -> int:
        """How many rows are neither ended nor parked; with `tidy`, what is left to clear away counts too."""
        untidy = f" + {UNTIDY}" if tidy else ""
        with psycopg.connect(self.owner_url) as conn:
            row = conn.execute(
                f"select (select count(*) from trainings where status not in {RESTING}) + "
                f"(select count(*) from generation_trackers where status not in {RESTING}) + "
                f"(select count(*) from weights_archives where status = 'wanted' and tries = 0){untidy}".encode()
            ).fetchone()
        assert row is not None
        return int(row[0])

    def rests(self, *, within: float, tidy: bool = True) -> bool:
        """Whether everything comes to its end in this time."""
        end = time.monotonic() + within
        while self.busy(tidy=tidy):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def moved_at(self) -> list[float]:
        """When rows moved, in seconds since the epoch, in order."""
        with psycopg.connect(self.owner_url) as conn:
            rows = conn.execute(
                "select extract(epoch from at)::float8 from proof_moves order by at"
            ).fetchall()
        return [float(row[0]) for row in rows]

    def evidence(self, *, at_rest: bool, failures: list[str]) -> Evidence:
        """Everything the checker wants to see."""
        with psycopg.connect(self.owner_url) as conn:
            active = conn.execute("select user_id, active_version_id from user_models").fetchall()
            at_once = conn.execute("select user_id, max(paid_for) from proof_moves group by 1").fetchall()
            cleared = conn.execute("select distinct user_id from proof_cleared").fetchall()
            deleted = conn.execute("select distinct object_key from proof_deleted").fetchall()
            return Evidence(
                trainings=_all(conn, Training, trainings.COLUMNS, "trainings"),
                versions=_all(conn, ModelVersion, trainings.VERSION_COLUMNS, "model_versions"),
                active={str(row[0]): row[1] for row in active},
                generations=_all(conn, Generation, generations.COLUMNS, "generation_trackers"),
                images=_all(conn, StoredImage, images.COLUMNS, "ai_images"),
                objects=self._objects(),
                runs=list(self.cloud.runs.values()),
                twins=_twins(conn, "trainings") | _twins(conn, "generation_trackers"),
                at_once={str(row[0]): int(row[1] or 0) for row in at_once},
                cleared=[str(row[0]) for row in cleared],
                deleted=[str(row[0]) for row in deleted],
                archives=_all(conn, Archive, ARCHIVED, "weights_archives"),
                deliveries=_deliveries(conn),
                honest={f"msg_{run.id}_completed": run.id for run in self.cloud.runs.values()},
                owners={"engine": self.cloud.username},
                at_rest=at_rest,
                failures=failures,
            )

    def _objects(self) -> dict[str, bytes]:
        folder = self.home / "objects"
        files = (path for path in folder.rglob("*") if path.is_file() and "/selfies/" not in str(path))
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _all(conn: psycopg.Connection[Any], cls: type, columns: str, table: str) -> list[Any]:
    with conn.cursor(row_factory=class_row(cls)) as cursor:
        return cursor.execute(f"select {columns} from {table}".encode()).fetchall()


def _deliveries(conn: psycopg.Connection[Any]) -> list[Delivery]:
    rows = conn.execute(
        "select user_id, subject_id, account_id, webhook_id, kind, provider_id, outcome from webhook_deliveries"
    ).fetchall()
    return [
        Delivery(Subject(user, subject, account, run), Message(account, message, kind, run), outcome)
        for user, subject, account, message, kind, run, outcome in rows
    ]


def _twins(conn: psycopg.Connection[Any], table: str) -> dict[UUID, list[str]]:
    rows = conn.execute(f"select id, twins from {table}".encode()).fetchall()
    return {row[0]: [twin["provider_id"] for twin in row[1]] for row in rows}
