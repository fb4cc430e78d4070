"""What a run leaves behind, in one shape for the simulation and for the real database: the checker's input."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from portraitist.studio.generation.domain import Generation
from portraitist.studio.images.domain import Image
from portraitist.studio.training.domain import Status, Training
from portraitist.studio.training.repository import ModelVersion
from portraitist.studio.training.weights import Archive
from tests.fakes.simulated_cloud import Run
from tests.simulation.store import Delivery


@dataclass(frozen=True)
class Shown:
    """How far a training was said to be at a moment, and the run that it went by."""

    at: datetime
    status: Status
    provider_id: str | None
    step: int | None
    percent: int | None


@dataclass(frozen=True)
class Evidence:
    """Rows, files and the provider's ledger after a run; what was seen on the way; whether it came to rest."""

    trainings: Sequence[Training]
    versions: Sequence[ModelVersion]
    active: Mapping[str, UUID | None]
    """Member → active version, for members who have a row in `user_models`."""
    generations: Sequence[Generation]
    images: Sequence[Image]
    objects: Mapping[str, bytes]
    runs: Sequence[Run]
    twins: Mapping[UUID, Sequence[str]] = field(default_factory=dict)
    """Row → provider ids that were reconciled with a recorded reason."""
    at_once: Mapping[str, int] = field(default_factory=dict)
    """Member → the most paid-for trainings seen at one moment."""
    cleared: Sequence[str] = ()
    """Members whose active model was taken away."""
    deleted: Collection[str] = ()
    """Keys of pictures that their members deleted; the time for undo is over."""
    archives: Sequence[Archive] = ()
    """Copies of weights."""
    deliveries: Sequence[Delivery] = ()
    """Webhooks that were stored."""
    honest: Mapping[str, str] = field(default_factory=dict)
    """Message → run, of what the provider really sent to the run's own address."""
    crossed: Collection[str] = ()
    """Messages that were rightly signed but show another run than the one whose address they came to."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Our account → its name at the provider."""
    shown: Mapping[UUID, Sequence[Shown]] = field(default_factory=dict)
    """Training → its progress as members could see it, in order (of the simulation)."""
    sent: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    """Bucket → when requests went out to the provider, in order (of the simulation)."""
    per_minute: Mapping[str, float] = field(default_factory=dict)
    """Bucket → how many are allowed."""
    at_rest: bool = True
    failures: Sequence[str] = ()
    """What handlers let out."""
