"""Account, hardware, the webhook secret, and the health of this engine."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from portraitist.engine import fields, wire
from portraitist.engine.api.context import Ctx, authenticated
from portraitist.engine.config import Settings
from portraitist.engine.store import state
from portraitist.engine.tiny import member
from portraitist.kit.database import DatabaseUnavailable

ENGINE = "embedded tiny FLUX"
PICTURE_SIZE = "192x256"
WORKER_SILENCE = timedelta(seconds=15)

router = APIRouter(prefix="/v1", dependencies=[Depends(authenticated)])
health = APIRouter()


def plan(settings: Settings, seconds_per_step: float | None) -> tuple[int | None, float | None]:
    """Steps and minutes of a training that asks for the trainer's default; `None`: not measured yet."""
    steps = settings.max_steps
    if seconds_per_step is None:
        return steps, None
    if steps is None:
        steps = member.budget(seconds_per_step, settings.train_seconds, fields.DEFAULT_STEPS)
    seconds = member.total_steps(steps) * seconds_per_step + member.PREPARE_SECONDS
    return steps, round(seconds / 60, 1)


@router.get("/account")
async def account(ctx: Ctx) -> dict[str, Any]:
    """Who the token belongs to."""
    return {
        "type": "user",
        "username": ctx.settings.username,
        "name": ctx.settings.username,
        "github_url": None,
    }


@router.get("/hardware")
async def hardware() -> list[dict[str, str]]:
    """What models run on."""
    return [{"sku": sku, "name": name} for sku, name in wire.HARDWARE.items()]


@router.get("/webhooks/default/secret")
async def webhook_secret(ctx: Ctx) -> dict[str, str]:
    """The key that webhooks are signed with."""
    return {"key": ctx.webhook_secret}


@health.get("/healthz")
async def healthz(ctx: Ctx) -> JSONResponse:
    """Ready (200) when the database answers and a worker lives; says what this engine is."""
    problem: str | None = None
    seconds: float | None = None
    try:
        async with ctx.database.transaction() as tx:
            seconds = await state.measured(tx, state.SECONDS_PER_STEP)
            if not await state.worker_alive(tx, WORKER_SILENCE):
                problem = "no worker is alive"
    except DatabaseUnavailable as error:
        problem = str(error)
    steps, minutes = plan(ctx.settings, seconds)
    body = {
        "status": "ready" if problem is None else "unavailable",
        "engine": ENGINE,
        "picture_size": PICTURE_SIZE,
        "safety_checker": fields.SAFETY_CHECKER,
        "expected_training_minutes": minutes,
        "steps_budget": steps,
        **({"detail": problem} if problem else {}),
    }
    return JSONResponse(body, 200 if problem is None else 503)
