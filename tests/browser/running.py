"""A studio that browsers can reach: the real web app, and the worker where wanted, on the loopback in a thread.

Behind it stands the fake Replicate; the journey on the embedded engine has real processes instead (`acceptance`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg
import uvicorn
from anyio.from_thread import start_blocking_portal

from portraitist.kit.embedded_postgres import Server
from portraitist.kit.ports import free_port
from portraitist.studio import app, worker
from portraitist.studio.config import StudioSettings
from tests.fakes.replicate_cloud import ReplicateCloud
from tests.fakes.serving import served
from tests.integration.cloud import MoodyCloud
from tests.integration.conftest import INSTANCE_TOKEN
from tests.studio_database import APP_PASSWORD

OPERATOR = {"Authorization": f"Bearer {INSTANCE_TOKEN}"}
SECRET = "secret-in-tests"
T = TypeVar("T")


@dataclass(frozen=True)
class Live:
    """A studio at an address, its fake provider, and the database's superuser's view."""

    settings: StudioSettings
    cloud: MoodyCloud
    superuser_url: str

    @property
    def url(self) -> str:
        """The address that browsers use."""
        return self.settings.address

    def first_link(self) -> str:
        """The one-time link to the first account, as `portraitist up` prints it."""
        return str(self.operator("POST", "/api/v1/admin/first-link").json()["url"])

    def operator(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Ask as the host, who has the instance token."""
        answer = httpx2.request(method, f"{self.url}{path}", headers=OPERATOR, timeout=30, **more)
        assert answer.is_success, answer.text
        return answer

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the database's superuser sees."""
        with psycopg.connect(self.superuser_url) as conn:
            return conn.execute(sql.encode(), params or None).fetchall()


def elsewhere(work: Callable[[], T]) -> T:
    """Do this in a thread of its own: in the one that drives the browser no other event loop can run."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@contextmanager
def live_studio(
    server: Server, database: str, home: Path, *, works: bool = True, **changes: Any
) -> Iterator[Live]:
    """Serve the studio of this database while the block runs; without a worker nothing in it moves."""
    cloud = MoodyCloud()
    with served(cloud) as url:
        settings = settings_of(server, database, home, cloud, url, **changes)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(_running(settings, works)):
            yield Live(settings, cloud, server.url(database))


def settings_of(
    server: Server, database: str, home: Path, cloud: ReplicateCloud, url: str, **changes: Any
) -> StudioSettings:
    """A studio that looks often, so that nobody waits for the clock."""
    given: dict[str, Any] = {
        "portraitist_home": home,
        "database_url": server.url(database, "app", APP_PASSWORD),
        "studio_port": free_port(),
        "replicate_base_url": url,
        "replicate_api_token": cloud.token,
        "replicate_username": cloud.username,
        "instance_token": INSTANCE_TOKEN,
        "secret_key": SECRET,
        "poll_seconds": 0.2,
        "sweep_seconds": 0.1,
        "list_lag_seconds": 0.5,
        "heartbeat_seconds": 0.5,
        "stalled_after_seconds": 5,
    }
    return StudioSettings(**(given | changes))


@asynccontextmanager
async def _running(settings: StudioSettings, works: bool) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app.create(settings),
        host=settings.studio_host,
        port=settings.studio_port,
        log_level="critical",
        lifespan="on",
        timeout_graceful_shutdown=1,  # streams never end by themselves
    )
    server, stop = uvicorn.Server(config), asyncio.Event()
    parts = [asyncio.create_task(server.serve())]
    if works:
        parts.append(asyncio.create_task(worker.run(settings, stop)))
    try:
        async with asyncio.timeout(30):
            while not server.started:
                assert not parts[0].done(), "the web app does not start"
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        stop.set()
        await asyncio.gather(*parts)
