"""Files: upload, list, read, delete, and the signed download; and the addresses of results."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from portraitist.engine import errors, ids, pages, signing, wire
from portraitist.engine.api.context import Context, Ctx, authenticated
from portraitist.engine.domain import StoredFile
from portraitist.engine.errors import InvalidField, Problem
from portraitist.engine.store import files
from portraitist.engine.store.files import NewFile

router = APIRouter(prefix="/v1/files", dependencies=[Depends(authenticated)])
public = APIRouter()

MAX_BYTES = 100 * 10**6
MAX_NAME_BYTES = 255
MAX_METADATA_BYTES = 16_384
FORM_OVERHEAD = 64 * 2**10
"""What a multipart body may hold beside the file itself."""


def _too_large() -> Problem:
    return Problem(413, "Files must be less than 100MB in size")


@router.post("", status_code=201)
async def create(request: Request, ctx: Ctx) -> dict[str, Any]:
    """Store an upload. The body is judged by its declared length before any of it is read."""
    declared = request.headers.get("content-length", "")
    if not declared.isdigit():
        raise Problem(411, "Content-Length is required")
    if int(declared) > MAX_BYTES + FORM_OVERHEAD:
        raise _too_large()
    async with request.form(max_files=4, max_fields=8) as form:
        new, data = await _read(form, ctx.settings.file_ttl_s)
    # The row first: an upload that breaks off here is found by it when it expires.
    async with ctx.database.transaction() as tx:
        row = await files.insert(tx, new)
    await ctx.objects.put_new(new.key, data)
    return wire.file(row, ctx.address)


async def _read(form: FormData, ttl_s: float) -> tuple[NewFile, bytes]:
    content = form.get("content")
    if not isinstance(content, UploadFile):
        raise errors.invalid([InvalidField("required", "", "content is required")])
    if (content.size or 0) > MAX_BYTES:
        raise _too_large()
    name = await _text(form, "filename") or content.filename or "file"
    if len(name.encode()) > MAX_NAME_BYTES:
        raise errors.invalid([InvalidField("format", "filename", f"At most {MAX_NAME_BYTES} bytes")])
    data = await content.read()
    sha256, md5 = await asyncio.to_thread(_digests, data)
    new = NewFile(
        id=ids.file_id(),
        name=name,
        content_type=await _text(form, "type") or content.content_type or "application/octet-stream",
        size=len(data),
        sha256=sha256,
        md5=md5,
        metadata=_metadata(await _text(form, "metadata")),
        key=f"files/{ids.run_id()}",
        ttl=timedelta(seconds=ttl_s),
    )
    return new, data


async def _text(form: FormData, key: str) -> str:
    """A form field, or a part sent as a file: the JavaScript client sends `metadata` as one."""
    value = form.get(key)
    if isinstance(value, UploadFile):
        return (await value.read(MAX_METADATA_BYTES)).decode("utf-8", "replace")
    return value or ""


def _metadata(text: str) -> dict[str, object]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise errors.invalid([InvalidField("format", "metadata", "must be a JSON object")])
    return value


def _digests(data: bytes) -> tuple[str, str]:
    md5 = hashlib.md5(data, usedforsecurity=False)  # the cloud shows it; nothing relies on it
    return hashlib.sha256(data).hexdigest(), md5.hexdigest()


async def _found(ctx: Context, file_id: str) -> StoredFile:
    async with ctx.database.transaction() as tx:
        row = await files.get(tx, file_id)
    if row is None:
        raise errors.not_found()
    return row


@router.get("")
async def page(ctx: Ctx, cursor: str | None = None) -> dict[str, Any]:
    """Files, newest first."""
    async with ctx.database.transaction() as tx:
        rows = await files.page(tx, pages.decode(cursor))
    return wire.page(rows, lambda row: wire.file(row, ctx.address), f"{ctx.address}/v1/files")


@router.get("/{file_id}")
async def get(file_id: str, ctx: Ctx) -> dict[str, Any]:
    """What is known of a file."""
    return wire.file(await _found(ctx, file_id), ctx.address)


@router.delete("/{file_id}", status_code=204)
async def delete(file_id: str, ctx: Ctx) -> Response:
    """Delete a file: the bytes first, so that none are left without a row."""
    row = await _found(ctx, file_id)
    await ctx.objects.delete(row.key)
    async with ctx.database.transaction() as tx:
        await files.delete(tx, file_id)
    return Response(status_code=204)


@public.get("/v1/files/{file_id}/download")
async def download(file_id: str, owner: str, expiry: int, signature: str, ctx: Ctx) -> StreamingResponse:
    """The bytes, for whoever has a signed link."""
    now = int(ctx.clock.now().timestamp())
    if not signing.link_valid(ctx.link_key, owner, file_id, expiry=expiry, signature=signature, now=now):
        raise errors.not_found()
    row = await _found(ctx, file_id)
    return await _stream(ctx, row.key, row.content_type, row.size)


@public.api_route("/outputs/{token}/{name}", methods=["GET", "HEAD"])
async def output(token: str, name: str, ctx: Ctx) -> StreamingResponse:
    """A result; its address is the permission, as on the cloud's delivery host."""
    async with ctx.database.transaction() as tx:
        row = await files.output(tx, token, name)
    if row is None:
        raise errors.not_found()
    return await _stream(ctx, row.key, row.content_type, row.size)


async def _stream(ctx: Context, key: str, content_type: str, size: int) -> StreamingResponse:
    if await ctx.objects.head(key) is None:
        raise errors.not_found()

    async def body() -> AsyncIterator[bytes]:
        async for chunk in ctx.objects.stream(key):
            yield chunk

    headers = {"content-length": str(size), "x-content-type-options": "nosniff"}
    return StreamingResponse(body(), media_type=content_type, headers=headers)
