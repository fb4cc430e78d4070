"""Models, versions, runs and files as frozen types, with the closed set of a run's statuses.

Pure: no clock, no randomness, no database. A run is a training or a prediction; both are rows of one table,
because an id resolves under both paths.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

Kind = Literal["training", "prediction"]
Status = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
Event = Literal["start", "output", "logs", "completed"]
Visibility = Literal["public", "private"]

STATUSES: tuple[str, ...] = get_args(Status)
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "canceled", "aborted"})
DEFAULT_EVENTS: tuple[Event, ...] = ("output", "logs", "completed")
"""What a webhook without a filter gets: all outputs and logs, and the end."""

MAX_ATTEMPTS = 3
"""How often a run is started before it is given up: its worker died each time."""


@dataclass(frozen=True)
class Model:
    """A named place for versions. Only the account's own models are stored."""

    owner: str
    name: str
    visibility: Visibility
    hardware: str
    description: str | None
    readme: str | None
    github_url: str | None
    paper_url: str | None
    weights_url: str | None
    license_url: str | None
    cover_image_url: str | None
    run_count: int
    created_at: datetime


@dataclass(frozen=True)
class Version:
    """A sealed version. `id` is the SHA-256 of its manifest; the files lie in the object store."""

    id: str
    owner: str
    name: str
    training_id: str
    created_at: datetime


@dataclass(frozen=True)
class Run:
    """A training or a prediction, as it stands in its row."""

    id: str
    kind: Kind
    status: Status
    owner: str
    name: str
    version_id: str
    destination: str | None
    input: dict[str, Any]
    notes: list[str]
    output: Any
    error: str | None
    logs: str
    webhook: str | None
    webhook_events: list[Event]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    deadline: datetime | None
    data_removed: bool
    attempts: int
    predict_s: float | None

    @property
    def ended(self) -> bool:
        """Whether the status can no longer change."""
        return self.status in TERMINAL

    def wants(self, event: Event) -> bool:
        """Whether the caller asked to be told of such an event."""
        return self.webhook is not None and event in self.webhook_events


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file; its bytes lie in the object store under `key`."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    metadata: dict[str, Any]
    key: str
    created_at: datetime
    expires_at: datetime
