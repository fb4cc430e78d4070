"""A whole studio in one process: real PostgreSQL, real HTTP to a fake Replicate, the real worker beside the web app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from tests.fakes.serving import served
from tests.integration.cloud import MoodyCloud
from tests.integration.entering import enter_photos
from tests.photos import astronaut_selfies
from tests.studio_database import APP_PASSWORD, studio_database

from portraitist.kit.embedded_postgres import Server
from portraitist.kit.objects import ObjectStore
from portraitist.studio import app, worker
from portraitist.studio.config import StudioSettings

__all__ = ["studio_database"]
HOOKS = "http://hooks.studio"
INSTANCE_TOKEN = "instance-token-in-tests"


@dataclass
class Member:
    """A local member and a client that is signed in as them."""

    id: str
    http: httpx2.AsyncClient

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, *, expect: int | None = None, **headers: str) -> Any:
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.status_code == expect if expect else answer.status_code in (200, 201), answer.text
        return answer.json()

    async def consent(self) -> None:
        wording = await self.get("/api/v1/consents/wording")
        await self.post("/api/v1/consents", {"version": wording["version"]})

    async def upload(self, folder: Path) -> list[dict[str, Any]]:
        files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
        answer = await self.http.post("/api/v1/selfies", files=files)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def until(self, path: str, *statuses: str, within: float = 20) -> Any:
        """The item as soon as it has one of the statuses."""
        item = None
        try:
            async with asyncio.timeout(within):
                while True:
                    item = await self.get(path)
                    if item["status"] in statuses:
                        return item
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"after {within} s it is not {statuses}: {item}") from None


@dataclass
class Studio:
    """A running studio and its fake provider."""

    http: httpx2.AsyncClient
    cloud: MoodyCloud
    owner_url: str
    objects: Path
    settings: StudioSettings
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _worker: asyncio.Task[None] | None = None

    async def member(self, handle: str) -> Member:
        answer = await self.http.post(
            "/api/v1/local-members",
            json={"handle": handle},
            headers={"Authorization": f"Bearer {INSTANCE_TOKEN}"},
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        client = httpx2.AsyncClient(
            transport=self.http._transport,
            base_url="http://studio",
            headers={"Authorization": f"Bearer {body['token']}"},
        )
        return Member(body["id"], client)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the database's superuser sees."""
        with psycopg.connect(self.owner_url) as conn:
            return conn.execute(sql.encode(), params).fetchall()

    async def enter_photos(self, member: Member, count: int = 10) -> None:
        """Accepted photos."""
        with psycopg.connect(self.owner_url, autocommit=True) as conn:
            await enter_photos(
                lambda statement, *params: conn.execute(statement.encode(), params),
                ObjectStore.from_url(self.objects.as_uri()),
                member.id,
                count,
            )

    async def start_worker(self) -> None:
        self._stop = asyncio.Event()
        self._worker = asyncio.create_task(worker.run(self.settings, self._stop))

    async def stop_worker(self) -> None:
        if self._worker is not None:
            self._stop.set()
            await self._worker
            self._worker = None


async def deliver(studio: Studio) -> None:
    """What the cloud does where webhooks were asked for: runs go on by themselves and say so."""
    address = f"{studio.settings.replicate_base_url}/"
    while True:
        await asyncio.sleep(0.05)
        for run in list(studio.cloud.runs.values()):
            if "webhook" not in run.shown or not studio.cloud.go_on(run, address):
                continue
            url, headers, body = studio.cloud.webhook_of(run, f"{len(run.ahead)}")
            await studio.http.post(url.removeprefix(HOOKS), content=body, headers=headers)


@pytest.fixture(params=["polling", "webhooks"])
async def studio(
    request: pytest.FixtureRequest, postgres: Server, studio_database: str, tmp_path: Path
) -> AsyncIterator[Studio]:
    """A running studio; once it only looks, once it is told and looks too rarely to be in time by that."""
    told = request.param == "webhooks"
    cloud = MoodyCloud()
    with served(cloud) as url:
        settings = StudioSettings(
            member_reads_per_minute=10**9,  # hurried waits ask far more often than people do
            member_writes_per_minute=10**9,
            portraitist_home=tmp_path,
            database_url=postgres.url(studio_database, "app", APP_PASSWORD),
            replicate_base_url=url,
            replicate_api_token=cloud.token,
            replicate_username=cloud.username,
            instance_token=INSTANCE_TOKEN,
            secret_key="secret-in-tests",
            webhooks_url=HOOKS if told else "off",
            poll_seconds=3 if told else 0.05,
            list_lag_seconds=0.5,
            retry_seconds=1,
            sweep_seconds=0.05,
            heartbeat_seconds=0.5,
            stalled_after_seconds=3,
        )
        web = app.create(settings)
        async with web.router.lifespan_context(web):
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=web, raise_app_exceptions=False), base_url="http://studio"
            )
            running = Studio(client, cloud, postgres.url(studio_database), tmp_path / "objects", settings)
            await running.start_worker()
            telling = asyncio.create_task(deliver(running)) if told else None
            try:
                yield running
            finally:
                if telling is not None:
                    telling.cancel()
                with contextlib.suppress(Exception):
                    await running.stop_worker()


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen selfies of one person."""
    folder = tmp_path_factory.mktemp("astronaut")
    astronaut_selfies(folder, count=14)
    return folder


@pytest.fixture
async def by_hand(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[Any]:
    """A studio in virtual time; see `by_hand`."""
    from tests.integration.by_hand import studio_by_hand

    async with studio_by_hand(postgres, studio_database, tmp_path) as running:
        yield running
