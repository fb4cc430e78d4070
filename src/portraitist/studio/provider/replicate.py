"""The adapter: the `Provider` port spoken as Replicate's HTTP API, for the cloud and any server that has it.

Paths and bodies live here; connections, retries and errors in `transport`, answers in `wire`. Whether a run
should start at all is decided by the slices.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import quote

from portraitist.kit.http import GuardedClient
from portraitist.studio.architecture import ValidatedPrediction, ValidatedTraining
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import (
    JSON,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
    RemoteAccount,
    RemoteFile,
    RemotePrediction,
    RemoteTraining,
    RemoteVersion,
)
from portraitist.studio.provider.transport import Limits, Pauses, Transport

_HARDWARE: Final = "cpu"  # a model must name one; Replicate overrides it for trained versions
_EVENTS: Final[list[JSON]] = ["start", "completed"]  # webhooks only wake; logs are read by polling
_T = TypeVar("_T")
_Run = TypeVar("_Run", RemoteTraining, RemotePrediction)


class ReplicateProvider:
    """A `Provider` at `base_url` (with or without `/v1`), as the account of `token`."""

    def __init__(
        self, http: GuardedClient, *, base_url: str, token: str, pauses: Pauses, limits: Limits | None = None
    ) -> None:
        self._transport = Transport(
            http, base_url=base_url, token=token, pauses=pauses, limits=limits or Limits()
        )

    async def account(self) -> RemoteAccount:
        """Who the token belongs to."""
        return RemoteAccount(_text(await self._transport.get("/account"), "username"))

    async def webhook_secret(self) -> str:
        """The account's `whsec_…` key."""
        return _text(await self._transport.get("/webhooks/default/secret"), "key")

    async def ensure_model(self, owner: str, name: str) -> None:
        """Make the private model; one that is there already must be private too."""
        body: dict[str, JSON] = {"owner": owner, "name": name, "visibility": "private", "hardware": _HARDWARE}
        try:
            await self._transport.post("/models", body)
        except ProviderRefused as refused:
            if refused.http_status != 409:
                raise
            found = wire.mapping(await self._transport.get(_model(owner, name)))
            if found.get("visibility") != "private":
                raise ProviderRefused(
                    f"{owner}/{name} exists and is not private", http_status=409
                ) from refused

    async def delete_model(self, owner: str, name: str) -> None:
        """Delete a model without versions."""
        await self._transport.delete(_model(owner, name))

    async def get_version(self, owner: str, name: str, version_id: str) -> RemoteVersion:
        """One version with its schema."""
        answer = await self._transport.get(f"{_model(owner, name)}/versions/{_segment(version_id)}")
        return _parsed(_version_of(owner, name), answer)

    async def list_versions(self, owner: str, name: str) -> list[RemoteVersion]:
        """All versions, newest first."""
        pages = self._transport.pages(f"{_model(owner, name)}/versions", {})
        return [found async for page in pages for found in _readable(_version_of(owner, name), page)]

    async def delete_version(self, owner: str, name: str, version_id: str) -> None:
        """Ask for a version's deletion."""
        await self._transport.delete(f"{_model(owner, name)}/versions/{_segment(version_id)}")

    async def upload_file(self, name: str, data: bytes, content_type: str) -> RemoteFile:
        """Hand over a file."""
        return _parsed(wire.file, await self._transport.upload("/files", name, data, content_type))

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded file."""
        await self._transport.delete(f"/files/{_segment(file_id)}")

    async def create_training(self, sealed: ValidatedTraining, *, webhook: str | None) -> RemoteTraining:
        """Start a training; sent once."""
        model, _, version_id = sealed.trainer.partition(":")
        body: dict[str, JSON] = {"destination": sealed.destination, "input": {**sealed.input}}
        path = f"/models/{model}/versions/{version_id}/trainings"
        return _parsed(wire.training, await self._transport.post(path, body | _wake(webhook)))

    async def get_training(self, training_id: str) -> RemoteTraining:
        """One training as it stands."""
        return _parsed(wire.training, await self._transport.get(f"/trainings/{_segment(training_id)}"))

    async def list_trainings(self, since: datetime) -> list[RemoteTraining]:
        """Trainings created at or after `since`, newest first."""
        # The API has no filter by time for trainings.
        return await self._since("/trainings", {}, wire.training, since)

    async def cancel_training(self, training_id: str) -> RemoteTraining:
        """Ask for an end."""
        path = f"/trainings/{_segment(training_id)}/cancel"
        return _parsed(wire.training, await self._transport.post(path, None))

    async def create_prediction(
        self, sealed: ValidatedPrediction, *, webhook: str | None
    ) -> RemotePrediction:
        """Start a prediction; sent once."""
        body: dict[str, JSON] = {"version": sealed.version, "input": {**sealed.input}}
        return _parsed(wire.prediction, await self._transport.post("/predictions", body | _wake(webhook)))

    async def get_prediction(self, prediction_id: str) -> RemotePrediction:
        """One prediction as it stands."""
        answer = await self._transport.get(f"/predictions/{_segment(prediction_id)}")
        return _parsed(wire.prediction, answer)

    async def list_predictions(self, since: datetime) -> list[RemotePrediction]:
        """Predictions created at or after `since`, newest first."""
        after = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return await self._since("/predictions", {"created_after": after}, wire.prediction, since)

    async def cancel_prediction(self, prediction_id: str) -> RemotePrediction:
        """Ask for an end."""
        path = f"/predictions/{_segment(prediction_id)}/cancel"
        return _parsed(wire.prediction, await self._transport.post(path, None))

    async def download(self, url: str, max_bytes: int) -> bytes:
        """An output file from the provider's own hosts."""
        return await self._transport.fetch(url, max_bytes)

    async def close(self) -> None:
        """Give the connections back."""
        await self._transport.close()

    async def _since(
        self, path: str, query: dict[str, str], parse: Callable[[JSON], _Run], since: datetime
    ) -> list[_Run]:
        """The runs of a newest-first list, up to the page that reaches back before `since`."""
        found: list[_Run] = []
        async for page in self._transport.pages(path, query):
            runs = _readable(parse, page)
            found += [run for run in runs if run.created_at is None or run.created_at >= since]
            if runs and (last := runs[-1].created_at) is not None and last < since:
                break
        return found


