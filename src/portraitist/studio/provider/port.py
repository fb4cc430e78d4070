"""What the studio needs of a provider: a protocol, its frozen types and its errors.

No HTTP and no JSON keys (see `replicate` and `wire`), and no decisions about trainings or generations: those
are the slices'. Creating takes only what `architecture` has sealed.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from portraitist.studio.architecture import ValidatedPrediction, ValidatedTraining
from portraitist.studio.errors import StudioError

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""Decoded JSON, free of what PostgreSQL can't store (NUL, lone surrogates, NaN)."""


class RemoteStatus(StrEnum):
    """Where a training or prediction stands at the provider."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"
    """Its deadline passed before it started."""
    UNKNOWN = "unknown"
    """A word this release does not know: keep looking, decide nothing."""

    @property
    def is_terminal(self) -> bool:
        """Whether the provider will not change it any more."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {RemoteStatus.SUCCEEDED, RemoteStatus.FAILED, RemoteStatus.CANCELED, RemoteStatus.ABORTED}
)


@dataclass(frozen=True, kw_only=True)
class RemoteTraining:
    """One training as the provider shows it. `version` is the trainer's, never the trained one's."""

    id: str
    status: RemoteStatus
    version: str | None
    input: Mapping[str, JSON]
    output: JSON
    logs: str
    error: str | None
    webhook: str | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    metrics: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class RemotePrediction:
    """One prediction as the provider shows it.

    `output_urls` pairs each picture's address with its index among those asked for: a provider's safety
    checker takes single pictures away and the rest keep theirs. `data_removed`: input and output are gone.
    """

    id: str
    status: RemoteStatus
    version: str | None
    input: Mapping[str, JSON]
    output: JSON
    output_urls: tuple[tuple[int, str], ...]
    data_removed: bool
    logs: str
    error: str | None
    webhook: str | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    metrics: Mapping[str, JSON]


@dataclass(frozen=True)
class Glance:
    """A run as far as a list tells cheaply: enough to see that nothing has changed. `logs` is the end of its log."""

    id: str
    status: RemoteStatus
    logs: str


@dataclass(frozen=True)
class RemoteVersion:
    """One version of a model: complete weights under a 64-hex id, with the schema of its inputs."""

    id: str
    owner: str
    name: str
    openapi_schema: Mapping[str, JSON]
    created_at: datetime | None


@dataclass(frozen=True)
class RemoteFile:
    """An uploaded file; `url` is what a training's input names."""

    id: str
    url: str


@dataclass(frozen=True)
class FilePart:
    """Some bytes of an output file, from `first` on; `first` is 0 where the provider sends whole files only."""

    first: int
    data: bytes
    is_last: bool


@dataclass(frozen=True)
class RemoteAccount:
    """The account that the token belongs to."""

    username: str


class ProviderError(StudioError):
    """Base of all that goes wrong with a provider. `detail` is the provider's own text, for operators."""

    status = 503
    code_of_kind = "provider_error"
    text = "The picture engine did not answer as it should. Nothing is lost; it is tried again."

    def __init__(self, detail: str = "") -> None:
        super().__init__(self.code_of_kind, self.text)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.text} ({self.detail})" if self.detail else self.text


