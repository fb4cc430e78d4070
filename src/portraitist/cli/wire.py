"""JSON of `/api/v1` ↔ the CLI's own frozen types. Pure; the only place that knows the API's keys.

Unknown keys are ignored, so that an older command line works with a newer studio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

TRAINING_FAILED = frozenset({"failed", "canceled"})
TRAINING_ENDED = TRAINING_FAILED | {"completed"}
# The weights are trained and paid for; the studio tries the rest again by itself, at growing distances.
TRAINING_PARKED = frozenset({"extraction_failed", "verification_failed"})
GENERATION_FAILED = frozenset({"failed", "canceled", "lost_at_provider"})
GENERATION_ENDED = GENERATION_FAILED | {"completed"}


@dataclass(frozen=True)
class Member:
    """A local member and the token that opens the rest of the API to them."""

    id: str
    handle: str
    subject_word: str
    token: str


@dataclass(frozen=True)
class Photo:
    """A selfie as the studio judged it."""

    id: str
    file_name: str
    digest: str
    status: str
    reason: str | None

    @property
    def accepted(self) -> bool:
        """Whether a training may use it."""
        return self.status == "accepted"

    @classmethod
    def of(cls, item: Json) -> "Photo":
        """From a `selfie` object."""
        return cls(
            id=item["id"],
            file_name=item["file_name"],
            digest=item["source_sha256"],
            status=item["status"],
            reason=item.get("reason"),
        )


@dataclass(frozen=True)
class Training:
    """A training and how far it is. `step` and `total_steps` come from the engine's own log."""

    id: str
    status: str
    phase: str
    step: int | None
    total_steps: int | None
    logs_tail: str
    error: str | None
    next_step: str | None
    version: str | None
    photos: frozenset[str]

    @classmethod
    def of(cls, item: Json) -> "Training":
        """From a `training` object."""
        return cls(
            id=item["id"],
            status=item["status"],
            phase=item.get("phase") or item["status"],
            step=item.get("step"),
            total_steps=item.get("total_steps"),
            logs_tail=item.get("logs_tail") or "",
            error=item.get("error"),
            next_step=item.get("next_step"),
            version=item.get("version"),
            photos=frozenset(item.get("photos") or ()),
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in TRAINING_ENDED


@dataclass(frozen=True)
class Model:
    """A version of the member's model; `id` names the row, `version` the provider's `owner/name:hash`."""

    id: str
    version: str
    photos: frozenset[str]
    promoted_at: str

    @classmethod
    def of(cls, item: Json) -> "Model":
        """From a `models` entry."""
        return cls(
            id=item["id"],
            version=item["version"],
            photos=frozenset(item.get("photos") or ()),
            promoted_at=item.get("promoted_at") or "",
        )


@dataclass(frozen=True)
class Picture:
    """One finished picture of a generation, kept by the studio."""

    id: str
    index: int
    digest: str


@dataclass(frozen=True)
class Generation:
    """Three pictures asked for with one prompt."""

    id: str
    status: str
    words: str
    seed: int | None
    version: str
    unknown_words: tuple[str, ...]
    pictures: tuple[Picture, ...]
    parameters: Json
    error: str | None
    next_step: str | None

    @classmethod
    def of(cls, item: Json) -> "Generation":
        """From a `generation` object; pictures in the order they were drawn."""
        pictures = [
            Picture(id=i["id"], index=i["index"], digest=i["sha256"]) for i in item.get("images") or ()
        ]
        return cls(
            id=item["id"],
            status=item["status"],
            words=item["words"],
            seed=item.get("seed"),
            version=item["version"],
            unknown_words=tuple(item.get("unknown_words") or ()),
            pictures=tuple(sorted(pictures, key=lambda picture: picture.index)),
            parameters=item.get("requested") or {},
            error=item.get("error"),
            next_step=item.get("next_step"),
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in GENERATION_ENDED


@dataclass(frozen=True)
class StudioStatus:
    """What the operator's status page says about the running studio."""

    engine: str
    is_cloud: bool
    picture_size: str
    safety_checker: str
    expected_minutes: float | None
    raw: Json

    @classmethod
    def of(cls, item: Json) -> "StudioStatus":
        """From the `status` object."""
        provider = item["provider"]
        return cls(
            engine=provider.get("engine") or provider["kind"],
            is_cloud=provider["kind"] == "cloud",
            picture_size=provider.get("picture_size") or "",
            safety_checker=provider.get("safety_checker") or "",
            expected_minutes=provider.get("expected_training_minutes"),
            raw=item,
        )
