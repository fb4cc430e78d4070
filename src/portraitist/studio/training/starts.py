"""What is known of a training's starts, and whether a run at the provider is a second one of them. Pure."""

from dataclasses import dataclass
from uuid import UUID

from portraitist.studio.provider.port import RemotePrediction, RemoteTraining
from portraitist.studio.training.domain import Status


@dataclass(frozen=True)
class Start:
    """What is known of one training's starts. `twins` are provider ids that were dealt with already.

    `past_seeds` and `past_tests` are of test pictures that were judged before another seed was drawn.
    """

    id: UUID
    status: Status
    submit_token: str | None
    past_tokens: list[str]
    webhook_token: str | None
    provider_training_id: str | None
    verify_seed: int | None
    verify_prediction_id: str | None
    past_seeds: list[int]
    past_tests: list[str]
    twins: list[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    def has_twin(self, remote: RemoteTraining) -> bool:
        """Whether this run was started for this training and is not the one it goes by."""
        text = f"{remote.input.get('input_images')} {remote.webhook}"
        if not any(
            token and token in text for token in (self.submit_token, self.webhook_token, *self.past_tokens)
        ):
            return False
        if remote.id == self.provider_training_id or remote.id in self.twins:
            return False
        stale = any(token in text for token in self.past_tokens)
        return stale or self.status is not Status.SUBMITTING  # else it is about to be adopted

    def has_twin_test(self, remote: RemotePrediction) -> bool:
        """Whether this is a test picture of this training that it does not go by."""
        if remote.input.get("num_outputs") != 1:
            return False
        if remote.id in (self.verify_prediction_id, *self.past_tests, *self.twins):
            return False
        seed = remote.input.get("seed")
        if seed is not None and seed == self.verify_seed:  # while it is being sent it is about to be adopted
            return self.verify_prediction_id is not None or self.status is not Status.VERIFYING
        return seed in self.past_seeds