class ProviderUnavailable(ProviderError):
    """No usable answer. `sent`: the request may have reached the provider, so a create may have happened."""

    code_of_kind = "provider_unavailable"
    text = "The picture engine can't be reached at the moment. Nothing is lost; it is tried again."

    def __init__(self, detail: str = "", *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class ProviderRateLimited(ProviderError):
    """Too many requests; nothing was started. Ask again after `retry_after_s` seconds (capped)."""

    code_of_kind = "provider_rate_limited"
    text = "The picture engine asks us to slow down. Nothing is lost; it is tried again."

    def __init__(self, detail: str = "", *, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class ProviderRefused(ProviderError):
    """The provider said no (4xx) and will say no again; `http_status` is its code."""

    status = 502
    code_of_kind = "provider_refused"
    text = "The picture engine refused the request. The operator of this studio can see why."

    def __init__(self, detail: str = "", *, http_status: int) -> None:
        super().__init__(detail)
        self.http_status = http_status

    @property
    def is_of_the_account(self) -> bool:
        """Whether the account was refused, not what was asked for: an operator mends that, and it works again.

        403 is no such refusal: so does an address answer whose signature has expired.
        """
        return self.http_status in (401, 402)


class ProviderUnauthorized(ProviderRefused):
    """401 or 403: the account's token is not valid or may not do this."""

    code_of_kind = "provider_unauthorized"
    text = "The picture engine does not accept this studio's token. The operator must set a valid one."


class ProviderNoCredit(ProviderRefused):
    """402: the account has no credit. Never retried by itself."""

    code_of_kind = "provider_no_credit"
    text = "The studio's account at the picture engine has no credit left. The operator must add some."


class ProviderNotFound(ProviderRefused):
    """404: not there, or not this account's."""

    code_of_kind = "provider_not_found"
    text = "The picture engine does not have it (any more)."


class ProviderUntrustedAddress(ProviderError):
    """An address outside the provider's own hosts; it is not opened."""

    status = 502
    code_of_kind = "provider_untrusted_address"
    text = "The picture engine named an address that is not its own; it was not opened."


class ProviderOutputTooLarge(ProviderError):
    """An answer longer than we are ready to take; what was read of it is thrown away."""

    status = 502
    code_of_kind = "provider_output_too_large"
    text = "The picture engine sent more than a picture can be; it was not kept."


class Provider(Protocol):
    """One account at one provider. Every method may raise a `ProviderError`.

    Reads are retried within a deadline. Nothing that creates or cancels is ever sent twice by itself: after
    `ProviderUnavailable(sent=True)` the caller looks for what may have started.
    """

    async def account(self) -> RemoteAccount:
        """Who the token belongs to."""
        ...

    async def webhook_secret(self) -> str:
        """The account's `whsec_…` key that signs webhooks."""
        ...

    async def ensure_model(self, owner: str, name: str) -> None:
        """Make the private model if it is absent. Raises ProviderRefused if a public one has the name."""
        ...

    async def delete_model(self, owner: str, name: str) -> None:
        """Delete a model without versions; fine if it is gone."""
        ...

    async def get_version(self, owner: str, name: str, version_id: str) -> RemoteVersion:
        """One version with its schema."""
        ...

    async def list_versions(self, owner: str, name: str) -> list[RemoteVersion]:
        """All versions, newest first."""
        ...

    async def delete_version(self, owner: str, name: str, version_id: str) -> None:
        """Ask for a version's deletion, which may take minutes; fine if it is gone."""
        ...

    async def upload_file(self, name: str, data: bytes, content_type: str) -> RemoteFile:
        """Hand over a file; the provider keeps it for a day at most."""
        ...

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded file; fine if it is gone."""
        ...

    async def turn_to_train(self) -> None:
        """Take a turn of the account's shared rate for the next `create_training`, before its photos are packed.

        Raises ProviderRateLimited where there is none yet.
        """
        ...

    async def create_training(self, sealed: ValidatedTraining, *, webhook: str | None) -> RemoteTraining:
        """Start a training, with the turn that was taken for it. Sent once."""
        ...

    async def get_training(self, training_id: str) -> RemoteTraining:
        """One training as it stands."""
        ...

    async def list_trainings(self, since: datetime) -> list[RemoteTraining]:
        """This account's trainings created at or after `since`, newest first; may lag behind creates."""
        ...

    def glance_at_trainings(self, since: datetime) -> AsyncIterator[list[Glance]]:
        """The pages of the trainings' list, newest first, back to those created at `since`."""
        ...

    async def cancel_training(self, training_id: str) -> RemoteTraining:
        """Ask for an end; one that has ended stays as it is."""
        ...

    async def create_prediction(
        self, sealed: ValidatedPrediction, *, webhook: str | None
    ) -> RemotePrediction:
        """Start a prediction. Sent once."""
        ...

    async def get_prediction(self, prediction_id: str) -> RemotePrediction:
        """One prediction as it stands."""
        ...

    async def list_predictions(self, since: datetime) -> list[RemotePrediction]:
        """This account's predictions created at or after `since`, newest first; may lag behind creates."""
        ...

    def glance_at_predictions(self, since: datetime) -> AsyncIterator[list[Glance]]:
        """The pages of the predictions' list, newest first, back to those created at `since`."""
        ...

    async def cancel_prediction(self, prediction_id: str) -> RemotePrediction:
        """Ask for an end; one that has ended stays as it is."""
        ...

    async def download(self, url: str, max_bytes: int) -> bytes:
        """An output file. Raises ProviderUntrustedAddress for hosts that are not the provider's."""
        ...

    async def download_part(self, url: str, first: int, size: int, max_bytes: int) -> FilePart:
        """At most `size` bytes of an output file from `first` on, or all of it. Otherwise as `download`."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
