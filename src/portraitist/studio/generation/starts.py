"""What is known of a generation's start, and whether a prediction is a second one of it. Pure."""

from dataclasses import dataclass
from uuid import UUID

from portraitist.studio.generation.domain import Status
from portraitist.studio.provider.port import RemotePrediction


@dataclass(frozen=True)
class Start:
    """What is known of one generation's start. `twins` are provider ids that were dealt with already."""

    id: UUID
    status: Status
    provider_prediction_id: str | None
    twins: list[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    def has_twin(self, remote: RemotePrediction) -> bool:
        """Whether this prediction, made from the same prompt and seed, is not the one the row goes by."""
        if remote.id == self.provider_prediction_id or remote.id in self.twins:
            return False
        return self.status is not Status.SUBMITTING  # else it is about to be adopted
