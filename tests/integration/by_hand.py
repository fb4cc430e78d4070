"""A studio whose worker is driven by the test, in virtual time: nothing sleeps, every wait is a move of the clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import psycopg
from tests.fakes.serving import served
from tests.integration.cloud import MoodyCloud, MovedClock
from tests.integration.conftest import INSTANCE_TOKEN, Member
from tests.integration.entering import enter_photos
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import app, bootstrap
from portraitist.studio.config import StudioSettings

STEPS = 2000  # more moves than any life here has: a test that needs more is stuck


@dataclass
class ByHand:
    """Web app, worker parts, fake provider and a clock that only tests move."""

    http: httpx2.AsyncClient
    web: Any
    cloud: MoodyCloud
    clock: MovedClock
    parts: bootstrap.WorkerParts
    superuser: psycopg.Connection[tuple[Any, ...]]
    settings: StudioSettings

    TABLES: ClassVar[dict[str, str]] = {"training": "trainings", "generation": "generation_trackers"}
    ENDED: ClassVar[tuple[str, ...]] = ("completed", "failed", "canceled", "lost_at_provider")

    async def operator(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return await self.http.request(
            method, path, headers={"Authorization": f"Bearer {INSTANCE_TOKEN}"}, **more
        )

    async def member(self, handle: str = "name:anna", photos: int = 10) -> Member:
        """A member with accepted photos."""
        answer = await self.operator("POST", "/api/v1/local-members", json={"handle": handle})
        body = answer.json()
        client = httpx2.AsyncClient(
            transport=self.http._transport,
            base_url="http://studio",
            headers={"Authorization": f"Bearer {body['token']}"},
        )
        member = Member(body["id"], client)
        await member.consent()
        await self.enter_photos(member.id, photos)
        return member

    async def enter_photos(self, user_id: str, count: int, first: int = 0) -> None:
        """So many accepted photos more, of a member who has agreed."""
        await enter_photos(self.run, self.parts.core.objects, user_id, count, first)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the database's superuser sees."""
        return self.superuser.execute(sql.encode(), params).fetchall()

    def run(self, sql: str, *params: Any) -> None:
        """A statement of the database's superuser."""
        named = params[0] if params and isinstance(params[0], dict) else params
        self.superuser.execute(sql.encode(), named)

    def due(self) -> list[tuple[str, Any, str, datetime]]:
        """Kind, id, member and time of every row that has not ended, soonest first."""
        found: list[tuple[str, Any, str, datetime]] = []
        for kind, table in self.TABLES.items():
            found += [
                (kind, *row)
                for row in self.rows(
                    f"""select id, user_id, next_check_at from {table} where status <> all(%s)
                        and (status <> 'queued' or admitted_at is not null)""",
                    list(self.ENDED),
                )
            ]
        return sorted(found, key=lambda row: row[3])

    async def advance(self, kind: str, row_id: Any, user_id: str) -> None:
        tasks = self.parts.training if kind == "training" else self.parts.generation
        await tasks.advance(str(row_id), user_id)

    async def step(self) -> bool:
        """Let the soonest row have its turn, moving the clock to its time; False where nothing is left to do."""
        for kind in self.TABLES:
            await self.parts.sweeper.admit(kind)
        due = self.due()
        if not due:
            return False
        kind, row_id, user_id, when = due[0]
        self.clock.move_to(when)
        await self.advance(kind, row_id, user_id)
        return True

    async def until(self, member: Member, path: str, *statuses: str) -> Any:
        """The item as soon as it has one of the statuses, in virtual time."""
        for _ in range(STEPS):
            item = await member.get(path)
            if item["status"] in statuses:
                return item
            assert await self.step(), f"stuck in {item['status']}"
        raise AssertionError(f"still {item['status']} after {self.clock.moved}")

    async def until_quiet(self, within: timedelta = timedelta(days=3)) -> None:
        """Until nothing has anything left to do."""
        end = self.clock.now() + within
        for _ in range(STEPS):
            if not await self.step():
                return
            assert self.clock.now() < end, self.due()
        raise AssertionError(self.due())

    async def copy_weights(self) -> None:
        """The insurance's jobs, at their time."""
        for row_id, user_id, when in self.rows(
            "select training_id, user_id, next_check_at from weights_archives where status = 'wanted'"
        ):
            self.clock.move_to(when)
            await self.parts.insurance.copy(str(row_id), user_id)

    async def trained(self, member: Member) -> Any:
        """A completed training."""
        training = await member.post("/api/v1/trainings")
        return await self.until(member, f"/api/v1/trainings/{training['id']}", "completed")


@asynccontextmanager
async def studio_by_hand(
    postgres: Server, database: str, home: Path, **changes: Any
) -> AsyncIterator[ByHand]:
    clock = MovedClock()
    cloud = MoodyCloud(clock)
    with served(cloud) as url:
        settings = StudioSettings(
            **{
                "portraitist_home": home,
                "database_url": postgres.url(database, "app", APP_PASSWORD),
                "replicate_base_url": url,
                "replicate_api_token": cloud.token,
                "replicate_username": cloud.username,
                "instance_token": INSTANCE_TOKEN,
                "secret_key": "secret-in-tests",
                "list_lag_seconds": 60,
                "poll_seconds": 20,
                "member_reads_per_minute": 10**9,  # a moved clock asks far more often than people do
                "member_writes_per_minute": 10**9,
                **changes,
            }
        )
        web = app.create(settings, clock=clock)
        async with web.router.lifespan_context(web), bootstrap.worker(settings, clock=clock) as parts:
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=web, raise_app_exceptions=False), base_url="http://studio"
            )
            with psycopg.connect(postgres.url(database), autocommit=True) as superuser:
                yield ByHand(client, web, cloud, clock, parts, superuser, settings)
