"""What a run leaves behind, in one shape for the simulation and for the real database: the checker's input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from portraitist.studio.generation.domain import Generation
from portraitist.studio.images.domain import Image
from portraitist.studio.training.domain import Training
from portraitist.studio.training.repository import ModelVersion
from tests.fakes.simulated_cloud import Run


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
    at_rest: bool = True
    failures: Sequence[str] = ()
    """What handlers let out."""
