"""Models and their versions: create, list, search, read, edit, delete; the trainer is built in."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portraitist.engine import errors, fields, pages, wire
from portraitist.engine.api.context import Context, Ctx, authenticated
from portraitist.engine.domain import Model
from portraitist.engine.errors import InvalidField, Problem
from portraitist.engine.store import Tx, models

router = APIRouter(prefix="/v1/models", dependencies=[Depends(authenticated)])

MAX_MODELS = 1_000
"""Models of one account, as on the cloud: a studio that relies on more would break there."""
MAX_SEARCH_BYTES = 1_000
Text = Annotated[str, Field(max_length=10_000)]


class NewModel(BaseModel):
    """Body of `models.create`."""

    model_config = ConfigDict(extra="forbid")
    owner: str
    name: Annotated[str, Field(max_length=128)]
    visibility: Literal["public", "private"]
    hardware: str
    description: Text | None = None
    github_url: Text | None = None
    paper_url: Text | None = None
    license_url: Text | None = None
    cover_image_url: Text | None = None


class ModelChange(BaseModel):
    """Body of `models.update`."""

    model_config = ConfigDict(extra="forbid")
    description: Text | None = None
    readme: Text | None = None
    github_url: Text | None = None
    paper_url: Text | None = None
    weights_url: Text | None = None
    license_url: Text | None = None


def _is_trainer(owner: str, name: str) -> bool:
    return (owner, name) == (fields.TRAINER_OWNER, fields.TRAINER_NAME)


async def _render(tx: Tx, ctx: Context, rows: list[Model]) -> dict[tuple[str, str], wire.Json]:
    latest = await models.latest(tx, [f"{row.owner}/{row.name}" for row in rows])
    return {
        (row.owner, row.name): wire.model(row, latest.get(f"{row.owner}/{row.name}"), ctx.address)
        for row in rows
    }


async def _found(tx: Tx, owner: str, name: str) -> Model:
    row = await models.get(tx, owner, name)
    if row is None:
        raise errors.not_found()
    return row


@router.post("", status_code=201)
async def create(body: NewModel, ctx: Ctx) -> dict[str, Any]:
    """Make an empty model of the account's own."""
    _check(body, ctx.settings.username)
    async with ctx.database.transaction() as tx:
        if await models.count(tx) >= MAX_MODELS:
            raise Problem(400, f"You have reached the limit of {MAX_MODELS:,} models.", "Model limit reached")
        row = await models.insert(tx, body.owner, body.name, body.model_dump(exclude={"owner", "name"}))
        if row is None:
            detail = "A model with that name and owner already exists."
            raise Problem(409, detail, "Conflict", {"errors": [{"detail": detail}]})
        return wire.model(row, None, ctx.address)


def _check(body: NewModel, username: str) -> None:
    if body.owner != username:
        raise Problem(403, "You don't have permission to create a model for this owner.", "Forbidden")
    if not models.NAME.fullmatch(body.name):
        text = "name may only contain lower-case letters, digits, dashes, underscores and periods"
        raise errors.invalid([InvalidField("format", "name", text)])
    if body.hardware not in wire.HARDWARE:
        detail = (
            f"hardware: {body.hardware} is not a valid hardware SKU. Your options are: "
            f"{', '.join(wire.HARDWARE)}."
        )
        raise Problem(
            400,
            f"The following errors occurred:\n- {detail}",
            "Validation failed",
            {"errors": [{"pointer": "/hardware", "detail": detail}]},
        )


@router.get("")
async def page(
    ctx: Ctx, cursor: str | None = None, sort_direction: Literal["asc", "desc"] = "desc"
) -> dict[str, Any]:
    """The account's models by creation; the trainer stands on its own address only."""
    async with ctx.database.transaction() as tx:
        rows = await models.page(tx, pages.decode(cursor), oldest_first=sort_direction == "asc")
        shown = await _render(tx, ctx, list(rows.items))
    return wire.page(rows, lambda row: shown[row.owner, row.name], f"{ctx.address}/v1/models")


