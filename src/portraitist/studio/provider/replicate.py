"""The adapter: the `Provider` port spoken as Replicate's HTTP API, for the cloud and any server that has it.

Paths and bodies live here; connections, retries and errors in `transport`, answers in `wire`. Whether a run
should start at all is decided by the slices.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import quote

from portraitist.kit.http import GuardedClient
from portraitist.studio.architecture import TRAINER, ValidatedPrediction, ValidatedTraining
from portraitist.studio.provider import wire
from portraitist.studio.provider.port import (
    JSON,
    FilePart,
    Glance,
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
RANGE_NOT_SATISFIABLE: Final = 416
# Webhooks only wake, and logs are read by polling. A picture takes seconds: its start is not worth a look.
_TRAINING_EVENTS: Final[list[JSON]] = ["start", "completed"]
_PREDICTION_EVENTS: Final[list[JSON]] = ["completed"]
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
        path = _model(owner, name)
        try:  # mostly it is there, and creating takes from a much smaller rate than reading
            found = await self._transport.get(path)
        except ProviderNotFound:
            found = await self._made_model(owner, name)
        if wire.mapping(found).get("visibility") != "private":
            raise ProviderRefused(f"{owner}/{name} exists and is not private", http_status=409)

    async def _made_model(self, owner: str, name: str) -> JSON:
        body: dict[str, JSON] = {"owner": owner, "name": name, "visibility": "private", "hardware": _HARDWARE}
        try:
            return await self._transport.post("/models", body)
        except ProviderRefused as refused:
            if refused.http_status != 409:
                raise
        return await self._transport.get(_model(owner, name))  # somebody else was faster

    async def turn_to_train(self) -> None:
        """A turn for the next `create_training`."""
        await self._transport.reserve(_trainings_of(TRAINER))

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
        body: dict[str, JSON] = {"destination": sealed.destination, "input": {**sealed.input}}
        path = _trainings_of(sealed.trainer)
        body |= _wake(webhook, _TRAINING_EVENTS)
        answer = await self._transport.post(path, body, reserved=True)
        return _parsed(wire.training, answer)

    async def get_training(self, training_id: str) -> RemoteTraining:
        """One training as it stands."""
        return _parsed(wire.training, await self._transport.get(f"/trainings/{_segment(training_id)}"))

    async def list_trainings(self, since: datetime) -> list[RemoteTraining]:
        """Trainings created at or after `since`, newest first."""
        # The API has no filter by time for trainings.
        return await self._since("/trainings", {}, wire.training, since)

    def glance_at_trainings(self, since: datetime) -> AsyncIterator[list[Glance]]:
        """The pages of the trainings' list back to `since`."""
        return self._glances("/trainings", {}, since)

    async def cancel_training(self, training_id: str) -> RemoteTraining:
        """Ask for an end."""
        path = f"/trainings/{_segment(training_id)}/cancel"
        return _parsed(wire.training, await self._transport.post(path, None))

    async def create_prediction(
        self, sealed: ValidatedPrediction, *, webhook: str | None
    ) -> RemotePrediction:
        """Start a prediction; sent once."""
        body: dict[str, JSON] = {"version": sealed.version, "input": {**sealed.input}}
        body |= _wake(webhook, _PREDICTION_EVENTS)
        return _parsed(wire.prediction, await self._transport.post("/predictions", body))

    async def get_prediction(self, prediction_id: str) -> RemotePrediction:
        """One prediction as it stands."""
        answer = await self._transport.get(f"/predictions/{_segment(prediction_id)}")
        return _parsed(wire.prediction, answer)

    async def list_predictions(self, since: datetime) -> list[RemotePrediction]:
        """Predictions created at or after `since`, newest first."""
        return await self._since("/predictions", _created_after(since), wire.prediction, since)

    def glance_at_predictions(self, since: datetime) -> AsyncIterator[list[Glance]]:
        """The pages of the predictions' list back to `since`."""
        return self._glances("/predictions", _created_after(since), since)

    async def cancel_prediction(self, prediction_id: str) -> RemotePrediction:
        """Ask for an end."""
        path = f"/predictions/{_segment(prediction_id)}/cancel"
        return _parsed(wire.prediction, await self._transport.post(path, None))

    async def download(self, url: str, max_bytes: int) -> bytes:
        """An output file from the provider's own hosts."""
        return await self._transport.fetch(url, max_bytes)

    async def download_part(self, url: str, first: int, size: int, max_bytes: int) -> FilePart:
        """A part of an output file, from the provider's own hosts."""
        try:
            answer = await self._transport.fetch_range(url, first, size, max_bytes)
        except ProviderRefused as refused:
            if refused.http_status == RANGE_NOT_SATISFIABLE and first > 0:  # all of it is here already
                return FilePart(first, b"", is_last=True)
            raise
        return wire.file_part(
            answer.status, answer.headers.get("content-range", ""), answer.content, first, size
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._transport.close()

    async def _since(
        self, path: str, query: dict[str, str], parse: Callable[[JSON], _Run], since: datetime
    ) -> list[_Run]:
        """The runs of a newest-first list, up to the page that reaches back before `since`."""
        found: list[_Run] = []
        async for page in self._pages_since(path, query, since):
            runs = _readable(parse, page)
            found += [run for run in runs if run.created_at is None or run.created_at >= since]
        return found

    async def _glances(
        self, path: str, query: dict[str, str], since: datetime
    ) -> AsyncIterator[list[Glance]]:
        async for page in self._pages_since(path, query, since):
            yield _readable(wire.glance, page)

    async def _pages_since(
        self, path: str, query: dict[str, str], since: datetime
    ) -> AsyncIterator[list[JSON]]:
        """The pages of a newest-first list, up to the one that reaches back before `since`."""
        async for page in self._transport.pages(path, query):
            yield page
            created = [wire.mapping(item).get("created_at") for item in page[-1:]]
            if created and (last := wire.timestamp(created[0])) is not None and last < since:
                return


def _created_after(since: datetime) -> dict[str, str]:
    return {"created_after": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


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


def _wake(webhook: str | None, events: list[JSON]) -> dict[str, JSON]:
    return {} if webhook is None else {"webhook": webhook, "webhook_events_filter": events}


def _model(owner: str, name: str) -> str:
    return f"/models/{_segment(owner)}/{_segment(name)}"


def _trainings_of(trainer: str) -> str:
    model, _, version_id = trainer.partition(":")
    return f"/models/{model}/versions/{version_id}/trainings"


def _segment(text: str) -> str:
    """One path segment: an id can't lead to another path, and no id is not the whole list."""
    if not text.strip("."):
        raise ProviderNotFound(f"{text!r} is no id", http_status=404)
    return quote(text, safe="")
