"""Our types as Replicate's JSON objects, and Replicate's small request languages as our types. Pure.

Facts: Replicate's OpenAPI and recorded exchanges. Clients require some keys that the OpenAPI calls optional
(a file's `name` and `etag`, string-only `urls`), so they are always there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from portraitist.engine import fields
from portraitist.engine.domain import Model, Run, StoredFile, Version
from portraitist.engine.errors import InvalidField, invalid
from portraitist.engine.pages import Cursor, Page

Json = dict[str, Any]
Item = TypeVar("Item")
HARDWARE = {"cpu": "CPU"}
HIDDEN_INPUTS = frozenset({"wandb_api_key", "hf_token"})
MIN_CANCEL_AFTER = timedelta(seconds=5)


def time(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds and `Z`."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run(row: Run, address: str, *, created: bool = False) -> Json:
    """A training or prediction. A fresh training points to /predictions, as the cloud's do (`created`)."""
    place = "predictions" if created or row.kind == "prediction" else "trainings"
    url = f"{address}/v1/{place}/{row.id}"
    body: Json = {
        "id": row.id,
        "model": f"{row.owner}/{row.name}",
        "version": row.version_id,
        "input": row.input,
        "logs": row.logs,
        "output": row.output,
        "data_removed": row.data_removed,
        "error": row.error,
        "source": "api",
        "status": row.status,
        "created_at": time(row.created_at),
        "started_at": time(row.started_at),
        "completed_at": time(row.completed_at),
        "metrics": _metrics(row),
        "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"{address}/p/{row.id}"},
    }
    if row.webhook is not None:
        body |= {"webhook": row.webhook, "webhook_events_filter": row.webhook_events}
    if row.kind == "prediction" and row.deadline is not None:
        body["deadline"] = time(row.deadline)
    return body


def _metrics(row: Run) -> Json:
    if row.completed_at is None:
        return {}
    total = (row.completed_at - row.created_at).total_seconds()
    running = {} if row.predict_s is None else {"predict_time": round(row.predict_s, 6)}
    return {**running, "total_time": round(total, 6)}


def version(row: Version) -> Json:
    """A trained version with the schema of its inputs."""
    return _version(row.id, row.created_at, fields.prediction_schema())


def _version(version_id: str, created_at: datetime, schema: Json) -> Json:
    return {
        "id": version_id,
        "created_at": time(created_at),
        "cog_version": fields.COG_VERSION,
        "openapi_schema": schema,
    }


def model(row: Model, latest: Version | None, address: str) -> Json:
    """A model; `latest` is its newest version."""
    return {
        "url": f"{address}/{row.owner}/{row.name}",
        "owner": row.owner,
        "name": row.name,
        "description": row.description,
        "visibility": row.visibility,
        "is_official": False,
        "github_url": row.github_url,
        "paper_url": row.paper_url,
        "license_url": row.license_url,
        "weights_url": row.weights_url,
        "run_count": row.run_count,
        "cover_image_url": row.cover_image_url,
        "default_example": None,
        "created_at": time(row.created_at),
        "latest_version": version(latest) if latest is not None else None,
    }


TRAINER_CREATED = datetime(2025, 3, 1, tzinfo=UTC)


def trainer_version() -> Json:
    """The pinned trainer's version: its id is the cloud's, its schema the same inputs."""
    return _version(fields.TRAINER_VERSION, TRAINER_CREATED, fields.trainer_schema())


def trainer_model(address: str) -> Json:
    """The built-in, public trainer."""
    row = Model(
        owner=fields.TRAINER_OWNER,
        name=fields.TRAINER_NAME,
        visibility="public",
        hardware="cpu",
        description="Trains a member's own FLUX model on the photos in a zip file.",
        readme=None,
        github_url=None,
        paper_url=None,
        weights_url=None,
        license_url=None,
        cover_image_url=None,
        run_count=0,
        created_at=TRAINER_CREATED,
    )
    return {**model(row, None, address), "latest_version": trainer_version()}


def file(row: StoredFile, address: str) -> Json:
    """An uploaded file."""
    return {
        "id": row.id,
        "name": row.name,
        "content_type": row.content_type,
        "size": row.size,
        "etag": row.md5,
        "checksums": {"sha256": row.sha256, "md5": row.md5},
        "metadata": row.metadata,
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
        "urls": {"get": f"{address}/v1/files/{row.id}"},
    }


def page(rows: Page[Item], render: Callable[[Item], Json], url: str) -> Json:
    """A list as the API answers it; `url` is the list's own address without a query."""

    def link(cursor: Cursor | None) -> str | None:
        return None if cursor is None else f"{url}?{urlencode({'cursor': cursor.encode()})}"

    return {
        "next": link(rows.next),
        "previous": link(rows.previous),
        "results": [render(r) for r in rows.items],
    }


@dataclass(frozen=True)
class VersionName:
    """What a prediction asked for: a version id, and the model if it was named."""

    id: str
    model: str | None


_VERSION_NAME = re.compile(r"(?:(?P<model>[a-z0-9._-]+/[a-z0-9._-]+):)?(?P<id>[0-9a-f]{64})")
_PREFER = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
_DURATION = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?")
_OWN_FILE = re.compile(r"/v1/files/(?P<id>[A-Za-z0-9_-]{20,64})(?:/download)?")


def version_name(text: str) -> VersionName | None:
    """`hash` or `owner/name:hash`; anything else (a model without version, `:latest`) is `None`."""
    match = _VERSION_NAME.fullmatch(text)
    return VersionName(match["id"], match["model"]) if match else None


def prefer_wait(header: str | None) -> int | None:
    """Seconds to wait for a result (`Prefer: wait[=n]`, 1 to 60), `None` if not asked for."""
    match = _PREFER.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    return int(match[1] or 60)


def cancel_after(header: str | None) -> timedelta | None:
    """The time of `Cancel-After: 30|30s|5m|1h30m45s`, at least 5 s. Raises `Problem` on anything else."""
    if header is None:
        return None
    match = _DURATION.fullmatch(header.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    wanted = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if wanted < MIN_CANCEL_AFTER:
        text = "Cancel-After: must be a duration like 30s, 5m or 1h30m45s of at least 5 seconds"
        raise invalid([InvalidField("format", "", text)])
    return wanted


def own_file(url: str, address: str) -> str | None:
    """The id of the file of ours that an address names, signed or not; `None` for foreign addresses."""
    if not url.startswith(address + "/"):
        return None
    match = _OWN_FILE.fullmatch(urlsplit(url[len(address) :]).path)
    return match["id"] if match else None


def signed_download(address: str, file_id: str, owner: str, expiry: int, signature: str) -> str:
    """The link of a file, as the cloud echoes it in an input."""
    query = urlencode({"expiry": expiry, "owner": owner, "signature": signature})
    return f"{address}/v1/files/{file_id}/download?{query}"


def shown_input(given: Mapping[str, Any]) -> Json:
    """An input as it is stored and echoed: secrets are not."""
    return {key: "[REDACTED]" if key in HIDDEN_INPUTS else value for key, value in given.items()}