def _parsed(parse: Callable[[JSON], _T], answer: JSON) -> _T:
    try:
        return parse(answer)
    except wire.MalformedAnswer as exc:
        raise ProviderUnavailable(f"an answer with {exc}", sent=True) from exc


def _readable(parse: Callable[[JSON], _T], page: list[JSON]) -> list[_T]:
    """The items that can be read: one odd item must not hide the rest of a list."""
    found: list[_T] = []
    for item in page:
        with contextlib.suppress(wire.MalformedAnswer):
            found.append(parse(item))
    return found


def _version_of(owner: str, name: str) -> Callable[[JSON], RemoteVersion]:
    return lambda answer: wire.version(answer, owner, name)


def _text(answer: JSON, key: str) -> str:
    value = wire.mapping(answer).get(key)
    if not isinstance(value, str) or not value:
        raise ProviderUnavailable(f"an answer with no {key}", sent=True)
    return value


def _wake(webhook: str | None) -> dict[str, JSON]:
    return {} if webhook is None else {"webhook": webhook, "webhook_events_filter": _EVENTS}


def _model(owner: str, name: str) -> str:
    return f"/models/{_segment(owner)}/{_segment(name)}"


def _segment(text: str) -> str:
    """One path segment: an id can't lead to another path, and no id is not the whole list."""
    if not text.strip("."):
        raise ProviderNotFound(f"{text!r} is no id", http_status=404)
    return quote(text, safe="")
