"""Trainings: start one with the pinned trainer, read, list, cancel."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends

from portraitist.engine import errors, fields, signing, wire
from portraitist.engine.api import requests
from portraitist.engine.api.context import Context, Ctx, authenticated
from portraitist.engine.api.requests import NewRunBody
from portraitist.engine.errors import InvalidField
from portraitist.engine.store import Tx, files, models, runs

router = APIRouter(prefix="/v1", dependencies=[Depends(authenticated)])


class NewTraining(NewRunBody):
    """Body of `trainings.create`."""

    destination: str


@router.post("/models/{owner}/{name}/versions/{version_id}/trainings", status_code=201)
async def create(owner: str, name: str, version_id: str, body: NewTraining, ctx: Ctx) -> dict[str, Any]:
    """Queue a training; the destination model must exist and be the account's own."""
    trainer = (fields.TRAINER_OWNER, fields.TRAINER_NAME)
    if (owner, name) != trainer or version_id != fields.TRAINER_VERSION:
        raise errors.unknown_version()
    checked = fields.check_training(body.input)
    webhook = requests.check_webhook(body.webhook, allow_http=ctx.settings.allow_http_webhooks)
    if problems := [*checked.problems, *webhook]:
        raise errors.invalid(problems)
    new = requests.new_run("training", body, trainer, version_id, checked)
    async with ctx.database.transaction() as tx:
        await _check_destination(tx, body.destination)
        signed = await _signed_input(tx, ctx, new.input)
        run = await runs.insert(tx, replace(new, destination=body.destination, input=signed))
    return wire.run(run, ctx.address, created=True)


async def _check_destination(tx: Tx, destination: str) -> None:
    owner, _, name = destination.partition("/")
    if await models.get(tx, owner, name) is None:
        raise errors.Problem(404, "The specified training destination does not exist")


async def _signed_input(tx: Tx, ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    """A file of ours is echoed as a signed link, as the cloud does; the worker reads the id from it."""
    file_id = wire.own_file(str(given.get("input_images", "")), ctx.address)
    if file_id is None:
        return given
    file = await files.get(tx, file_id)
    if file is None:
        raise errors.invalid([InvalidField("format", "input.input_images", "The file does not exist")])
    return {**given, "input_images": download_url(ctx, file.id, file.expires_at)}


def download_url(ctx: Context, file_id: str, expires_at: datetime) -> str:
    """A link under which anybody may fetch the file until then."""
    expiry = int(expires_at.timestamp())
    owner = ctx.settings.username
    signature = signing.link_signature(ctx.link_key, owner, file_id, expiry)
    return wire.signed_download(ctx.address, file_id, owner, expiry, signature)


@router.get("/trainings/{run_id}")
async def get(run_id: str, ctx: Ctx) -> dict[str, Any]:
    """One training."""
    return wire.run(await requests.found(ctx, run_id), ctx.address)


@router.get("/trainings")
async def page(ctx: Ctx, cursor: str | None = None) -> dict[str, Any]:
    """Trainings, newest first."""
    return await requests.page(ctx, "training", cursor)


@router.post("/trainings/{run_id}/cancel")
async def cancel(run_id: str, ctx: Ctx) -> dict[str, Any]:
    """Cancel a training at any stage."""
    return wire.run(await requests.cancel(ctx, run_id), ctx.address)