@router.api_route("", methods=["QUERY"], include_in_schema=False)
async def search(request: Request, ctx: Ctx) -> dict[str, Any]:
    """Models by a word in their name or description; the body is plain text."""
    words = (await request.body())[:MAX_SEARCH_BYTES].decode("utf-8", "replace").strip()
    words = words.removeprefix('"').removesuffix('"')  # the JavaScript client sends the text as JSON
    async with ctx.database.transaction() as tx:
        rows = await models.search(tx, words)
        shown = await _render(tx, ctx, rows)
    trainer = [wire.trainer_model(ctx.address)] if words.lower() in fields.TRAINER_NAME else []
    return {"next": None, "previous": None, "results": [*shown.values(), *trainer]}


@router.get("/{owner}/{name}")
async def get(owner: str, name: str, ctx: Ctx) -> dict[str, Any]:
    """One model with its newest version."""
    if _is_trainer(owner, name):
        return wire.trainer_model(ctx.address)
    async with ctx.database.transaction() as tx:
        row = await _found(tx, owner, name)
        return (await _render(tx, ctx, [row]))[owner, name]


@router.patch("/{owner}/{name}")
async def update(owner: str, name: str, body: ModelChange, ctx: Ctx) -> dict[str, Any]:
    """Change a model's texts and links."""
    async with ctx.database.transaction() as tx:
        row = await models.update(tx, owner, name, body.model_dump(exclude_unset=True))
        if row is None:
            raise errors.not_found()
        return (await _render(tx, ctx, [row]))[owner, name]


@router.delete("/{owner}/{name}", status_code=204)
async def delete(owner: str, name: str, ctx: Ctx) -> Response:
    """Delete a private model that has no version left."""
    async with ctx.database.transaction() as tx:
        row = await _found(tx, owner, name)
        if row.visibility != "private":
            raise Problem(403, "You can only delete private models.", "Forbidden")
        if await models.has_versions(tx, owner, name):
            raise Problem(400, "Delete all versions of the model first.", "Bad request")
        if await models.has_open_training(tx, f"{owner}/{name}"):
            raise Problem(400, "A training with this destination is running; cancel it first.", "Bad request")
        await models.delete(tx, owner, name)
    return Response(status_code=204)


@router.get("/{owner}/{name}/versions")
async def versions(owner: str, name: str, ctx: Ctx) -> dict[str, Any]:
    """All versions of a model, newest first."""
    if _is_trainer(owner, name):
        return {"next": None, "previous": None, "results": [wire.trainer_version()]}
    async with ctx.database.transaction() as tx:
        await _found(tx, owner, name)
        rows = await models.versions(tx, owner, name)
    return {"next": None, "previous": None, "results": [wire.version(row) for row in rows]}


@router.get("/{owner}/{name}/versions/{version_id}")
async def version(owner: str, name: str, version_id: str, ctx: Ctx) -> dict[str, Any]:
    """One version of this model."""
    if _is_trainer(owner, name) and version_id == fields.TRAINER_VERSION:
        return wire.trainer_version()
    async with ctx.database.transaction() as tx:
        row = await models.version(tx, version_id)
    if row is None or (row.owner, row.name) != (owner, name):
        raise errors.not_found()
    return wire.version(row)


@router.delete("/{owner}/{name}/versions/{version_id}", status_code=202)
async def delete_version(owner: str, name: str, version_id: str, ctx: Ctx) -> Response:
    """Hide a version at once; its files are erased by the worker soon after."""
    async with ctx.database.transaction() as tx:
        row = await models.version(tx, version_id)
        if row is None or (row.owner, row.name) != (owner, name):
            raise errors.not_found()
        await models.mark_deleted(tx, version_id)
    return Response(status_code=202)
