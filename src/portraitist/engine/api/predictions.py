"""Predictions: start one with a sealed version, wait for it if asked, read, list, cancel."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from portraitist.engine import errors, fields, wire
from portraitist.engine.api import requests
from portraitist.engine.api.context import Context, Ctx, authenticated
from portraitist.engine.api.requests import CancelAfter, NewRunBody, Prefer
from portraitist.engine.domain import Run, Version
from portraitist.engine.store import Tx, models, runs

router = APIRouter(prefix="/v1/predictions", dependencies=[Depends(authenticated)])

WAIT_POLL_S = 0.2


class NewPrediction(NewRunBody):
    """Body of `predictions.create`. `stream` is deprecated and without effect."""

    version: Annotated[str, Field(max_length=300)]
    stream: bool | None = None


@router.post("", status_code=201)
async def create(
    body: NewPrediction,
    response: Response,
    ctx: Ctx,
    prefer: Prefer = None,
    cancel_after: CancelAfter = None,
) -> dict[str, Any]:
    """Queue a prediction. `Prefer: wait` answers 201 when it has ended, else 202 with status `starting`."""
    checked = fields.check_prediction(body.input)
    webhook = requests.check_webhook(body.webhook, allow_http=ctx.settings.allow_http_webhooks)
    if problems := [*checked.problems, *webhook]:
        raise errors.invalid(problems)
    limit = wire.cancel_after(cancel_after)
    async with ctx.database.transaction() as tx:
        version = await _version(tx, body.version)
        await models.count_run(tx, version.owner, version.name)
        new = requests.new_run("prediction", body, (version.owner, version.name), version.id, checked)
        run = await runs.insert(tx, replace(new, cancel_after=limit))
    return await _answer(ctx, run, response, wire.prefer_wait(prefer))


async def _version(tx: Tx, text: str) -> Version:
    """The sealed version that was named. Unknown, foreign and malformed ones are refused alike."""
    name = wire.version_name(text)
    version = await models.version(tx, name.id) if name is not None else None
    if name is None or version is None or name.model not in (None, f"{version.owner}/{version.name}"):
        raise errors.unknown_version()
    return version


async def _answer(ctx: Context, run: Run, response: Response, wait_s: int | None) -> dict[str, Any]:
    if wait_s is None:
        return wire.run(run, ctx.address)
    response.headers["preference-applied"] = f"wait={wait_s}"
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    while not run.ended and loop.time() < end:
        await asyncio.sleep(min(WAIT_POLL_S, max(0.0, end - loop.time())))
        run = await requests.found(ctx, run.id)
    if run.ended:
        return wire.run(run, ctx.address)
    response.status_code = 202
    # Clients take anything but `starting` as finished, so a waited answer says nothing in between.
    return wire.run(replace(run, status="starting"), ctx.address)


@router.get("/{run_id}")
async def get(run_id: str, ctx: Ctx) -> dict[str, Any]:
    """One prediction (or training: ids resolve under both paths)."""
    return wire.run(await requests.found(ctx, run_id), ctx.address)


@router.get("")
async def page(
    ctx: Ctx,
    cursor: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    source: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """Predictions, newest first. None are made by a web page here, so `source=web` is empty."""
    if source == "web":
        return {"next": None, "previous": None, "results": []}
    return await requests.page(ctx, "prediction", cursor, created_after, created_before)


@router.post("/{run_id}/cancel")
async def cancel(run_id: str, ctx: Ctx) -> dict[str, Any]:
    """Cancel a prediction at any stage."""
    return wire.run(await requests.cancel(ctx, run_id), ctx.address)
