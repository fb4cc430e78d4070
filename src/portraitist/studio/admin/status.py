"""One look at every part: database, storage, worker, provider; and how much work stands where."""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from portraitist import __version__
from portraitist.kit import jobs
from portraitist.kit.errors import KitError
from portraitist.kit.http import GuardedClient
from portraitist.studio.config import StudioSettings
from portraitist.studio.generation import service as generation
from portraitist.studio.http import Core
from portraitist.studio.provider.accounts import Account
from portraitist.studio.provider.port import Provider, ProviderError
from portraitist.studio.training import pins
from portraitist.studio.training import service as training

ENGINE_LOOK_S = 3.0
CLOUD = {
    "engine": "FLUX.1-dev on Replicate",
    "picture_size": "896x1152",
    "safety_checker": "Replicate's two checkers",
}


class PartOut(BaseModel):
    """One part: does it answer, and if not, what it said."""

    ok: bool
    detail: str = Field(examples=[""])


class ProviderOut(BaseModel):
    """Who makes the pictures, at what size, with what safety checker."""

    kind: str = Field(examples=["engine"])
    base_url: str = Field(examples=["http://127.0.0.1:8701"])
    username: str = Field(examples=["portraitist"])
    reachable: bool
    engine: str = Field(examples=["tiny FLUX on this machine"])
    picture_size: str = Field(examples=["192x256"])
    safety_checker: str = Field(examples=["none (embedded)"])
    expected_training_minutes: float | None = Field(examples=[3.0])
    detail: str = Field(examples=[""])


class WorkerOut(BaseModel):
    """The worker's last sign of life."""

    ok: bool
    last_seen: datetime | None


class AccountOut(BaseModel):
    """A provider account and its room: each member has one model there; `models_limit` null: no limit."""

    id: str = Field(examples=["engine"])
    base_url: str = Field(examples=["http://127.0.0.1:8701"])
    username: str = Field(examples=["portraitist"])
    models_used: int = Field(examples=[12])
    models_limit: int | None = Field(examples=[None])


class StatusOut(BaseModel):
    """The whole studio at a glance."""

    version: str = Field(examples=["0.1.0"])
    provider: ProviderOut
    database: PartOut
    storage: PartOut
    worker: WorkerOut
    trainings: dict[str, int] = Field(examples=[{"training": 1, "completed": 40}])
    generations: dict[str, int] = Field(examples=[{"completed": 812}])
    accounts: list[AccountOut]


async def status(core: Core, provider: Provider, accounts: Sequence[Account]) -> StatusOut:
    """Ask every part at once; a part that is away is an answer, not an error."""
    storage, seen, counts, engine = await asyncio.gather(
        _part(core.objects.list("status")), _last_seen(core), _counts(core), maker(core.settings, provider)
    )
    trainings, generations, used, database = counts
    alive = (
        seen is not None and (core.clock.now() - seen).total_seconds() < core.settings.stalled_after_seconds
    )
    return StatusOut(
        version=__version__,
        provider=engine,
        database=database,
        storage=storage,
        worker=WorkerOut(ok=alive, last_seen=seen),
        trainings=trainings,
        generations=generations,
        accounts=[
            AccountOut(
                id=account.id,
                base_url=account.base_url,
                username=account.username,
                models_used=used.get(account.id, 0),
                models_limit=account.models_limit,
            )
            for account in accounts
        ],
    )


async def _part(look: Awaitable[object]) -> PartOut:
    try:
        await look
    except KitError as exc:
        return PartOut(ok=False, detail=str(exc))
    return PartOut(ok=True, detail="")


async def _last_seen(core: Core) -> datetime | None:
    try:
        async with core.db.nobody() as tx:
            return await jobs.last_heartbeat(tx.conn)
    except KitError:
        return None


async def _counts(core: Core) -> tuple[dict[str, int], dict[str, int], Mapping[str, int], PartOut]:
    try:
        async with core.db.system() as tx:
            return (
                await training.count_by_status(tx),
                await generation.count_by_status(tx),
                await pins.models_used(tx),
                PartOut(ok=True, detail=""),
            )
    except KitError as exc:
        return {}, {}, {}, PartOut(ok=False, detail=str(exc))


async def maker(settings: StudioSettings, provider: Provider) -> ProviderOut:
    """Who makes the pictures, and whether they answer."""
    reachable, detail = True, ""
    try:
        async with asyncio.timeout(ENGINE_LOOK_S):
            await provider.account()
    except (ProviderError, TimeoutError) as exc:
        reachable, detail = False, str(exc) or "no answer"
    told = CLOUD if settings.is_cloud else await _engine_health(settings)
    minutes = told.get("expected_training_minutes")
    return ProviderOut(
        kind="cloud" if settings.is_cloud else "engine",
        base_url=settings.replicate_base_url,
        username=settings.replicate_username,
        reachable=reachable,
        engine=str(told.get("engine", "unknown")),
        picture_size=str(told.get("picture_size", "unknown")),
        safety_checker=str(told.get("safety_checker", "unknown")),
        expected_training_minutes=float(minutes) if isinstance(minutes, int | float) else None,
        detail=detail,
    )


async def _engine_health(settings: StudioSettings) -> dict[str, Any]:
    """What our own engine says of itself; {} where another server answers, or none."""
    client = GuardedClient(allowed=[settings.replicate_base_url], timeout_s=ENGINE_LOOK_S)
    try:
        answer = await client.request("GET", f"{settings.replicate_base_url}/healthz")
        told = json.loads(answer.content)
    except (KitError, ValueError):
        return {}
    finally:
        await client.close()
    return told if isinstance(told, dict) else {}
